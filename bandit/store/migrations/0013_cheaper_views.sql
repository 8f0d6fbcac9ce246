-- The views of 0011, made to cost less; what they answer is the same, but for the order in which
-- floats are added.
--
-- * A first step (from_ms below 0) reads the log once: no set of all units or events is made only
--   to find that every row is wanted, and no states are looked for. Ten million decisions were read
--   some forty times over.
-- * The first of a unit's decisions is found by one text that sorts as (time, event) do, and whether
--   it was in two variants by the least and the greatest of them: tuples and sets of texts for each
--   unit took more time than all else.
-- * States of units that a step touches are looked up by their key alone before anything else of
--   them is read; whether a unit has numbers is not asked metric by metric where all are alike.

CREATE OR REPLACE VIEW $database.judged_rows$on_cluster AS
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
    context,
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
        context,
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
        AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
        AND (
            {of_experiment:String} = '' OR {since_ms:Int64} < 0
            OR ts > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
            OR unit_id IN (
                SELECT unit_id
                FROM $database.decisions
                WHERE surface = {surface:String}
                    AND experiment = {of_experiment:String}
                    AND ts > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            )
        )
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
        AND decision_ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') - toIntervalHour(2)
        AND decision_ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC') + toIntervalHour(2)
        AND (
            {shards_n:UInt64} = 1
            OR event_id IN (
                SELECT event_id
                FROM $database.decisions
                WHERE surface = {surface:String}
                    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                    AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
            )
        )
        AND (
            {of_experiment:String} = '' OR {since_ms:Int64} < 0
            OR decision_ts > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC') - toIntervalHour(2)
            OR event_id IN (
                SELECT event_id
                FROM $database.decisions
                WHERE surface = {surface:String}
                    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
                    AND unit_id IN (
                        SELECT unit_id
                        FROM $database.decisions
                        WHERE surface = {surface:String}
                            AND experiment = {of_experiment:String}
                            AND ts > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
                            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                    )
            )
        )
    GROUP BY event_id
) AS r USING (event_id)
LEFT JOIN (
    SELECT event_id, groupArray(tuple(ts, slots, overridden)) AS exposures
    FROM $database.exposures
    WHERE surface IN ({surface:String}, '')
        AND decision_ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') - toIntervalHour(2)
        AND decision_ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC') + toIntervalHour(2)
        AND (
            {shards_n:UInt64} = 1
            OR event_id IN (
                SELECT event_id
                FROM $database.decisions
                WHERE surface = {surface:String}
                    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                    AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
            )
        )
        AND (
            {of_experiment:String} = '' OR {since_ms:Int64} < 0
            OR decision_ts > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC') - toIntervalHour(2)
            OR event_id IN (
                SELECT event_id
                FROM $database.decisions
                WHERE surface = {surface:String}
                    AND ts >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
                    AND unit_id IN (
                        SELECT unit_id
                        FROM $database.decisions
                        WHERE surface = {surface:String}
                            AND experiment = {of_experiment:String}
                            AND ts > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
                            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                    )
            )
        )
    GROUP BY event_id
) AS e USING (event_id);

CREATE OR REPLACE VIEW $database.unit_events$on_cluster AS
WITH
    toUnixTimestamp64Milli(ts) - toUnixTimestamp64Milli(first_at) AS after_ms,
    (is_own AND after_ms >= 0) OR (is_new AND after_ms < 0) AS counts,
    arrayMap(
        (wanted, low, high, since, until) -> stream = wanted AND value >= low
            AND value <= high AND after_ms >= since AND after_ms < until,
        {streams:Array(UInt16)}, {lows:Array(Float64)}, {highs:Array(Float64)},
        {sinces:Array(Int64)}, {untils:Array(Int64)}
    ) AS taken
SELECT
    unit_id, ts, event, variant, is_own_decision, is_own_start, forced, seen, segments,
    if(
        counts,
        arrayConcat(
            arrayMap(is_taken -> is_taken * value, taken),
            if({with_counts:Bool}, arrayMap(is_taken -> toFloat64(is_taken), taken), []),
            if({with_overs:Bool}, arrayMap(
                (wanted, low, high, since, until, is_count) -> if(
                    stream = wanted AND value >= low AND value <= high
                    AND after_ms >= since AND after_ms < until,
                    if(is_count, 1., value), 0.
                ),
                {over_streams:Array(UInt16)}, {over_lows:Array(Float64)},
                {over_highs:Array(Float64)}, {sinces:Array(Int64)},
                {untils:Array(Int64)}, {over_counts:Array(UInt8)}
            ), [])
        ),
        []
    ) AS added
FROM (
    SELECT
        unit_id, ts, event, variant, is_own, is_own AND at = 1 AS is_own_decision,
        is_own_decision AS is_own_start, forced, seen, segments,
        happened.1 AS stream, happened.2 AS value
    FROM (
        SELECT
            unit_id,
            ts,
            hex(event_id) AS event,
            toString(variant) AS variant,
            experiment = {experiment:String}
                AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') AS is_own,
            forced,
            seen,
            arrayMap(
                path -> if(
                    (arrayFold(
                        (json, key) -> JSONExtractRaw(json, key), path, context
                    ) AS found) = '',
                    'null',
                    found
                ),
                {paths:Array(Array(String))}
            ) AS segments,
            arrayFilter(
                name -> seen AND NOT forced AND (name = '' OR mapContains(rewards, name)),
                {reward_names:Array(String)}
            ) AS named,
            if(
                empty(named),
                [(toUInt16(0), 0.)],
                arrayMap(
                    name -> (
                        toUInt16(indexOf({reward_names:Array(String)}, name)),
                        if(name = '', reward, rewards[name])
                    ),
                    named
                )
            ) AS made
        FROM $database.judged_rows(
                    surface = {surface:String}, from_ms = {reach_ms:Int64},
                    through_ms = {through_ms:Int64},
                    window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
                    weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
                    reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
                    default_reward = {default_reward:Float64}, of_experiment = {experiment:String},
                    since_ms = {from_ms:Int64}, shard = {shard:UInt64}, shards_n = {shards_n:UInt64}
        )
        WHERE {surface:String} != ''
    )
    ARRAY JOIN made AS happened, arrayEnumerate(made) AS at
    UNION ALL
    SELECT
        unit_id, ts, concat(writer, '/', toString(seq)), toString(variant), true, false, true,
        forced, false, [], toUInt16(0), 0.
    FROM $database.assignments
    WHERE {surface:String} = ''
        AND experiment = {experiment:String}
        AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
        AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
    UNION ALL
    SELECT
        unit_id, ts, '', '', ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC'), false, false,
        false, false, [],
        toUInt16(length({reward_names:Array(String)}) + arrayJoin(arrayFilter(
            place -> {outcome_names:Array(String)}[place] IN ('', name),
            arrayEnumerate({outcome_names:Array(String)})
        ))),
        value
    FROM (
        SELECT unit_id, ts, toString(name) AS name, value
        FROM $database.outcomes
        WHERE surface IN ({surface:String}, '')
            AND project IN ({project:String}, '')
            AND (
                has({outcome_names:Array(String)}, '')
                OR name IN {outcome_names:Array(String)}
            )
            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
            AND (
                {from_ms:Int64} < 0
                OR ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                OR (
                    ts >= fromUnixTimestamp64Milli({reach_ms:Int64}, 'UTC')
                    AND unit_id IN (
                        SELECT unit_id
                        FROM $database.decisions
                        WHERE surface = {surface:String}
                            AND experiment = {experiment:String}
                            AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                        UNION ALL
                        SELECT unit_id
                        FROM $database.assignments
                        WHERE {surface:String} = ''
                            AND experiment = {experiment:String}
                            AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                    )
                )
                OR (unit_id, name, outcome_id) IN (
                    SELECT unit_id, name, outcome_id
                    FROM $database.outcomes
                    WHERE surface IN ({surface:String}, '')
                        AND {from_ms:Int64} >= 0
                        AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                )
            )
        ORDER BY outcomes.ts, writer, seq
        LIMIT 1 BY unit_id, name, outcome_id
    )
) AS happenings
INNER JOIN (
    SELECT unit_id, min(at) AS first_at, countIf(is_state) = 0 AS is_new
    FROM (
        SELECT unit_id, ts AS at, false AS is_state
        FROM $database.decisions
        WHERE surface = {surface:String}
            AND experiment = {experiment:String}
            AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
        UNION ALL
        SELECT unit_id, ts, false
        FROM $database.assignments
        WHERE {surface:String} = ''
            AND experiment = {experiment:String}
            AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
        UNION ALL
        SELECT unit_id, first_ts, true
        FROM $database.unit_states FINAL
        WHERE {from_ms:Int64} >= 0
            AND generation = {generation:String}
            AND build = {build:UInt32}
            AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
            AND unit_id IN (
                SELECT unit_id
                FROM $database.decisions
                WHERE surface = {surface:String}
                    AND experiment = {experiment:String}
                    AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                UNION ALL
                SELECT unit_id
                FROM $database.assignments
                WHERE {surface:String} = ''
                    AND experiment = {experiment:String}
                    AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                UNION ALL
                SELECT unit_id
                FROM $database.outcomes
                WHERE surface IN ({surface:String}, '')
                    AND project IN ({project:String}, '')
                    AND (
                        has({outcome_names:Array(String)}, '')
                        OR name IN {outcome_names:Array(String)}
                    )
                    AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            )
    )
    GROUP BY unit_id
) AS firsts USING (unit_id);

CREATE OR REPLACE VIEW $database.unit_changes$on_cluster AS
WITH
    (1 + {with_counts:Bool} + {with_overs:Bool}) * length({streams:Array(UInt16)}) AS numbers_n
SELECT
    unit_id,
    was_step,
    if(is_new, now_variant, was_variant) AS variant,
    was_crossed OR (is_in AND (
        least_variant != most_variant OR (NOT is_new AND least_variant != was_variant)
    )) AS crossed,
    was_forced OR now_forced AS forced,
    if(is_new, now_first_ts, was_first_ts) AS first_ts,
    if(is_new, now_segments, was_segments) AS segments,
    was_decisions_n + now_decisions_n AS decisions_n,
    was_seen_n + now_seen_n AS seen_n,
    arrayResize(total, numbers_n) AS numbers
FROM (
    SELECT
        unit_id,
        countIf(is_state) = 0 AS is_new,
        anyIf(step, is_state) AS was_step,
        anyIf(variant, is_state) AS was_variant,
        maxIf(crossed, is_state) AS was_crossed,
        maxIf(forced, is_state) AS was_forced,
        minIf(ts, is_state) AS was_first_ts,
        anyIf(segments, is_state) AS was_segments,
        sumIf(decisions_n, is_state) AS was_decisions_n,
        sumIf(seen_n, is_state) AS was_seen_n,
        maxIf(is_start, is_start) AS is_in,
        argMinIf(variant, happened, is_start) AS now_variant,
        minIf(variant, is_start) AS least_variant,
        maxIf(variant, is_start) AS most_variant,
        maxIf(forced, is_start) AS now_forced,
        minIf(ts, is_start) AS now_first_ts,
        if(
            empty({paths:Array(Array(String))}),
            CAST([], 'Array(String)'),
            argMinIf(segments, happened, is_start)
        ) AS now_segments,
        sumIf(decisions_n, NOT is_state) AS now_decisions_n,
        sumIf(seen_n, NOT is_state) AS now_seen_n,
        sumForEach(added) AS total
    FROM (
        SELECT
            false AS is_state, unit_id, ts,
            concat(leftPad(hex(toUnixTimestamp64Milli(ts)), 12, '0'), event) AS happened,
            variant, is_own_start AS is_start, forced,
            segments, toUInt64(0) AS step, false AS crossed,
            toUInt64(is_own_decision AND NOT forced) AS decisions_n,
            toUInt64(is_own_decision AND NOT forced AND seen) AS seen_n,
            added
        FROM $database.unit_events(
            surface = {surface:String}, experiment = {experiment:String},
            project = {project:String}, from_ms = {from_ms:Int64},
            reach_ms = {reach_ms:Int64}, through_ms = {through_ms:Int64},
            window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
            weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
            reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
            default_reward = {default_reward:Float64},
            reward_names = {reward_names:Array(String)},
            outcome_names = {outcome_names:Array(String)}, streams = {streams:Array(UInt16)},
            lows = {lows:Array(Float64)}, highs = {highs:Array(Float64)},
            sinces = {sinces:Array(Int64)}, untils = {untils:Array(Int64)},
            over_streams = {over_streams:Array(UInt16)}, over_lows = {over_lows:Array(Float64)},
            over_highs = {over_highs:Array(Float64)}, over_counts = {over_counts:Array(UInt8)},
        with_counts = {with_counts:Bool}, with_overs = {with_overs:Bool},
            paths = {paths:Array(Array(String))}, generation = {generation:String},
            build = {build:UInt32}, shard = {shard:UInt64}, shards_n = {shards_n:UInt64}
        )
        UNION ALL
        SELECT true, unit_id, first_ts, '', toString(variant), false, forced,
            segments, step, crossed, decisions_n, seen_n, numbers
        FROM $database.unit_states FINAL
        PREWHERE {from_ms:Int64} >= 0
            AND generation = {generation:String}
            AND build = {build:UInt32}
            AND cityHash64(unit_id) % {shards_n:UInt64} = {shard:UInt64}
            AND unit_id IN (
                SELECT unit_id
                FROM $database.decisions
                WHERE surface = {surface:String}
                    AND experiment = {experiment:String}
                    AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                UNION ALL
                SELECT unit_id
                FROM $database.assignments
                WHERE {surface:String} = ''
                    AND experiment = {experiment:String}
                    AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
                UNION ALL
                SELECT unit_id
                FROM $database.outcomes
                WHERE surface IN ({surface:String}, '')
                    AND project IN ({project:String}, '')
                    AND (
                        has({outcome_names:Array(String)}, '')
                        OR name IN {outcome_names:Array(String)}
                    )
                    AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
                    AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
            )
    )
    GROUP BY unit_id
);

CREATE OR REPLACE VIEW $database.unit_values$on_cluster AS
WITH
    length({streams:Array(UInt16)}) AS entries_n,
    length({ends:Array(Int64)}) AS metrics_n,
    arraySum({ends:Array(Int64)}) > 0 AS has_windows,
    if(
        {with_counts:Bool},
        arraySlice(numbers, entries_n + 1, entries_n),
        arrayWithConstant(entries_n, 0.)
    ) AS counts,
    toUnixTimestamp64Milli(first_ts) AS first_ms
SELECT
    unit_id,
    toString(variant) AS variant,
    forced AS is_forced,
    crossed AND NOT forced AS is_crossed,
    NOT forced AND NOT crossed AND decisions_n > {bot_decisions:UInt64} AS is_bot,
    NOT forced AND NOT crossed AND decisions_n <= {bot_decisions:UInt64} AS belongs,
    first_ts,
    segments,
    if(
        {with_overs:Bool},
        arraySlice(numbers, -toInt64(entries_n)),
        arrayWithConstant(entries_n, 0.)
    ) AS divisors,
    if(
        {with_counts:Bool} OR {with_overs:Bool},
        arrayMap(
            (kind, total, n, divisor) -> multiIf(
                kind = 0, total,
                kind = 1, n,
                kind = 2, toFloat64(n > 0),
                kind = 3, if(n > 0, total / n, 0.),
                if(divisor != 0, total / divisor, 0.)
            ),
            {kinds:Array(UInt8)},
            arraySlice(numbers, 1, entries_n), counts, divisors
        ),
        numbers
    ) AS values,
    if(
        has_windows,
        arrayMap(
            end -> belongs AND (end = 0 OR first_ms + end <= {closed_ms:Int64}),
            {ends:Array(Int64)}
        ),
        arrayWithConstant(metrics_n, belongs)
    ) AS ripe,
    if(
        {with_counts:Bool} OR {with_overs:Bool},
        arrayMap(
            (is_ripe, kind, n, divisor, of_rewards) -> is_ripe
                AND (NOT of_rewards OR seen_n > 0)
                AND (kind != 3 OR n > 0)
                AND (kind != 4 OR divisor > 0),
            ripe,
            arraySlice(
                {kinds:Array(UInt8)},
                1, metrics_n
            ),
            arraySlice(counts, 1, metrics_n),
            arraySlice(divisors, 1, metrics_n),
            {of_rewards:Array(UInt8)}
        ),
        if(
            has_windows,
            arrayMap(
                (is_ripe, of_rewards) -> is_ripe AND (NOT of_rewards OR seen_n > 0),
                ripe, {of_rewards:Array(UInt8)}
            ),
            -- Whole arrays that are there already, where units differ in nothing else.
            multiIf(
                NOT belongs, arrayWithConstant(metrics_n, toUInt8(0)),
                seen_n > 0, arrayWithConstant(metrics_n, toUInt8(1)),
                arrayMap(of_rewards -> NOT of_rewards, {of_rewards:Array(UInt8)})
            )
        )
    ) AS present
FROM $database.unit_states FINAL
WHERE generation = {generation:String} AND build = {build:UInt32};

CREATE OR REPLACE VIEW $database.unit_values_of_log$on_cluster AS
WITH
    length({streams:Array(UInt16)}) AS entries_n,
    length({ends:Array(Int64)}) AS metrics_n,
    arraySum({ends:Array(Int64)}) > 0 AS has_windows,
    if(
        {with_counts:Bool},
        arraySlice(numbers, entries_n + 1, entries_n),
        arrayWithConstant(entries_n, 0.)
    ) AS counts,
    toUnixTimestamp64Milli(first_ts) AS first_ms
SELECT
    unit_id,
    toString(variant) AS variant,
    forced AS is_forced,
    crossed AND NOT forced AS is_crossed,
    NOT forced AND NOT crossed AND decisions_n > {bot_decisions:UInt64} AS is_bot,
    NOT forced AND NOT crossed AND decisions_n <= {bot_decisions:UInt64} AS belongs,
    first_ts,
    segments,
    if(
        {with_overs:Bool},
        arraySlice(numbers, -toInt64(entries_n)),
        arrayWithConstant(entries_n, 0.)
    ) AS divisors,
    if(
        {with_counts:Bool} OR {with_overs:Bool},
        arrayMap(
            (kind, total, n, divisor) -> multiIf(
                kind = 0, total,
                kind = 1, n,
                kind = 2, toFloat64(n > 0),
                kind = 3, if(n > 0, total / n, 0.),
                if(divisor != 0, total / divisor, 0.)
            ),
            {kinds:Array(UInt8)},
            arraySlice(numbers, 1, entries_n), counts, divisors
        ),
        numbers
    ) AS values,
    if(
        has_windows,
        arrayMap(
            end -> belongs AND (end = 0 OR first_ms + end <= {closed_ms:Int64}),
            {ends:Array(Int64)}
        ),
        arrayWithConstant(metrics_n, belongs)
    ) AS ripe,
    if(
        {with_counts:Bool} OR {with_overs:Bool},
        arrayMap(
            (is_ripe, kind, n, divisor, of_rewards) -> is_ripe
                AND (NOT of_rewards OR seen_n > 0)
                AND (kind != 3 OR n > 0)
                AND (kind != 4 OR divisor > 0),
            ripe,
            arraySlice(
                {kinds:Array(UInt8)},
                1, metrics_n
            ),
            arraySlice(counts, 1, metrics_n),
            arraySlice(divisors, 1, metrics_n),
            {of_rewards:Array(UInt8)}
        ),
        if(
            has_windows,
            arrayMap(
                (is_ripe, of_rewards) -> is_ripe AND (NOT of_rewards OR seen_n > 0),
                ripe, {of_rewards:Array(UInt8)}
            ),
            -- Whole arrays that are there already, where units differ in nothing else.
            multiIf(
                NOT belongs, arrayWithConstant(metrics_n, toUInt8(0)),
                seen_n > 0, arrayWithConstant(metrics_n, toUInt8(1)),
                arrayMap(of_rewards -> NOT of_rewards, {of_rewards:Array(UInt8)})
            )
        )
    ) AS present
FROM $database.unit_changes(
    surface = {surface:String}, experiment = {experiment:String},
    project = {project:String}, from_ms = {from_ms:Int64}, reach_ms = {reach_ms:Int64},
    through_ms = {through_ms:Int64}, window_ms = {window_ms:Int64},
    aggregation = {aggregation:String}, weight_names = {weight_names:Array(String)},
    weights = {weights:Array(Float64)}, reward_low = {reward_low:Float64},
    reward_high = {reward_high:Float64}, default_reward = {default_reward:Float64},
    reward_names = {reward_names:Array(String)},
    outcome_names = {outcome_names:Array(String)}, streams = {streams:Array(UInt16)},
    lows = {lows:Array(Float64)}, highs = {highs:Array(Float64)},
    sinces = {sinces:Array(Int64)}, untils = {untils:Array(Int64)},
    over_streams = {over_streams:Array(UInt16)}, over_lows = {over_lows:Array(Float64)},
    over_highs = {over_highs:Array(Float64)}, over_counts = {over_counts:Array(UInt8)},
        with_counts = {with_counts:Bool}, with_overs = {with_overs:Bool},
    paths = {paths:Array(Array(String))}, generation = '', build = 0,
    shard = {shard:UInt64}, shards_n = {shards_n:UInt64}
);
