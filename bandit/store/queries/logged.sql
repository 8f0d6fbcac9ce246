-- part: reward_columns
-- What `reward_of` makes a reward of.
SELECT writer, seq, toUnixTimestamp64Milli(ts), surface, toString(event_id),
       toUnixTimestamp64Milli(decision_ts), slot, name, value, reward_id
FROM rewards

-- part: exposure_columns
-- What `exposure_of` makes an exposure of.
SELECT writer, seq, toUnixTimestamp64Milli(ts), surface, toString(event_id),
       toUnixTimestamp64Milli(decision_ts), slots, overridden, overridden_by
FROM exposures

-- part: of_logged_decisions
-- Rows of the decisions of a surface made in a time; an event id is an hour off at most.
WHERE surface IN ({surface:String}, '')
  AND decision_ts >= fromUnixTimestamp64Milli({from_ms:Int64} - {skew_ms:Int64})
  AND decision_ts <= fromUnixTimestamp64Milli({through_ms:Int64} + {skew_ms:Int64})
  AND event_id IN (
      SELECT event_id
      FROM decisions
      WHERE surface = {surface:String}
        AND ts >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64})
  )
ORDER BY ts, writer, seq, surface
LIMIT 1 BY surface, writer, seq

-- name: logged_parts
-- The decisions of a surface made in a time, cut by whole seconds into parts of about so many rows:
-- where each begins and ends (both are included), and how many rows it has.
SELECT min(second) * 1000 AS from_ms, max(second) * 1000 + 999 AS through_ms, sum(n) AS rows_n
FROM (
    SELECT second, n, intDiv(sum(n) OVER (ORDER BY second) - n, {rows_n:UInt64}) AS part
    FROM (
        SELECT toInt64(toUnixTimestamp64Milli(ts)) DIV 1000 AS second, count() AS n
        FROM decisions
        WHERE surface = {surface:String}
          AND ts >= fromUnixTimestamp64Milli({since_ms:Int64})
          AND ts < fromUnixTimestamp64Milli({until_ms:Int64})
        GROUP BY second
    )
)
GROUP BY part
ORDER BY from_ms

-- name: logged_decisions
-- Decisions of a surface made in a time, both ends included; read as Arrow.
SELECT toString(event_id) AS event, toUnixTimestamp64Milli(ts) AS ts_ms, surface, unit_id,
       experiment, experiment_version, variant, policy, snapshot, context, actions,
       action_features, excluded, pmf, ranking, propensities, floor, seed, deferred,
       shadow_policies, shadow_probabilities, writer, seq, shadow_tops, surface_version,
       excluded_reasons, blocked, pinned, slot_features, catalogue, forced, keep_share
FROM decisions
WHERE surface = {surface:String}
  AND ts >= fromUnixTimestamp64Milli({from_ms:Int64})
  AND ts <= fromUnixTimestamp64Milli({through_ms:Int64})
ORDER BY ts, writer, seq
LIMIT 1 BY writer, seq

-- name: logged_rewards
-- Rewards of the decisions of a surface made in a time; an event id is an hour off at most.
-- put: reward_columns
-- put: of_logged_decisions

-- name: logged_exposures
-- Exposures of the decisions of a surface made in a time; an event id is an hour off at most.
-- put: exposure_columns
-- put: of_logged_decisions
