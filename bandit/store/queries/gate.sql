-- name: gate_hours
-- Closed decisions of a policy on a surface by hour, with the least floor that they were drawn with;
-- to read them in slices of a size.
SELECT
    intDiv(toUnixTimestamp64Milli(ts), 3600000) * 3600000 AS at_ms,
    count() AS rows_n,
    min(floor) AS least_floor
FROM decisions
WHERE surface = {surface:String}
    AND policy = {live:String}
    AND NOT forced
    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
GROUP BY at_ms
ORDER BY at_ms

-- name: gate_rows
-- Seen decisions of one policy in a slice of time, oldest first: the unit, what the top slot was drawn
-- with, what it earned, and what a shadow says of it (-1: nothing); why no importance weight holds
-- ('': one does); and the context's members by which they are told apart, as JSON.
SELECT
    cityHash64(unit_id) AS unit,
    propensity,
    reward,
    if(place > 0, toFloat64(shadow_probabilities[place]), -1.) AS target,
    multiIf(
        pinned, 'pinned',
        overridden, 'overridden',
        propensity >= 1 AND pool_n > 1, 'fixed',
        place = 0, 'absent',
        ''
    ) AS why,
    segments
FROM (
    SELECT
        event_id,
        ts,
        unit_id,
        toFloat64(propensity) AS propensity,
        pool_n,
        pinned,
        overridden,
        reward,
        shadow_probabilities,
        indexOf(shadow_policies, {challenger:String}) AS place
    FROM judged_decisions(
        -- put: surface_rules
    )
    WHERE policy = {live:String} AND seen AND NOT forced
) AS judged
LEFT JOIN (
    SELECT
        event_id,
        arrayMap(
            path -> arrayFold(
                (found, name) -> JSONExtractRaw(found, name), splitByChar('.', path), context
            ),
            {members:Array(String)}
        ) AS segments
    FROM decisions
    WHERE notEmpty({members:Array(String)})
        AND surface = {surface:String}
        AND policy = {live:String}
        AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
    ORDER BY decisions.ts, writer, seq
    LIMIT 1 BY event_id
) AS told USING (event_id)
ORDER BY ts, event_id

-- name: gate_members
-- Members of the context that take few values in the newest decisions of a policy: by these the gate
-- tells segments apart, where nobody names any.
SELECT member
FROM (
    SELECT arrayJoin(JSONExtractKeysAndValuesRaw(context)) AS pair, pair.1 AS member, pair.2 AS value
    FROM (
        SELECT context
        FROM decisions
        WHERE surface = {surface:String}
            AND policy = {live:String}
            AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
        ORDER BY ts DESC
        LIMIT 100000
    )
)
GROUP BY member
HAVING uniqExact(value) BETWEEN 2 AND {most:UInt32}
ORDER BY member
LIMIT 10
