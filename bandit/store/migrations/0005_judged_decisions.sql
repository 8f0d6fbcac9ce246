-- The log as reports read it, with what 0004 added to it; see 0003 for the rules that stay.
--
-- A top slot that was pinned was given, not drawn; one that was overridden showed something else.
-- Units saw what they saw, so comparisons of variants count both with what they earned; nothing is
-- learned from them and no importance weight holds there, so whoever judges a policy by the log
-- leaves them out. An override says that the slot was looked at: its decision is seen. A decision
-- whose variant was set by hand is `forced`, and no report counts it.
--
-- Rewards are ordered by (ts, writer, seq, surface): a writer counts its rows by surface, and those
-- that name none by themselves, so two rows of one moment may have one number.

CREATE OR REPLACE VIEW $database.judged_decisions$on_cluster AS
WITH
    arraySort(arrayFilter(r -> r.1 >= ts AND r.1 < window_end AND r.8 < slots_n, rows)) AS timely,
    arrayFilter(
        (r, repetition) -> repetition = 1 AND r.8 = 0,
        timely,
        arrayEnumerateUniq(arrayMap(r -> r.5, timely))
    ) AS counted,
    arrayDistinct(arrayMap(r -> r.6, counted)) AS names,
    arrayMap(n -> arrayMap(r -> r.7, arrayFilter(r -> r.6 = n, counted)), names) AS earned,
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
    arrayMap(
        n -> if(
            empty({weight_names:Array(String)}),
            1.,
            {weights:Array(Float64)}[indexOf({weight_names:Array(String)}, n)]
        ),
        names
    ) AS worths
SELECT
    event_id,
    ts,
    unit_id,
    experiment,
    variant,
    policy,
    snapshot,
    propensity,
    pool_n,
    top,
    pinned,
    forced,
    shadow_policies,
    shadow_probabilities,
    shadow_tops,
    arrayExists(e -> e.1 >= ts AND e.1 < window_end AND has(e.2, 0), exposures) AS exposed,
    arrayExists(e -> e.1 >= ts AND e.1 < window_end AND has(e.3, 0), exposures) AS overridden,
    notEmpty(counted) AS rewarded,
    NOT deferred OR exposed OR overridden OR rewarded AS seen,
    if(
        rewarded,
        greatest(
            {reward_low:Float64},
            least({reward_high:Float64}, arraySum(arrayMap((t, w) -> t * w, totals, worths)))
        ),
        {default_reward:Float64}
    ) AS reward,
    CAST((names, totals), 'Map(String, Float64)') AS rewards
FROM (
    SELECT
        event_id,
        ts,
        ts + toIntervalMillisecond({window_ms:Int64}) AS window_end,
        unit_id,
        experiment,
        variant,
        policy,
        snapshot,
        length(ranking) AS slots_n,
        propensities[1] AS propensity,
        length(actions) - length(excluded) - length(blocked[1]) AS pool_n,
        ranking[1] AS top,
        has(pinned, 0) AS pinned,
        forced,
        shadow_policies,
        arrayMap(p -> p[1], shadow_probabilities) AS shadow_probabilities,
        arrayResize(shadow_tops, length(shadow_policies), -1) AS shadow_tops,
        deferred
    FROM $database.decisions
    WHERE surface = {surface:String}
        AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
    ORDER BY decisions.ts, writer, seq
    LIMIT 1 BY event_id
) AS d
LEFT JOIN (
    SELECT
        event_id,
        groupArray(tuple(ts, writer, seq, rewards.surface, reward_id, name, value, slot)) AS rows
    FROM $database.rewards
    WHERE surface IN ({surface:String}, '')
        AND value BETWEEN {reward_low:Float64} AND {reward_high:Float64}
    GROUP BY event_id
) AS r USING (event_id)
LEFT JOIN (
    SELECT event_id, groupArray(tuple(ts, slots, overridden)) AS exposures
    FROM $database.exposures
    WHERE surface IN ({surface:String}, '')
    GROUP BY event_id
) AS e USING (event_id);
