-- name: recent_since
-- The minute in which the newest so many decisions of a surface begin, up to a time, and how many
-- rows there are from then on; nothing without a decision.
SELECT minute_ms, newer_n
FROM (
    SELECT minute_ms, n, sum(n) OVER (ORDER BY minute_ms DESC) AS newer_n
    FROM (
        SELECT intDiv(toUnixTimestamp64Milli(ts), 60000) * 60000 AS minute_ms, count() AS n
        FROM decisions
        WHERE surface = {surface:String}
            AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
        GROUP BY minute_ms
    )
)
WHERE newer_n - n < {rows:UInt64}
ORDER BY minute_ms
LIMIT 1

-- name: recent_segments
-- Closed decisions by the value of one member of the context (as JSON; '' where it is absent), the
-- most frequent values first: how many count, how many anything came back for, what they earned.
-- Beside them over how many values they spread.
SELECT
    segment,
    count() AS counted_n,
    countIf(rewarded) AS rewarded_n,
    sum(reward) AS reward_sum,
    uniqExact(unit_id) AS units_n,
    count() OVER () AS values_n
FROM (
    SELECT
        arrayFold(
            (found, name) -> JSONExtractRaw(found, name), splitByChar('.', {by:String}), context
        ) AS segment,
        rewarded,
        reward,
        unit_id
    FROM judged_rows(
        shards_n = 1, shard = 0, of_experiment = '', since_ms = -1,
        -- put: surface_rules
    )
    WHERE seen AND NOT forced AND {policy:String} IN ('', policy)
)
GROUP BY segment
ORDER BY counted_n DESC, segment
LIMIT {limit:UInt32}

-- name: recent_segment_actions
-- Which actions the top slots of the same decisions showed, for some values of that member: the most
-- shown of each, and beside them how many decisions a value has.
SELECT
    segment, action, count() AS shown_n, sum(shown_n) OVER (PARTITION BY segment) AS decisions_n
FROM (
    SELECT
        arrayFold(
            (found, name) -> JSONExtractRaw(found, name), splitByChar('.', {by:String}), context
        ) AS segment,
        actions[ranking[1] + 1] AS action
    FROM decisions
    WHERE surface = {surface:String}
        AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
        AND NOT forced
        AND {policy:String} IN ('', policy)
    ORDER BY ts, writer, seq
    LIMIT 1 BY event_id
)
WHERE segment IN {segments:Array(String)}
GROUP BY segment, action
ORDER BY segment, shown_n DESC, action
LIMIT {actions_n:UInt32} BY segment

-- name: recent_members
-- Members of the context of the newest decisions that take few values: by these one can tell them
-- apart.
SELECT member
FROM (
    SELECT arrayJoin(JSONExtractKeysAndValuesRaw(context)) AS pair, pair.1 AS member, pair.2 AS value
    FROM (
        SELECT context
        FROM decisions
        WHERE surface = {surface:String}
            AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
        ORDER BY ts DESC
        LIMIT 10000
    )
)
GROUP BY member
HAVING uniqExact(value) BETWEEN 2 AND {most:UInt32}
ORDER BY member
LIMIT 50

-- name: recent_newcomers
-- Actions that were first offered after a time, the newest first: how often they were offered and
-- could be drawn, with which probability in all, and how often they were on top. Beside them how many
-- there are.
SELECT
    action,
    toUnixTimestamp64Milli(min(ts)) AS first_ms,
    count() AS offered_n,
    countIf(is_eligible) AS eligible_n,
    sumIf(probability, is_eligible) AS expected_n,
    countIf(is_top) AS shown_n,
    count() OVER () AS newcomers_n
FROM (
    SELECT
        ts,
        arrayJoin(arrayMap(
            (id, p, i) -> tuple(
                id,
                toFloat64(p),
                NOT has(excluded, i - 1),
                i = ranking[1] + 1
            ),
            actions, pmf, arrayEnumerate(actions)
        )) AS entry,
        entry.1 AS action,
        entry.2 AS probability,
        entry.3 AS is_eligible,
        entry.4 AS is_top
    FROM (
        SELECT ts, actions, pmf, excluded, ranking
        FROM decisions
        WHERE surface = {surface:String}
            AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
        ORDER BY ts, writer, seq
        LIMIT 1 BY event_id
    )
)
GROUP BY action
HAVING min(ts) > fromUnixTimestamp64Milli({new_from_ms:Int64}, 'UTC')
ORDER BY first_ms DESC, action
LIMIT {limit:UInt32}

-- name: recent_delays
-- Rewards for decisions made from a time on, each once, by how long after its decision it came: half
-- a power of ten of milliseconds each, and whether the decision is in the log.
SELECT
    toInt32(floor(2 * log10(greatest(delay_ms, 1)))) AS step,
    known,
    count() AS rewards_n,
    countIf(delay_ms >= {window_ms:Int64}) AS late_n,
    sum(copies - 1) AS repeated_n
FROM (
    SELECT
        event_id,
        uniqExact(writer, seq) AS copies,
        toUnixTimestamp64Milli(min(ts)) - toUnixTimestamp64Milli(any(decision_ts)) AS delay_ms,
        event_id IN (
            SELECT event_id
            FROM decisions
            WHERE surface = {surface:String}
                AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') - toIntervalHour(2)
                AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
        ) AS known
    FROM rewards
    WHERE surface IN ({surface:String}, '')
        AND decision_ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
    GROUP BY event_id, reward_id, slot, name, surface
    HAVING surface != '' OR known
)
GROUP BY step, known
ORDER BY step, known

-- name: recent_decisions
-- The newest decisions of a surface (of one unit, if named) in a range of time, newest first.
SELECT
    toString(event_id) AS id,
    toUnixTimestamp64Milli(ts) AS ts_ms,
    unit_id,
    experiment,
    variant,
    policy,
    snapshot,
    actions[ranking[1] + 1] AS top,
    propensities[1] AS propensity,
    length(actions) AS offered_n
FROM decisions
WHERE surface = {surface:String}
    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
    AND {unit_id:String} IN ('', unit_id)
ORDER BY ts DESC, writer, seq
LIMIT 1 BY event_id
LIMIT {limit:UInt32}

-- name: decision_rewards
-- Every reward row that names a decision, in the order in which rewards are joined.
SELECT
    toUnixTimestamp64Milli(ts) AS ts_ms,
    toUnixTimestamp64Milli(decision_ts) AS decision_ts_ms,
    slot,
    name,
    value,
    reward_id
FROM rewards
WHERE event_id = {event_id:UUID}
    AND decision_ts BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
                        AND fromUnixTimestamp64Milli({until_ms:Int64})
ORDER BY ts, writer, seq, surface
LIMIT {limit:UInt32}

-- name: decision_exposures
-- Every exposure row that names a decision, oldest first.
SELECT toUnixTimestamp64Milli(ts) AS ts_ms, slots, overridden, overridden_by
FROM exposures
WHERE event_id = {event_id:UUID}
    AND decision_ts BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
                        AND fromUnixTimestamp64Milli({until_ms:Int64})
ORDER BY ts, writer, seq
LIMIT {limit:UInt32}

-- name: decision_judged
-- What a decision's top slot earned, as learners and reports join it; no row while it is not seen.
SELECT rewarded, seen, reward, rewards
FROM judged_rows(
    shards_n = 1, shard = 0, of_experiment = '', since_ms = -1,
    -- put: surface_rules
)
WHERE event_id = {event_id:UUID}

-- name: recent_whole_decisions
-- The newest decisions of a surface from a time on, newest first, with all that they offered; not
-- imported ones, for nobody here drew them.
-- bytes: context, action_features, slot_features
SELECT toString(event_id) AS event, toUnixTimestamp64Milli(ts), surface, unit_id, experiment,
       experiment_version, variant, policy, snapshot, context, actions, action_features, excluded,
       pmf, ranking, propensities, floor, seed, deferred, shadow_policies, shadow_probabilities,
       writer, seq, shadow_tops, surface_version, excluded_reasons, blocked, pinned, slot_features,
       catalogue, forced, keep_share
FROM decisions
WHERE surface = {surface:String}
    AND policy != 'imported'
    AND ts >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
ORDER BY ts DESC, event_id, writer, seq
LIMIT 1 BY event_id
LIMIT {n:UInt32}
