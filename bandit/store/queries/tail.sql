-- part: after_each
-- Rows of some streams of one surface after a number of each.
WHERE surface = {surface:String}
  AND writer IN {writers:Array(String)}
  AND seq > arrayMin({after:Array(UInt64)})
  AND seq > transform(writer, {writers:Array(String)}, {after:Array(UInt64)}, 0)

-- name: tail_heads
-- How far every stream that a learner of one surface follows has come, as far as rows arrived
-- since a time; the streams of surface '' hold what belongs to a surface nobody could tell.
SELECT 'decisions' AS table, surface, writer, max(seq) AS head,
       toUnixTimestamp64Milli(max(ingested_at)) AS arrived_ms
FROM decisions
WHERE surface = {surface:String}
  AND ingested_at >= fromUnixTimestamp64Milli({arrived_since_ms:Int64})
GROUP BY surface, writer
UNION ALL
SELECT 'rewards', surface, writer, max(seq), toUnixTimestamp64Milli(max(ingested_at))
FROM rewards
WHERE surface IN ({surface:String}, '')
  AND ingested_at >= fromUnixTimestamp64Milli({arrived_since_ms:Int64})
GROUP BY surface, writer
UNION ALL
SELECT 'exposures', surface, writer, max(seq), toUnixTimestamp64Milli(max(ingested_at))
FROM exposures
WHERE surface IN ({surface:String}, '')
  AND ingested_at >= fromUnixTimestamp64Milli({arrived_since_ms:Int64})
GROUP BY surface, writer

-- name: tail_seqs
-- Which sequence numbers are there, of some streams of one table and surface, after and up to a
-- number of each, accepted by a time; and when the earliest row after that number arrived.
SELECT writer,
       groupUniqArrayIf(seq, seq <= transform(writer, {writers:Array(String)},
                                              {upto:Array(UInt64)}, 0)
                             AND ts <= fromUnixTimestamp64Milli({until_ms:Int64})) AS seqs,
       toUnixTimestamp64Milli(min(ingested_at)) AS arrived_ms
FROM {table:Identifier}
-- put: after_each
  AND ingested_at >= fromUnixTimestamp64Milli({arrived_since_ms:Int64})
GROUP BY writer

-- name: tail_decisions
-- Decisions of some streams of one surface, after and up to a number of each.
-- bytes: context, action_features, slot_features
SELECT toString(event_id), toUnixTimestamp64Milli(ts), surface, unit_id, experiment,
       experiment_version, variant, policy, snapshot, context, actions, action_features, excluded,
       pmf, ranking, propensities, floor, seed, deferred, shadow_policies, shadow_probabilities,
       writer, seq, shadow_tops, surface_version, excluded_reasons, blocked, pinned, slot_features,
       catalogue, forced, keep_share
FROM decisions
-- put: after_each
  AND seq <= transform(writer, {writers:Array(String)}, {upto:Array(UInt64)}, 0)
  AND ts >= fromUnixTimestamp64Milli({decided_since_ms:Int64})
  AND ingested_at >= fromUnixTimestamp64Milli({arrived_since_ms:Int64})
ORDER BY ts, writer, seq
LIMIT 1 BY writer, seq

-- name: tail_gaps
-- Numbers that will never come, of some streams, that end after a number of each.
SELECT concat(log_table, '/', surface, '/', writer) AS stream, first, last
FROM gaps
WHERE log_table IN {log_tables:Array(String)}
  AND surface IN {surfaces:Array(String)}
  AND writer IN {writers:Array(String)}
  AND last > arrayMin({after:Array(UInt64)})
  AND last > transform(stream, {streams:Array(String)}, {after:Array(UInt64)}, last)
ORDER BY stream, first, last

-- name: tail_event_ids
-- Event ids of the decisions of some streams of one surface, up to a number of each, made in a time.
SELECT DISTINCT toString(event_id) AS event_id
FROM decisions
WHERE surface = {surface:String}
  AND writer IN {writers:Array(String)}
  AND seq <= transform(writer, {writers:Array(String)}, {upto:Array(UInt64)}, 0)
  AND (writer, seq) GLOBAL NOT IN (
      SELECT writer,
             arrayJoin(range(first, least(last, transform(writer, {writers:Array(String)},
                                                          {upto:Array(UInt64)}, 0)) + 1)) AS seq
      FROM gaps
      WHERE log_table = 'decisions'
        AND surface = {surface:String}
        AND writer IN {writers:Array(String)}
  )
  AND ts BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
             AND fromUnixTimestamp64Milli({until_ms:Int64})

-- name: tail_rewards
-- Rewards of some streams of one surface, after and up to a number of each.
-- put: reward_columns
-- put: after_each
  AND seq <= transform(writer, {writers:Array(String)}, {upto:Array(UInt64)}, 0)
  AND decision_ts >= fromUnixTimestamp64Milli({decided_since_ms:Int64})
  AND ingested_at >= fromUnixTimestamp64Milli({arrived_since_ms:Int64})
ORDER BY ts, writer, seq
LIMIT 1 BY writer, seq

-- name: tail_exposures
-- Exposures of some streams of one surface, after and up to a number of each.
-- put: exposure_columns
-- put: after_each
  AND seq <= transform(writer, {writers:Array(String)}, {upto:Array(UInt64)}, 0)
  AND decision_ts >= fromUnixTimestamp64Milli({decided_since_ms:Int64})
  AND ingested_at >= fromUnixTimestamp64Milli({arrived_since_ms:Int64})
ORDER BY ts, writer, seq
LIMIT 1 BY writer, seq

-- name: drained_through
-- How far each host's drain has come, when it said so, and whether that was its last word.
SELECT host,
       toUnixTimestamp64Milli(argMax(drained_through, (updated_at, done))) AS drained_through_ms,
       toUnixTimestamp64Milli(max(updated_at)) AS updated_ms,
       argMax(done, (updated_at, done)) AS is_done
FROM progress
GROUP BY host
ORDER BY host
