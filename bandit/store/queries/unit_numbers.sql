-- name: unit_moments
-- Joint moments of every metric of a plan over the units of an experiment, by variant, first day
-- and segment, with who counts and who does not. Columns are blocks of one column per metric, one
-- block after the other; of every two blocks there is one of covariances (over n, not n − 1). The
-- stable functions only: the others, covarSampMatrix too, lose everything at a mean of 1e9. Who has
-- no number of a metric is left out by a condition, since arrays of NULLs take twice as long. Units
-- are added up by first hour, and hours to days.
WITH
    length({ends:Array(Int64)}) AS metrics_n,
    1 + {with_cap:Bool} + {with_divisor:Bool} + {with_covariate_divisor:Bool}
        + ({blocks_n:UInt32} - 1) AS columns_n,
    arraySlice(values, 1, metrics_n) AS uncapped,
    if(
        {with_cap:Bool},
        arrayMap((value, cap) -> least(value, cap), uncapped, {caps:Array(Float64)}),
        uncapped
    ) AS capped,
    if(
        columns_n = 1,
        capped,
        arrayConcat(
            capped,
            if({with_cap:Bool}, uncapped, []),
            if({with_divisor:Bool}, arraySlice(divisors, 1, metrics_n), []),
            arraySlice(values, metrics_n + 1, ({blocks_n:UInt32} - 1) * metrics_n),
            if({with_covariate_divisor:Bool}, arraySlice(divisors, metrics_n + 1, metrics_n), [])
        )
    ) AS columns,
    if(columns_n = 1, present, arrayFlatten(arrayWithConstant(columns_n, present))) AS are_present,
    -- Of every column with itself and each that comes after it.
    if(columns_n = 1, columns, arrayFlatten(arrayMap(
        at -> arrayFlatten(arrayWithConstant(
            columns_n - at, arraySlice(columns, at * metrics_n + 1, metrics_n)
        )),
        range(columns_n)
    ))) AS left_of_pairs,
    if(columns_n = 1, columns, arrayFlatten(arrayMap(
        at -> arraySlice(columns, at * metrics_n + 1), range(columns_n)
    ))) AS right_of_pairs,
    if(
        columns_n = 1,
        present,
        arrayFlatten(arrayWithConstant(intDiv(columns_n * (columns_n + 1), 2), present))
    ) AS pairs_present
SELECT
    if(place = 0, 'first_day', {segment_names:Array(String)}[place]) AS sliced_by,
    if(place = 0, toString(toDate(hour)), value) AS slice_value,
    variant,
    sum(belonging_n) AS units_n,
    sum(in_two_n) AS crossed_n,
    sum(by_hand_n) AS forced_n,
    sum(busy_n) AS bots_n,
    sumMapIf(map(toInt64(toUnixTimestamp(hour)) * 1000, belonging_n), belonging_n > 0) AS firsts,
    countIfForEachMerge(present_n) AS n,
    sumForEach(waiting_n) AS unripe_n,
    sumForEach(above_n) AS capped_n,
    avgIfForEachMerge(mean) AS means,
    covarPopStableIfForEachMerge(covariance) AS covariances
FROM (
    SELECT
        slice.1 AS place,
        slice.2 AS value,
        if(place = 0, toStartOfHour(first_ts), toDateTime(0, 'UTC')) AS hour,
        variant,
        countIf(belongs) AS belonging_n,
        countIf(is_crossed) AS in_two_n,
        countIf(is_forced) AS by_hand_n,
        countIf(is_bot) AS busy_n,
        countIfForEachState(present) AS present_n,
        sumForEach(if(
            {with_windows:Bool},
            arrayMap(is_ripe -> toUInt64(belongs AND NOT is_ripe), ripe),
            CAST([], 'Array(UInt64)')
        )) AS waiting_n,
        sumForEach(if(
            {with_cap:Bool},
            arrayMap(
                (value, cap, is_present) -> toUInt64(is_present AND value > cap),
                uncapped, {caps:Array(Float64)}, present
            ),
            CAST([], 'Array(UInt64)')
        )) AS above_n,
        avgIfForEachState(columns, are_present) AS mean,
        covarPopStableIfForEachState(left_of_pairs, right_of_pairs, pairs_present) AS covariance
    FROM (
        SELECT
            *,
            if(
                empty({segment_names:Array(String)}),
                (toUInt8(0), ''),
                arrayJoin(arrayConcat(
                    [(toUInt8(0), '')],
                    arrayMap(
                        (place, value, tops) -> (toUInt8(place), if(has(tops, value), value, '')),
                        arrayEnumerate({segment_names:Array(String)}), segments,
                        {segment_tops:Array(Array(String))}
                    )
                ))
            ) AS slice
        FROM unit_values(
            surface = {surface:String}, experiment = {experiment:String},
            project = {project:String}, from_ms = {from_ms:Int64}, reach_ms = {reach_ms:Int64},
            through_ms = {through_ms:Int64},
            window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
            weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
            reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
            default_reward = {default_reward:Float64}, reward_names = {reward_names:Array(String)},
            outcome_names = {outcome_names:Array(String)}, streams = {streams:Array(UInt16)},
            lows = {lows:Array(Float64)}, highs = {highs:Array(Float64)},
            sinces = {sinces:Array(Int64)}, untils = {untils:Array(Int64)},
            over_streams = {over_streams:Array(UInt16)},
            over_lows = {over_lows:Array(Float64)}, over_highs = {over_highs:Array(Float64)},
            over_counts = {over_counts:Array(UInt8)}, with_counts = {with_counts:Bool},
            with_overs = {with_overs:Bool}, paths = {paths:Array(Array(String))},
            generation = {generation:String}, build = {build:UInt32}, shard = {shard:UInt64},
            shards_n = {shards_n:UInt64},
            kinds = {kinds:Array(UInt8)}, ends = {ends:Array(Int64)},
            of_rewards = {of_rewards:Array(UInt8)}, bot_decisions = {bot_decisions:UInt64},
            closed_ms = {closed_ms:Int64}
        )
    )
    GROUP BY place, value, hour, variant
)
GROUP BY sliced_by, slice_value, variant
ORDER BY sliced_by, slice_value, variant


-- name: unit_segment_tops
-- The values of each segment that most units of an experiment had at their first decision.
SELECT place, value
FROM (
    SELECT segments
    FROM unit_values(
        surface = {surface:String}, experiment = {experiment:String}, project = {project:String},
        from_ms = {from_ms:Int64}, reach_ms = {reach_ms:Int64}, through_ms = {through_ms:Int64},
        window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
        weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
        reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
        default_reward = {default_reward:Float64}, reward_names = {reward_names:Array(String)},
        outcome_names = {outcome_names:Array(String)}, streams = {streams:Array(UInt16)},
        lows = {lows:Array(Float64)}, highs = {highs:Array(Float64)},
        sinces = {sinces:Array(Int64)}, untils = {untils:Array(Int64)},
        over_streams = {over_streams:Array(UInt16)}, over_lows = {over_lows:Array(Float64)},
        over_highs = {over_highs:Array(Float64)}, over_counts = {over_counts:Array(UInt8)},
        with_counts = {with_counts:Bool}, with_overs = {with_overs:Bool},
        paths = {paths:Array(Array(String))}, generation = {generation:String},
        build = {build:UInt32}, shard = {shard:UInt64}, shards_n = {shards_n:UInt64},
        kinds = {kinds:Array(UInt8)}, ends = {ends:Array(Int64)},
        of_rewards = {of_rewards:Array(UInt8)}, bot_decisions = {bot_decisions:UInt64},
        closed_ms = {closed_ms:Int64}
    )
    WHERE belongs
)
ARRAY JOIN segments AS value, arrayEnumerate(segments) AS place
GROUP BY place, value
ORDER BY count() DESC, value
LIMIT {tops_n:UInt32} BY place


-- name: unit_orders
-- Three order statistics of one metric over the units of an experiment, by variant, and by first
-- day and segment, too ('' for all): the least value with at least a share of them at or below it,
-- at the quantile and so many standard errors of it below and above.
WITH
    arraySort(groupArrayIf(values[{place:UInt32}], present[{place:UInt32}])) AS ordered,
    length(ordered) AS units_n,
    {spread:Float64} * sqrt({quantile:Float64} * (1 - {quantile:Float64}) / units_n) AS step,
    arrayMap(
        share -> least(units_n, greatest(1, toInt64(ceil(
            share * units_n - 1e-9 * greatest(1., share * units_n)
        )))),
        [{quantile:Float64}, greatest({quantile:Float64} - step, 0.),
         least({quantile:Float64} + step, 1.)]
    ) AS ranks
SELECT
    slice.1 AS sliced_by,
    slice.2 AS slice_value,
    variant,
    units_n,
    ordered[ranks[1]] AS value,
    ordered[ranks[2]] AS lower,
    ordered[ranks[3]] AS upper
FROM (
    SELECT
        *,
        arrayJoin(arrayConcat(
            [('', ''), ('first_day', toString(toDate(first_ts)))],
            arrayMap(
                (name, value, tops) -> (name, if(has(tops, value), value, '')),
                {segment_names:Array(String)}, segments, {segment_tops:Array(Array(String))}
            )
        )) AS slice
    FROM unit_values(
        surface = {surface:String}, experiment = {experiment:String}, project = {project:String},
        from_ms = {from_ms:Int64}, reach_ms = {reach_ms:Int64}, through_ms = {through_ms:Int64},
        window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
        weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
        reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
        default_reward = {default_reward:Float64}, reward_names = {reward_names:Array(String)},
        outcome_names = {outcome_names:Array(String)}, streams = {streams:Array(UInt16)},
        lows = {lows:Array(Float64)}, highs = {highs:Array(Float64)},
        sinces = {sinces:Array(Int64)}, untils = {untils:Array(Int64)},
        over_streams = {over_streams:Array(UInt16)}, over_lows = {over_lows:Array(Float64)},
        over_highs = {over_highs:Array(Float64)}, over_counts = {over_counts:Array(UInt8)},
        with_counts = {with_counts:Bool}, with_overs = {with_overs:Bool},
        paths = {paths:Array(Array(String))}, generation = {generation:String},
        build = {build:UInt32}, shard = {shard:UInt64}, shards_n = {shards_n:UInt64},
        kinds = {kinds:Array(UInt8)}, ends = {ends:Array(Int64)},
        of_rewards = {of_rewards:Array(UInt8)}, bot_decisions = {bot_decisions:UInt64},
        closed_ms = {closed_ms:Int64}
    )
)
GROUP BY sliced_by, slice_value, variant
HAVING units_n > 0
ORDER BY sliced_by, slice_value, variant


-- name: unit_cap
-- The quantile of one metric over all units of an experiment, and how many they are.
WITH
    arraySort(groupArrayIf(values[{place:UInt32}], present[{place:UInt32}])) AS ordered,
    length(ordered) AS units_n
SELECT
    units_n,
    ordered[greatest(1, toInt64(ceil(
        {quantile:Float64} * units_n - 1e-9 * greatest(1., {quantile:Float64} * units_n)
    )))] AS cap
FROM unit_values(
    surface = {surface:String}, experiment = {experiment:String}, project = {project:String},
    from_ms = {from_ms:Int64}, reach_ms = {reach_ms:Int64}, through_ms = {through_ms:Int64},
    window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
    weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
    reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
    default_reward = {default_reward:Float64}, reward_names = {reward_names:Array(String)},
    outcome_names = {outcome_names:Array(String)}, streams = {streams:Array(UInt16)},
    lows = {lows:Array(Float64)}, highs = {highs:Array(Float64)}, sinces = {sinces:Array(Int64)},
    untils = {untils:Array(Int64)}, over_streams = {over_streams:Array(UInt16)},
    over_lows = {over_lows:Array(Float64)}, over_highs = {over_highs:Array(Float64)},
    over_counts = {over_counts:Array(UInt8)}, with_counts = {with_counts:Bool},
    with_overs = {with_overs:Bool}, paths = {paths:Array(Array(String))},
    generation = {generation:String}, build = {build:UInt32}, shard = {shard:UInt64},
    shards_n = {shards_n:UInt64},
    kinds = {kinds:Array(UInt8)}, ends = {ends:Array(Int64)},
    of_rewards = {of_rewards:Array(UInt8)}, bot_decisions = {bot_decisions:UInt64},
    closed_ms = {closed_ms:Int64}
)


-- name: unit_sums
-- Decisions of an experiment in an interval of time by variant and hour, whoever made them.
SELECT
    variant,
    toInt64(toUnixTimestamp(at)) * 1000 AS at_ms,
    decisions_n, unseen_n, rewarded_n, exposed_n, pinned_n, overridden_n, forced_n, reward_sum
FROM (
    SELECT
        variant,
        toStartOfHour(ts) AS at,
        countIf(NOT forced) AS decisions_n,
        countIf(NOT forced AND NOT seen) AS unseen_n,
        countIf(NOT forced AND seen AND rewarded) AS rewarded_n,
        countIf(NOT forced AND exposed) AS exposed_n,
        countIf(NOT forced AND pinned) AS pinned_n,
        countIf(NOT forced AND overridden) AS overridden_n,
        countIf(forced) AS forced_n,
        sumIf(reward, NOT forced AND seen) AS reward_sum
    FROM judged_rows(
        surface = {surface:String}, from_ms = {reach_ms:Int64}, through_ms = {through_ms:Int64},
        window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
        weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
        reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
        default_reward = {default_reward:Float64}, of_experiment = {of_experiment:String},
        since_ms = {from_ms:Int64}, shard = {shard:UInt64}, shards_n = {shards_n:UInt64}
    )
    WHERE experiment = {experiment:String}
        AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    GROUP BY variant, at
)
ORDER BY variant, at_ms


-- name: unit_moments_of_log
-- The same of what the log says.
-- like: unit_moments with unit_values_of_log for unit_values

-- name: unit_segment_tops_of_log
-- The same of what the log says.
-- like: unit_segment_tops with unit_values_of_log for unit_values

-- name: unit_orders_of_log
-- The same of what the log says.
-- like: unit_orders with unit_values_of_log for unit_values

-- name: unit_cap_of_log
-- The same of what the log says.
-- like: unit_cap with unit_values_of_log for unit_values
