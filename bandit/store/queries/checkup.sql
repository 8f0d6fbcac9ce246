-- name: checkup_server
-- Who answers, what its clock says, whether this user may write (0), and whether the database is
-- there.
SELECT version() AS version,
       toUnixTimestamp64Milli(now64(3)) AS now_ms,
       toUInt8(getSetting('readonly')) AS readonly,
       (SELECT count() FROM system.databases WHERE name = {database:String}) > 0 AS is_made

-- name: checkup_progress
-- What each host's drain said last, when, and whether that was its last word.
SELECT host,
       toUnixTimestamp64Milli(argMax(drained_through, (updated_at, done))) AS drained_through_ms,
       argMax(backlog_bytes, (updated_at, done)) AS backlog_bytes,
       toUnixTimestamp64Milli(max(updated_at)) AS updated_ms,
       argMax(done, (updated_at, done)) AS is_done
FROM progress
GROUP BY host
ORDER BY host

-- name: checkup_streams
-- Streams of one table with rows of a time, and how many numbers are missing between their first
-- and last row of it, as far as those came {settled_ms} ago or earlier.
SELECT surface, writer, min(seq) AS first, max(seq) AS last,
       last - first + 1 - uniqExact(seq) AS missing_n
FROM {table:Identifier}
WHERE ts >= fromUnixTimestamp64Milli({since_ms:Int64})
  AND ingested_at <= now64(3) - toIntervalMillisecond({settled_ms:Int64})
GROUP BY surface, writer
HAVING missing_n > 0
ORDER BY surface, writer

-- name: checkup_gaps
-- Numbers of one table that were given up.
SELECT DISTINCT surface, writer, first, last
FROM gaps
WHERE log_table = {table:String}

-- name: checkup_traffic
-- Per surface, since a time: decisions, the newest, and of those whose join window has ended how
-- many there are and how many ever got a reward.
SELECT surface,
       count() AS decisions_n,
       toUnixTimestamp64Milli(max(ts)) AS newest_ms,
       countIf(is_closed) AS closed_n,
       countIf(is_closed AND is_rewarded) AS rewarded_n
FROM (
    SELECT surface, ts,
           ts < fromUnixTimestamp64Milli({now_ms:Int64})
                - toIntervalMillisecond(transform(surface, {surfaces:Array(String)},
                                                  {windows_ms:Array(UInt64)}, toUInt64(0)))
               AS is_closed,
           event_id IN (
               SELECT event_id FROM rewards
               WHERE decision_ts >= fromUnixTimestamp64Milli({since_ms:Int64}) - INTERVAL 2 HOUR
           ) AS is_rewarded
    FROM decisions
    WHERE surface IN {surfaces:Array(String)}
      AND ts >= fromUnixTimestamp64Milli({since_ms:Int64})
    LIMIT 1 BY writer, seq
)
GROUP BY surface
ORDER BY surface

-- name: checkup_propensities
-- Per policy, of the newest decisions since a time: whether the top slot's propensity is what the
-- pmf says, and how far the mean weight of "any action of 0.001 or more" is from 1 (standard
-- errors). See bandit/service/auditing.py.
SELECT policy,
       count() AS decisions_n,
       countIf(abs(pmf[ranking[1] + 1] - propensities[1]) > 0.00001 * propensities[1])
           AS mismatches_n,
       sum(variance) AS spread,
       sum(weight - 1) / sqrt(greatest(spread, 1e-9)) AS inverse_z
FROM (
    SELECT policy, pmf, ranking, propensities,
           arrayFilter(p -> p >= 0.001, pmf) AS likely,
           greatest(length(likely), 1) AS m,
           if(pmf[ranking[1] + 1] >= 0.001, 1 / (m * propensities[1]), 0) AS weight,
           greatest(arraySum(p -> 1 / toFloat64(p), likely) / (m * m) - 1, 0) AS variance
    FROM decisions
    WHERE ts >= fromUnixTimestamp64Milli({since_ms:Int64})
      AND NOT has(pinned, 0)
      AND (empty(blocked) OR empty(blocked[1]))
    ORDER BY ts DESC
    LIMIT {limit:UInt32}
)
GROUP BY policy
ORDER BY policy

-- name: checkup_keys
-- Live API keys that end before a time, by their newest version.
SELECT key_id,
       argMax(client, version) AS client,
       toUnixTimestamp64Milli(argMax(expires_at, version)) AS expires_ms
FROM keys
GROUP BY key_id
HAVING NOT argMax(revoked, version)
   AND argMax(expires_at, version) <= fromUnixTimestamp64Milli({before_ms:Int64})
ORDER BY expires_ms
