-- name: decision
-- One decision, the first that was accepted if its event id came twice.
-- bytes: context, action_features, slot_features
SELECT toString(event_id), toUnixTimestamp64Milli(ts), surface, unit_id, experiment,
       experiment_version, variant, policy, snapshot, context, actions, action_features, excluded,
       pmf, ranking, propensities, floor, seed, deferred, shadow_policies, shadow_probabilities,
       writer, seq, shadow_tops, surface_version, excluded_reasons, blocked, pinned, slot_features,
       catalogue, forced, keep_share
FROM decisions
WHERE event_id = {event_id:UUID}
  AND ts BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
             AND fromUnixTimestamp64Milli({until_ms:Int64})
ORDER BY ts, writer, seq
LIMIT 1

-- name: decision_sample
-- Some decisions of a surface, chosen by a hash of their event id, in its order; not imported ones,
-- for nobody here drew them.
-- bytes: context, action_features, slot_features
SELECT toString(event_id) AS event, toUnixTimestamp64Milli(ts), surface, unit_id, experiment,
       experiment_version, variant, policy, snapshot, context, actions, action_features, excluded,
       pmf, ranking, propensities, floor, seed, deferred, shadow_policies, shadow_probabilities,
       writer, seq, shadow_tops, surface_version, excluded_reasons, blocked, pinned, slot_features,
       catalogue, forced, keep_share
FROM decisions
WHERE surface = {surface:String}
  AND event_id IN (
      SELECT event_id
      FROM decisions
      WHERE surface = {surface:String} AND policy != 'imported'
      GROUP BY event_id
      ORDER BY sipHash64(event_id, {seed:UInt64}), event_id
      LIMIT {n:UInt64}
  )
ORDER BY sipHash64(event_id, {seed:UInt64}), event_id, ts, writer, seq
LIMIT 1 BY event_id

-- name: decisions_known
-- Which of some event ids the log holds decisions of; WHERE would see an alias called event_id.
SELECT DISTINCT toString(event_id) AS known
FROM decisions
WHERE event_id IN {event_ids:Array(UUID)}
  AND ts BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
             AND fromUnixTimestamp64Milli({until_ms:Int64})

-- name: decisions_span
-- When the first and the last decision of a surface were made, and how many rows there are.
SELECT toUnixTimestamp64Milli(min(ts)) AS first_ms, toUnixTimestamp64Milli(max(ts)) AS last_ms,
       count() AS rows_n
FROM decisions
WHERE surface = {surface:String}
