-- name: report_actions_shown
-- Actions that top slots of a surface showed, most shown first: how often, and what that earned.
-- What was pinned was shown, what was overridden was not. Beside each how many actions there are.
SELECT
    action,
    count() AS shown_n,
    countIf(rewarded) AS rewarded_n,
    sum(reward) AS reward_sum,
    count() OVER () AS actions_n
FROM (
    SELECT event_id, actions[ranking[1] + 1] AS action
    FROM decisions
    WHERE surface = {surface:String}
        AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
    ORDER BY ts, writer, seq
    LIMIT 1 BY event_id
) AS d
INNER JOIN (
    SELECT event_id, rewarded, reward
    FROM judged_rows(
        shards_n = 1, shard = 0, of_experiment = '', since_ms = -1,
        -- put: surface_rules
    )
    WHERE seen AND NOT forced AND NOT overridden
) AS j USING (event_id)
GROUP BY action
ORDER BY shown_n DESC, action
LIMIT {limit:UInt32}

-- name: report_actions_left_out
-- Decisions of a surface that tell nothing of what another action would have earned, each under the
-- first reason that holds, and the first and last time of those that do.
SELECT
    countIf(why = '') AS judged_n,
    countIf(why = 'forced') AS forced_n,
    countIf(why = 'unseen') AS unseen_n,
    countIf(why = 'pinned') AS pinned_n,
    countIf(why = 'overridden') AS overridden_n,
    countIf(why = 'killed') AS killed_n,
    countIf(why = 'certain') AS certain_n,
    toUnixTimestamp64Milli(minIf(ts, why = '')) AS first_ms,
    toUnixTimestamp64Milli(maxIf(ts, why = '')) AS last_ms
FROM (
    SELECT
        ts,
        multiIf(
            forced, 'forced',
            NOT seen, 'unseen',
            pinned, 'pinned',
            overridden, 'overridden',
            policy = {kill_switch:String}, 'killed',
            NOT (propensity < 1 OR pool_n = 1), 'certain',
            ''
        ) AS why
    FROM judged_rows(
        shards_n = 1, shard = 0, of_experiment = '', since_ms = -1,
        -- put: surface_rules
    )
)

-- name: report_actions_draws
-- How often each of some actions could be drawn for a top slot and was, and how often by the logged
-- propensities it should have been. Every drawn slot counts, whatever came of it: what was seen or
-- overridden depends on what was drawn.
SELECT
    tupleElement(entry, 1) AS action,
    count() AS n,
    countIf(tupleElement(entry, 3)) AS drawn,
    sum(tupleElement(entry, 2)) AS expected,
    sum(tupleElement(entry, 2) * (1 - tupleElement(entry, 2))) AS variance
FROM (
    SELECT
        arrayJoin(arrayFilter(
            e -> has({actions:Array(String)}, e.1),
            arrayMap(
                i -> tuple(
                    actions[i],
                    if(i = top, propensity, least(toFloat64(pmf[i]) / pool, 1.)),
                    i = top
                ),
                arrayFilter(
                    i -> NOT has(excluded, i - 1) AND NOT has(blocked[1], i - 1),
                    arrayEnumerate(actions)
                )
            )
        )) AS entry
    FROM (
        SELECT
            actions,
            excluded,
            blocked,
            pmf,
            ranking[1] + 1 AS top,
            propensities[1] AS propensity,
            1 - arraySum(arrayMap(i -> toFloat64(pmf[i + 1]), blocked[1])) AS pool
        FROM decisions
        WHERE surface = {surface:String}
            AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
            AND NOT has(pinned, 0)
            AND propensities[1] < 1
        ORDER BY ts, writer, seq
        LIMIT 1 BY event_id
    )
)
GROUP BY action

-- name: report_actions_periods
-- What was known of each of some actions in each period of time: how often it could be drawn, with
-- which probability in total, how often it was, and what that earned.
SELECT
    tupleElement(entry, 1) AS action,
    intDiv(toUnixTimestamp64Milli(ts) - {first_ms:Int64}, {step_ms:Int64}) AS period,
    count() AS eligible_n,
    sum(tupleElement(entry, 2)) AS propensity_sum,
    countIf(tupleElement(entry, 3)) AS drawn_n,
    sumIf(reward, tupleElement(entry, 3)) AS reward_sum
FROM (
    SELECT
        ts,
        reward,
        arrayJoin(arrayFilter(
            e -> has({actions:Array(String)}, e.1),
            arrayMap(
                i -> tuple(
                    actions[i],
                    if(i = top, propensity, toFloat64(pmf[i]) / pool),
                    i = top
                ),
                arrayFilter(
                    i -> NOT has(excluded, i - 1) AND NOT has(blocked[1], i - 1),
                    arrayEnumerate(actions)
                )
            )
        )) AS entry
    FROM (
        SELECT
            event_id,
            actions,
            excluded,
            blocked,
            pmf,
            ranking[1] + 1 AS top,
            propensities[1] AS propensity,
            1 - arraySum(arrayMap(i -> toFloat64(pmf[i + 1]), blocked[1])) AS pool
        FROM decisions
        WHERE surface = {surface:String}
            AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
        ORDER BY ts, writer, seq
        LIMIT 1 BY event_id
    ) AS d
    INNER JOIN (
        SELECT event_id, ts, reward
        FROM judged_rows(
            shards_n = 1, shard = 0, of_experiment = '', since_ms = -1,
            -- put: surface_rules
        )
        WHERE seen AND NOT forced AND NOT pinned AND NOT overridden
            AND policy != {kill_switch:String} AND (propensity < 1 OR pool_n = 1)
    ) AS j USING (event_id)
)
GROUP BY action, period
ORDER BY action, period

-- name: report_actions_scores
-- Moments over units of what the scores of some actions add up to. The score of an action where it
-- could be drawn is m + 1{drawn}·(reward − m)/p, with m what earlier periods foretold of it; h is
-- the weight of its period. Columns of the moments: decisions, scores, h, h·scores, 1{drawn}/p,
-- 1{drawn}·reward/p, decisions where the reference could be drawn, too, and there the score less
-- the reference's. `predictions` and `period_weights` hold `periods` numbers per action.
SELECT
    {actions:Array(String)}[place] AS action,
    count() AS units_n,
    sum(n) AS decisions_n,
    sum(drawn) AS drawn_n,
    sum(inverse) AS inverse_sum,
    sum(squares) AS inverse_squares,
    [
        avg(n), avg(score), avg(h), avg(h_score), avg(inverse), avg(earned), avg(both), avg(gap)
    ] AS means,
    covarSampMatrix(n, score, h, h_score, inverse, earned, both, gap) AS covariance
FROM (
    SELECT
        place,
        unit_id,
        toFloat64(count()) AS n,
        sum(one_score) AS score,
        sum(weight) AS h,
        sum(weight * one_score) AS h_score,
        countIf(is_top) AS drawn,
        sumIf(one_inverse, is_top) AS inverse,
        sumIf(one_inverse * one_inverse, is_top) AS squares,
        sumIf(one_inverse * reward, is_top) AS earned,
        toFloat64(countIf(has_reference)) AS both,
        sumIf(one_score - reference_score, has_reference) AS gap
    FROM (
        SELECT
            unit_id,
            reward,
            1 / propensity AS one_inverse,
            tupleElement(entry, 1) AS place,
            tupleElement(entry, 2) AS is_top,
            (place - 1) * {periods:UInt32} + period + 1 AS cell,
            {predictions:Array(Float64)}[cell] AS foretold,
            {period_weights:Array(Float64)}[cell] AS weight,
            foretold + if(is_top, (reward - foretold) * one_inverse, 0.) AS one_score,
            has_reference,
            {predictions:Array(Float64)}[
                ({reference:UInt32} - 1) * {periods:UInt32} + period + 1
            ] AS reference_foretold,
            reference_foretold
            + if(is_reference_top, (reward - reference_foretold) * one_inverse, 0.)
                AS reference_score
        FROM (
            SELECT
                unit_id,
                reward,
                propensity,
                period,
                is_reference_top,
                has_reference,
                arrayJoin(pool) AS entry
            FROM (
                SELECT
                    event_id,
                    arrayFilter(
                        e -> e.1 > 0,
                        arrayMap(
                            (action, i) -> (
                                if(
                                    has(excluded, i - 1) OR has(blocked[1], i - 1),
                                    0,
                                    indexOf({actions:Array(String)}, action)
                                ),
                                i = ranking[1] + 1
                            ),
                            actions,
                            arrayEnumerate(actions)
                        )
                    ) AS pool,
                    arrayExists(e -> e.1 = {reference:UInt32}, pool) AS has_reference,
                    arrayExists(e -> e.1 = {reference:UInt32} AND e.2, pool) AS is_reference_top,
                    propensities[1] AS propensity
                FROM decisions
                WHERE surface = {surface:String}
                    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                ORDER BY ts, writer, seq
                LIMIT 1 BY event_id
            ) AS d
            INNER JOIN (
                SELECT
                    event_id,
                    unit_id,
                    reward,
                    intDiv(toUnixTimestamp64Milli(ts) - {first_ms:Int64}, {step_ms:Int64}) AS period
                FROM judged_rows(
                    shards_n = 1, shard = 0, of_experiment = '', since_ms = -1,
                    -- put: surface_rules
                )
                WHERE seen AND NOT forced AND NOT pinned AND NOT overridden
                    AND policy != {kill_switch:String} AND (propensity < 1 OR pool_n = 1)
            ) AS j USING (event_id)
        )
    )
    GROUP BY place, unit_id
)
GROUP BY place
ORDER BY place
