-- name: ope_rate
-- Decisions of a surface by the hour they were made in, so that the log can be read in slices.
SELECT
    toUnixTimestamp64Milli(toDateTime64(toStartOfHour(ts), 3, 'UTC')) AS hour_ms,
    count() AS rows_n
FROM decisions
WHERE surface = {surface:String}
    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
GROUP BY hour_ms
ORDER BY hour_ms

-- name: ope_targets
-- Policies whose probabilities the log of a surface holds: those that drew, and shadows.
SELECT DISTINCT arrayJoin(arrayPushFront(shadow_policies, policy)) AS target
FROM decisions
WHERE surface = {surface:String}
    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
ORDER BY target

-- name: ope_slice
-- What a slice of the log is like: whether any of its events was stored more than once (now or
-- shortly before it), and about how many units it has. Hashes of two events that are equal would
-- have the slice sorted for nothing, and are counted in half the time.
SELECT
    count() > uniqExact(cityHash64(event_id)) AS repeated,
    uniqHLL12(unit_id) AS units_n
FROM decisions
WHERE surface = {surface:String}
    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') - INTERVAL 10 MINUTE
    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')

-- name: ope_moments
-- Sums of importance weights and rewards at the top slot over a slice of the log, by target policy,
-- segment, reason why decisions are left out ('' for those that count) and key of the unit.
--
-- The rules of rewards are those of judged_decisions (a test holds them equal); rows of the slice
-- and their rewards are found by time, so that memory follows the slice. A decision of the target
-- itself weighs 1; another weighs the target's shadow probability ÷ what it was drawn with. Sums are
-- weighted by 1 ÷ keep_share once. Reasons, the first that holds: `forced` (variant set by hand),
-- `unseen`, `pinned`, `overridden`, `own` (of the target itself, where those were not asked for),
-- `absent` (the log holds no probability of the target), `fixed` (nothing was drawn).
--
-- An event that was stored twice counts where it was first, as far as it is less than 10 minutes
-- before the slice; only slices that have any are sorted.
--
-- Rewards come to the join in their order and without texts, which would be written for every
-- decision, most of which have none: (time, slot, hash of the id, hash of the name, worth, value).
WITH
    ts + toIntervalMillisecond({window_ms:Int64}) AS window_end,
    arrayFilter(x -> x.1 >= ts AND x.1 < window_end AND x.2 < slots_n, rows) AS timely,
    arrayFilter(
        (x, repetition) -> repetition = 1 AND x.2 = 0,
        timely,
        arrayEnumerateUniq(arrayMap(x -> x.3, timely))
    ) AS counted,
    arrayDistinct(arrayMap(x -> (x.4, x.5), counted)) AS names,
    arrayMap(
        name -> arrayMap(x -> x.6, arrayFilter(x -> x.4 = name.1, counted)), names
    ) AS earned,
    arrayMap(
        v -> multiIf(
            {aggregation:String} = 'sum', arraySum(v),
            {aggregation:String} = 'first', v[1],
            {aggregation:String} = 'last', v[-1],
            {aggregation:String} = 'mean', arrayAvg(v),
            {aggregation:String} = 'max', arrayMax(v),
            arrayMin(v)
        ),
        earned
    ) AS totals,
    chosen AS (
        SELECT
            event_id,
            ts,
            propensities[1] AS propensity,
            if(
                {groups:UInt64} = 0, cityHash64(unit_id), cityHash64(unit_id) % {groups:UInt64}
            ) AS key,
            multiIf(
                {by:String} = 'variant', toString(variant),
                {by:String} = 'policy', toString(policy),
                {by:String} = 'context', if(
                    position({member:String}, '.') = 0,
                    JSONExtractRaw(context, {member:String}),
                    arrayFold(
                        (found, member) -> JSONExtractRaw(found, member),
                        splitByChar('.', {member:String}),
                        context
                    )
                ),
                ''
            ) AS raw,
            if(startsWith(raw, '"'), JSONExtractString(raw), raw) AS segment,
            propensity >= 1
                AND length(actions) - length(excluded) - length(blocked[1]) > 1 AS undrawn,
            multiIf(forced, 'forced', has(pinned, 0), 'pinned', '') AS left_out,
            1. / keep_share AS s,
            greatest(floor, if(policy = {uniform:String}, propensity, 0.)) AS least_p,
            -- Probability of the target; -2: it drew itself, -1: not in the log.
            arrayMap(
                t -> multiIf(
                    t = policy, -2.,
                    has(shadow_policies, t),
                    shadow_probabilities[indexOf(shadow_policies, t)][1],
                    -1.
                ),
                {targets:Array(String)}
            ) AS chances,
            deferred,
            length(ranking) AS slots_n,
            {experiment:String} IN ('', experiment) AND {logged_by:String} IN ('', policy) AS asked,
            writer,
            seq
        FROM decisions
        WHERE surface = {surface:String}
            AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                - toIntervalMinute(if({repeated:Bool}, 10, 0))
            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            AND (asked OR {repeated:Bool})
    )
SELECT
    target,
    segment,
    why,
    key,
    count() AS n,
    countIf(w > 0) AS matched_n,
    sum(s) AS sum_s,
    sum(sw) AS sum_w,
    sum(swr) AS sum_wr,
    sum(sw * sw) AS weight_squares,
    sum(s * s) AS sum_ss,
    sum(s * r) AS sum_r,
    sum(sw * w) AS sum_ww,
    sum(swr * w) AS sum_wwr,
    sum(swr * r) AS sum_wrr,
    sum(swr * w * r) AS sum_wwrr,
    sum(s * r * r) AS sum_rr,
    min(w) AS least_w,
    max(w) AS most_w,
    min(r) AS least_r,
    max(r) AS most_r,
    min(least_p) AS least_floor
FROM (
    SELECT
        segment,
        key,
        s,
        r,
        least_p,
        arrayJoin(arrayZip({targets:Array(String)}, chances)) AS candidate,
        candidate.1 AS target,
        candidate.2 AS chance,
        if(chance = -2., 1., greatest(chance, 0.) / propensity) AS w,
        s * w AS sw,
        sw * r AS swr,
        multiIf(
            left_out = 'forced', 'forced',
            NOT seen, 'unseen',
            left_out != '', left_out,
            overridden, 'overridden',
            chance = -2., if({own:Bool}, '', 'own'),
            chance = -1., 'absent',
            undrawn, 'fixed',
            ''
        ) AS why
    FROM (
        SELECT
            segment,
            key,
            propensity,
            undrawn,
            left_out,
            chances,
            least_p,
            s,
            arrayExists(x -> x.1 >= ts AND x.1 < window_end AND has(x.2, 0), looks) AS exposed,
            arrayExists(x -> x.1 >= ts AND x.1 < window_end AND has(x.3, 0), looks) AS overridden,
            notEmpty(counted) AS rewarded,
            NOT deferred OR exposed OR overridden OR rewarded AS seen,
            if(
                rewarded,
                greatest(
                    {reward_low:Float64},
                    least(
                        {reward_high:Float64},
                        arraySum(arrayMap((total, name) -> total * name.2, totals, names))
                    )
                ),
                {default_reward:Float64}
            ) - {origin:Float64} AS r
        FROM (
            SELECT * FROM chosen WHERE NOT {repeated:Bool}
            UNION ALL
            SELECT * FROM (
                SELECT * FROM chosen WHERE {repeated:Bool}
                ORDER BY ts, writer, seq
                LIMIT 1 BY event_id
            )
            WHERE asked AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        ) AS d
        LEFT JOIN (
            SELECT
                event_id,
                arrayMap(
                    x -> tuple(
                        x.1,
                        x.8,
                        cityHash64(x.5),
                        cityHash64(x.6),
                        if(
                            empty({weight_names:Array(String)}),
                            1.,
                            {weights:Array(Float64)}[indexOf({weight_names:Array(String)}, x.6)]
                        ),
                        x.7
                    ),
                    arraySort(groupArray(
                        tuple(ts, writer, seq, rewards.surface, reward_id, name, value, slot)
                    ))
                ) AS rows
            FROM rewards
            WHERE surface IN ({surface:String}, '')
                AND value BETWEEN {reward_low:Float64} AND {reward_high:Float64}
                AND decision_ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    - INTERVAL 2 HOUR
                AND decision_ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                    + INTERVAL 2 HOUR
            GROUP BY event_id
        ) AS paid USING (event_id)
        LEFT JOIN (
            SELECT event_id, groupArray(tuple(ts, slots, overridden)) AS looks
            FROM exposures
            WHERE surface IN ({surface:String}, '')
                AND decision_ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    - INTERVAL 2 HOUR
                AND decision_ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                    + INTERVAL 2 HOUR
            GROUP BY event_id
        ) AS watched USING (event_id)
    )
)
GROUP BY target, segment, why, key
ORDER BY target, segment, why, key
