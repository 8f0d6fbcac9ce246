-- name: audit_decisions
-- What must hold of every decision of a surface: rows and distinct events, and how many decisions
-- break a rule. The pmf is kept in float32, so its propensity is compared to six digits. A pinned
-- slot was not drawn; at a slot with blocked actions the others share what those had.
SELECT count() AS rows_n,
       uniqExact(event_id) AS events_n,
       countIf(arrayExists(p -> NOT (p > 0 AND p <= 1), propensities)) AS bad_propensities_n,
       countIf(NOT (abs(arraySum(pmf) - 1) <= 1e-6)) AS bad_sums_n,
       countIf(arrayExists((p, i) -> NOT (p >= floor * 0.999999 OR has(excluded, i - 1)),
                           pmf, arrayEnumerate(pmf))) AS below_floor_n,
       countIf(NOT has(pinned, 0)
               AND NOT (abs(pmf[ranking[1] + 1]
                            / (1 - arraySum(arrayMap(i -> pmf[i + 1], blocked[1])))
                            - propensities[1]) <= 1e-6)) AS not_drawn_with_n
FROM (
    SELECT * FROM decisions WHERE surface = {surface:String} LIMIT 1 BY writer, seq
)

-- name: audit_event_ids
-- Every event of a surface that the log holds.
SELECT DISTINCT toString(event_id) AS event_id FROM decisions WHERE surface = {surface:String}

-- name: audit_reward_ids
-- Every reward id of a surface that the log holds.
SELECT DISTINCT reward_id FROM rewards WHERE surface = {surface:String}

-- name: audit_late_rewards
-- What the rewards of a surface are worth that came when the join window had ended, each reward id
-- once, by its first row.
SELECT count() AS rewards_n, sum(worth) AS worth
FROM (
    SELECT argMin(value, (ts, writer, seq)) AS worth
    FROM rewards
    WHERE surface = {surface:String}
    GROUP BY event_id, reward_id, decision_ts
    HAVING min(ts) >= decision_ts + toIntervalMillisecond({window_ms:Int64})
)

-- name: audit_pmfs
-- What each decision of a surface was drawn from.
SELECT toString(event_id) AS event_id, any(pmf) AS pmf
FROM decisions
WHERE surface = {surface:String}
GROUP BY event_id

-- name: audit_bytes
-- Bytes on disk and rows of a table's parts on this node.
SELECT sum(bytes_on_disk) AS size, sum(rows) AS rows_n
FROM system.parts
WHERE active AND database = currentDatabase()
      AND table IN ({table:String}, concat({table:String}, '_local'))

-- name: audit_merge
-- Merge all parts of decisions, so that their bytes are those of an old log.
OPTIMIZE TABLE decisions FINAL
