-- part: allocated_decisions
-- Decisions of a surface in a time that nobody set by hand, once each.
FROM decisions
WHERE surface = {surface:String}
    AND ts > fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
    AND NOT forced
    AND event_id NOT IN (
        SELECT event_id
        FROM decisions
        WHERE surface = {surface:String}
            AND ts > fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC') - toIntervalMinute(1)
            AND ts <= fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')
    )
ORDER BY decisions.ts, writer, seq
LIMIT 1 BY event_id

-- name: allocation_pieces
-- Decisions of a surface by hour in a range of time that excludes its start, with the first and the
-- last one's time; to read them in pieces.
SELECT
    intDiv(toUnixTimestamp64Milli(ts), 3600000) * 3600000 AS at_ms,
    count() AS rows_n,
    toUnixTimestamp64Milli(min(ts)) AS first_ms,
    toUnixTimestamp64Milli(max(ts)) AS last_ms
FROM decisions
WHERE surface = {surface:String}
    AND ts > fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
GROUP BY at_ms
ORDER BY at_ms

-- name: allocation_drawn
-- Decisions of a surface by policy and bucket of time: how many, at how many the top slot was drawn,
-- and of these how often another action of the pool was likelier, how many actions they could draw,
-- how many of them had no more than the floor, and how often one of those was drawn. Decisions whose
-- variant was set by hand are left out, and those that were logged in the minute before, too.
SELECT
    policy,
    at_ms,
    count() AS decisions_n,
    countIf(is_drawn) AS drawn_n,
    countIf(is_drawn AND chosen < arrayMax(pool) * (1 - 1e-6)) AS explored_n,
    sumIf(length(pool), is_drawn) AS pool_n,
    sumIf(arrayCount(p -> p <= least, pool), is_drawn) AS floor_n,
    countIf(is_drawn AND chosen <= least) AS floor_drawn_n,
    sumIf(toFloat64(chosen), is_drawn) AS chosen_sum
FROM (
    SELECT
        toString(policy) AS policy,
        intDiv(toUnixTimestamp64Milli(ts), {bucket_ms:Int64}) * {bucket_ms:Int64} AS at_ms,
        NOT has(pinned, 0) AND propensities[1] < 1 AS is_drawn,
        pmf[ranking[1] + 1] AS chosen,
        if(floor > 0, floor * (1 + 1e-6), -1) AS least,
        arrayFilter(
            (p, i) -> NOT has(excluded, i) AND NOT has(blocked[1], i), pmf, range(length(pmf))
        ) AS pool
    -- put: allocated_decisions
)
GROUP BY policy, at_ms
ORDER BY policy, at_ms

-- name: allocation_shown
-- The same decisions by policy, bucket of time and the action that was ranked on top: the most shown
-- of each policy and bucket.
SELECT policy, at_ms, action, count() AS shown_n
FROM (
    SELECT
        toString(policy) AS policy,
        intDiv(toUnixTimestamp64Milli(ts), {bucket_ms:Int64}) * {bucket_ms:Int64} AS at_ms,
        actions[ranking[1] + 1] AS action
    -- put: allocated_decisions
)
GROUP BY policy, at_ms, action
ORDER BY policy, at_ms, shown_n DESC, action
LIMIT {actions_n:UInt32} BY policy, at_ms
