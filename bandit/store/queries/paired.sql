-- part: paired_of_unit
-- What one unit's decisions earned, and the weights and contributions of the policy that is judged.
count() AS n,
countIf(w > 0) AS matched,
sum(earned) AS reward,
sum(w) AS weight,
sum(w * earned) AS contribution,
sum(w * w) AS squares,
max(w) AS greatest

-- part: paired_over_units
-- Moments of these sums over units: means, then comoments of n, reward, weight and contribution.
count() AS units_n,
sum(n) AS decisions_n,
sum(matched) AS matched_n,
avg(n) AS mean_n,
avg(reward) AS mean_reward,
avg(weight) AS mean_weight,
avg(contribution) AS mean_contribution,
units_n * varPopStable(n) AS nn,
units_n * covarPopStable(n, reward) AS nr,
units_n * covarPopStable(n, weight) AS nw,
units_n * covarPopStable(n, contribution) AS nc,
units_n * varPopStable(reward) AS rr,
units_n * covarPopStable(reward, weight) AS rw,
units_n * covarPopStable(reward, contribution) AS rc,
units_n * varPopStable(weight) AS ww,
units_n * covarPopStable(weight, contribution) AS wc,
units_n * varPopStable(contribution) AS cc,
sum(squares) AS weight_squares,
max(greatest) AS max_weight

-- name: paired_by_variant
-- Per experiment, variant and policy whose probabilities the variant's log holds: moments over units of
-- what their decisions earned, and of the importance weights and contributions of that policy. A
-- variant's own policy weighs 1. Decisions that were pinned or overridden are left out and, for another
-- policy, those at which nothing was drawn; so are units that were set by hand or seen in two variants.
SELECT
    experiment,
    variant,
    target,
    any(drew) AS policy,
    -- put: paired_over_units
FROM (
    SELECT
        experiment,
        variant,
        target,
        unit_id,
        any(policy) AS drew,
        -- put: paired_of_unit
    FROM (
        SELECT
            experiment,
            variant,
            policy,
            unit_id,
            toFloat64(reward) AS earned,
            arrayJoin(arrayPushFront(
                arrayFilter(
                    c -> c.1 != policy AND (propensity < 1 OR pool_n = 1),
                    arrayMap(
                        (s, p) -> tuple(toString(s), toFloat64(p) / propensity),
                        shadow_policies,
                        shadow_probabilities
                    )
                ),
                tuple(toString(policy), 1.)
            )) AS candidate,
            candidate.1 AS target,
            candidate.2 AS w
        FROM judged_decisions(
            -- put: surface_rules
        )
        WHERE experiment != '' AND seen AND NOT forced AND NOT pinned AND NOT overridden
    )
    WHERE (experiment, unit_id) NOT IN (
        SELECT experiment, unit_id
        FROM decisions
        WHERE surface = {surface:String}
            AND experiment != ''
            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
        GROUP BY experiment, unit_id
        HAVING uniqExact(variant) > 1 OR max(forced)
    )
    GROUP BY experiment, variant, target, unit_id
)
GROUP BY experiment, variant, target
ORDER BY experiment, variant, target

-- name: paired_by_exploring
-- Per day (UTC; '' for all of them) of one policy's decisions: moments over units of what they earned,
-- and of the weights and contributions of three policies that its own log tells of: `greedy` shows the
-- likeliest action (ties share), `uniform` any of the pool, `first` the first one offered. Decisions that were pinned or
-- overridden, or at which nothing was drawn, are left out.
SELECT
    period,
    target,
    -- put: paired_over_units
FROM (
    SELECT
        period,
        target,
        unit_id,
        -- put: paired_of_unit
    FROM (
        SELECT
            unit_id,
            toFloat64(reward) AS earned,
            arrayJoin(['', toString(toDate(ts, 'UTC'))]) AS period,
            arrayJoin([
                tuple('greedy', greedy / propensity),
                tuple('uniform', 1 / (pool_n * propensity)),
                tuple('first', is_first / propensity)
            ]) AS candidate,
            candidate.1 AS target,
            toFloat64(candidate.2) AS w
        FROM judged_decisions(
            -- put: surface_rules
        ) AS judged
        INNER JOIN (
            SELECT
                event_id,
                arrayFilter(
                    (p, i) -> NOT has(blocked[1], i), pmf, range(length(pmf))
                ) AS pool,
                arrayMax(pool) * (1 - 1e-6) AS best,
                if(pmf[ranking[1] + 1] >= best, 1 / arrayCount(p -> p >= best, pool), 0) AS greedy,
                ranking[1] = arrayFirst(
                    i -> NOT has(excluded, i) AND NOT has(blocked[1], i), range(length(pmf))
                ) AS is_first
            FROM decisions
            WHERE surface = {surface:String}
                AND policy = {policy:String}
                AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            ORDER BY decisions.ts, writer, seq
            LIMIT 1 BY event_id
        ) AS told USING (event_id)
        WHERE policy = {policy:String} AND seen AND NOT forced AND NOT pinned AND NOT overridden
            AND (propensity < 1 OR pool_n = 1)
    )
    GROUP BY period, target, unit_id
)
GROUP BY period, target
ORDER BY period, target

-- name: exploring_traffic
-- Of one policy's decisions that count: how many, over how long, from how many actions they drew, and
-- how their rewards vary.
SELECT
    count() AS decisions_n,
    toUnixTimestamp64Milli(min(ts)) AS first_ms,
    toUnixTimestamp64Milli(max(ts)) AS last_ms,
    avg(pool_n) AS actions_n,
    varPopStable(reward) AS reward_variance
FROM judged_decisions(
    -- put: surface_rules
)
WHERE policy = {policy:String} AND seen AND NOT forced AND NOT pinned AND NOT overridden
