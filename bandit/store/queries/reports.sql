-- name: report_variant_units
-- Units of an experiment by variant, up to a time: by their decisions on its surface or, without a
-- surface, by their assignments. Under '' those that belong to no variant: those that were ever set
-- by hand, and others that were seen in two variants.
SELECT
    if(is_forced OR variants_n > 1, '', seen_in) AS variant,
    is_forced,
    count() AS units_n
FROM (
    SELECT
        unit_id,
        any(variant) AS seen_in,
        uniqExact(variant) AS variants_n,
        max(forced) AS is_forced
    FROM (
        SELECT unit_id, variant, forced
        FROM decisions
        WHERE surface = {surface:String}
            AND experiment = {experiment:String}
            AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
        UNION ALL
        SELECT unit_id, variant, forced
        FROM assignments
        WHERE {surface:String} = ''
            AND experiment = {experiment:String}
            AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
    )
    GROUP BY unit_id
)
GROUP BY variant, is_forced
ORDER BY variant, is_forced

-- name: report_counts
-- Decisions of a surface (of one experiment, if named) by variant or by policy: how many there are,
-- how many still wait for their join window to end, were never seen, count, and what they earned.
-- Forced ones are counted apart.
WITH fromUnixTimestamp64Milli({closed_ms:Int64}, 'UTC') AS closed_at
SELECT
    if({by:String} = 'variant', variant, policy) AS label,
    countIf(NOT forced) AS decisions_n,
    countIf(NOT forced AND ts > closed_at) AS open_n,
    countIf(NOT forced AND ts <= closed_at AND NOT seen) AS unseen_n,
    countIf(NOT forced AND ts <= closed_at AND seen) AS counted_n,
    countIf(NOT forced AND ts <= closed_at AND seen AND rewarded) AS rewarded_n,
    countIf(NOT forced AND exposed) AS exposed_n,
    sumIf(reward, NOT forced AND ts <= closed_at AND seen) AS reward_sum,
    uniqExactIf(unit_id, NOT forced) AS units_n,
    toUnixTimestamp64Milli(max(ts)) AS newest_ms,
    countIf(NOT forced AND pinned) AS pinned_n,
    countIf(NOT forced AND overridden) AS overridden_n,
    countIf(forced) AS forced_n,
    countIf(forced AND ts > closed_at) AS forced_open_n
FROM judged_decisions(
    -- put: surface_rules
)
WHERE {experiment:String} IN ('', experiment)
GROUP BY label
ORDER BY label

-- name: report_weight_moments
-- Per policy whose probabilities the log holds: moments over units of their decisions, importance
-- weights and contributions at the top slot. A decision of the policy itself weighs 1; one of
-- another policy weighs what its shadow says ÷ what it was drawn with, unless nothing was drawn
-- (propensity 1 with a choice): such rows are barred and counted. So are, for the policy itself
-- too, those whose top slot was pinned, or overridden when it was shown. Of a shadow also how often
-- its likeliest action is known, and how often that is the one on top; pins have no say in that.
SELECT
    target,
    log,
    countIf(n > 0) AS units_n,
    sum(n) AS decisions_n,
    sum(matched) AS matched_n,
    sum(barred) AS barred_n,
    sum(pinned) AS pinned_n,
    sum(overridden) AS overridden_n,
    sum(tops) AS tops_n,
    sum(agreeing) AS agreeing_n,
    avgIf(n, n > 0) AS mean_n,
    avgIf(weight, n > 0) AS mean_weight,
    avgIf(contribution, n > 0) AS mean_contribution,
    units_n * varPopStableIf(n, n > 0) AS nn,
    units_n * covarPopStableIf(n, weight, n > 0) AS nw,
    units_n * covarPopStableIf(n, contribution, n > 0) AS nc,
    units_n * varPopStableIf(weight, n > 0) AS ww,
    units_n * covarPopStableIf(weight, contribution, n > 0) AS wc,
    units_n * varPopStableIf(contribution, n > 0) AS cc,
    sum(squares) AS weight_squares,
    max(greatest_weight) AS max_weight
FROM (
    SELECT
        target,
        log,
        unit_id,
        countIf(is_judged) AS n,
        countIf(is_judged AND w > 0) AS matched,
        countIf(NOT is_judged) AS barred,
        countIf(why = 'pinned') AS pinned,
        countIf(why = 'overridden') AS overridden,
        countIf(candidate_top >= 0 AND why != 'pinned') AS tops,
        countIf(candidate_top = top AND why != 'pinned') AS agreeing,
        sumIf(w, is_judged) AS weight,
        sumIf(w * reward, is_judged) AS contribution,
        sumIf(w * w, is_judged) AS squares,
        maxIf(w, is_judged) AS greatest_weight
    FROM (
        SELECT
            unit_id,
            reward,
            top,
            multiIf(pinned, 'pinned', overridden, 'overridden', '') AS why,
            propensity < 1 OR pool_n = 1 AS is_drawn,
            arrayJoin(arrayPushFront(
                arrayFilter(
                    c -> c.1 != policy,
                    arrayMap(
                        (s, p, t) -> tuple(
                            toString(s),
                            p / propensity,
                            is_drawn AND why = '',
                            ['all', 'others'],
                            t
                        ),
                        shadow_policies,
                        shadow_probabilities,
                        shadow_tops
                    )
                ),
                tuple(toString(policy), 1., why = '', ['all'], toInt32(-1))
            )) AS candidate,
            candidate.1 AS target,
            candidate.2 AS w,
            candidate.3 AS is_judged,
            arrayJoin(candidate.4) AS log,
            candidate.5 AS candidate_top
        FROM judged_decisions(
            -- put: surface_rules
        )
        WHERE seen AND NOT forced
    )
    GROUP BY target, log, unit_id
)
GROUP BY target, log
ORDER BY target, log

-- name: report_policy_moments
-- Moments per policy of the units' mean rewards per decision outside any experiment.
SELECT
    policy,
    sum(decisions_n) AS decisions_n,
    count() AS units_n,
    avg(number) AS mean,
    varPopStable(number) * count() AS m2
FROM (
    SELECT policy, unit_id, count() AS decisions_n, sum(reward) / decisions_n AS number
    FROM judged_decisions(
        -- put: surface_rules
    )
    WHERE seen AND NOT forced AND experiment = '' AND has({policies:Array(String)}, policy)
    GROUP BY policy, unit_id
)
GROUP BY policy
ORDER BY policy

-- name: report_running
-- Decisions that count and their rewards by variant or policy, in buckets of time.
SELECT
    if({by:String} = 'variant', variant, policy) AS label,
    intDiv(toUnixTimestamp64Milli(ts), {bucket_ms:Int64}) * {bucket_ms:Int64} AS at_ms,
    count() AS decisions_n,
    sum(reward) AS reward_sum
FROM judged_decisions(
    -- put: surface_rules
)
WHERE seen AND NOT forced AND {experiment:String} IN ('', experiment)
GROUP BY label, at_ms
ORDER BY label, at_ms

-- name: report_running_variants
-- The same by experiment and variant, of every experiment of the surface.
SELECT
    experiment,
    variant AS label,
    intDiv(toUnixTimestamp64Milli(ts), {bucket_ms:Int64}) * {bucket_ms:Int64} AS at_ms,
    count() AS decisions_n,
    sum(reward) AS reward_sum
FROM judged_decisions(
    -- put: surface_rules
)
WHERE seen AND NOT forced AND experiment != ''
GROUP BY experiment, label, at_ms
ORDER BY experiment, label, at_ms

-- name: report_span
-- When the first and the last decision of every surface (of one, if named) happened up to a time,
-- how many there were, and how many since another time.
SELECT
    surface,
    toUnixTimestamp64Milli(min(ts)) AS first_ms,
    toUnixTimestamp64Milli(max(ts)) AS newest_ms,
    uniqExact(event_id) AS decisions_n,
    uniqExactIf(event_id, ts >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')) AS recent_n
FROM decisions
WHERE {surface:String} IN ('', surface)
    AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
GROUP BY surface
ORDER BY surface

-- name: report_open
-- Decisions of an experiment by variant whose join window has not ended as of a time, without forced
-- ones.
SELECT variant, uniqExact(event_id) AS decisions_n
FROM decisions
WHERE surface = {surface:String}
    AND experiment = {experiment:String}
    AND NOT forced
    AND ts > fromUnixTimestamp64Milli({closed_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
GROUP BY variant
ORDER BY variant

-- name: report_rate
-- Decisions of a surface in buckets of time, whether their window has ended or not.
SELECT
    intDiv(toUnixTimestamp64Milli(ts), {bucket_ms:Int64}) * {bucket_ms:Int64} AS at_ms,
    uniqExact(event_id) AS decisions_n
FROM decisions
WHERE surface = {surface:String}
    AND ts >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
GROUP BY at_ms
ORDER BY at_ms

-- name: report_log_rows
-- What the log holds of one surface per table, up to a time: records accepted, and distinct things
-- among them (a client's repetition is accepted and is no new thing).
SELECT 'decisions' AS table, uniqExact(writer, seq) AS records_n, uniqExact(event_id) AS distinct_n
FROM decisions
WHERE surface = {surface:String} AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
UNION ALL
SELECT 'rewards', uniqExact(writer, seq), uniqExact(event_id, reward_id)
FROM rewards
WHERE surface = {surface:String} AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
UNION ALL
SELECT 'exposures', uniqExact(writer, seq), uniqExact(event_id)
FROM exposures
WHERE surface = {surface:String} AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')

-- name: report_thinned
-- Decisions of a surface that were logged while only a share of them was, up to a time, and how many
-- decisions they stand for.
SELECT count() AS logged_n, sum(1 / share) AS stand_for
FROM (
    SELECT event_id, any(keep_share) AS share
    FROM decisions
    WHERE surface = {surface:String} AND keep_share < 1
      AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
    GROUP BY event_id
)

-- name: report_snapshots
-- The newest snapshots of a policy up to a time, newest first, without their weights; of two with
-- one number the first one that was stored counts.
SELECT
    number,
    toUnixTimestamp64Milli(created_at) AS created_ms,
    toUnixTimestamp64Milli(watermark) AS watermark_ms,
    trained,
    defaulted,
    unseen,
    late,
    duplicate,
    orphan,
    out_of_bounds,
    given_up
FROM snapshots
WHERE policy = {policy:String}
    AND created_at <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
ORDER BY number DESC, _block_number
LIMIT 1 BY number
LIMIT {limit:UInt32}

-- name: report_served
-- The newest snapshot that a policy's decisions were made with, up to a time.
SELECT max(snapshot) AS snapshot, count() AS decisions_n
FROM decisions
WHERE surface = {surface:String}
    AND policy = {policy:String}
    AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')

-- name: report_latency
-- How long feedback took to reach served decisions, from the log alone: for every decision, from
-- the end of its join window to the first decision made with the snapshot (or a later one) in which
-- it was closed.
WITH
    published AS (
        SELECT 1 AS one, number, watermark
        FROM snapshots
        WHERE policy = {policy:String}
            AND created_at <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
        ORDER BY number, _block_number
        LIMIT 1 BY number
    ),
    first_use AS (
        SELECT 1 AS one, snapshot, min(min(ts)) OVER (ORDER BY snapshot DESC) AS served_at
        FROM decisions
        WHERE surface = {surface:String}
            AND policy = {policy:String}
            AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
        GROUP BY snapshot
    ),
    served AS (
        SELECT one, watermark, served_at
        FROM published ASOF JOIN first_use
            ON published.one = first_use.one AND published.number <= first_use.snapshot
    )
SELECT
    count() AS served_n,
    quantilesExact(0.5, 0.95)(
        toUnixTimestamp64Milli(served_at) - toUnixTimestamp64Milli(ts) - {window_ms:Int64}
    ) AS latency_ms
FROM (
    SELECT 1 AS one, ts
    FROM decisions
    WHERE surface = {surface:String}
        AND {only_policy:String} IN ('', policy)
        AND ts >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
    LIMIT 1 BY event_id
) AS closed
ASOF JOIN served ON closed.one = served.one AND closed.ts <= served.watermark
