-- name: unit_steps
-- The newest steps of a generation, newest build first; what says that a build is spoilt comes before
-- its steps. Of rows of one step and state it is the first that became visible.
SELECT
    build,
    step,
    state,
    toUnixTimestamp64Milli(from_ts) AS from_ms,
    toUnixTimestamp64Milli(through_ts) AS through_ms,
    states_n,
    digest,
    sums
FROM state_steps
WHERE generation = {generation:String}
ORDER BY build DESC, state = 'spoilt' DESC, step DESC, state, _block_number
LIMIT 1 BY build, step, state
LIMIT {most_n:UInt32}

-- name: unit_caps
-- Caps that were found by steps of a generation that are done, and the end of the first step that
-- says so, build by build.
SELECT caps, through_ms
FROM (
    SELECT
        build,
        step,
        JSONExtractRaw(sums, 'caps') AS caps,
        toUnixTimestamp64Milli(through_ts) AS through_ms
    FROM state_steps
    WHERE generation = {generation:String} AND state = 'done'
    ORDER BY build, step, _block_number
    LIMIT 1 BY build, step
)
WHERE caps NOT IN ('', '{}')
ORDER BY build, step
LIMIT 1 BY build, caps

-- name: unit_arrivals
-- Rows that may have a say in an experiment's numbers up to a time: how many of them arrived since
-- a moment, until another and after that. An exact repetition is one row.
WITH
    fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC') AS through,
    fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC') AS since
SELECT
    countIf(arrived <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')) AS before_n,
    count() - before_n AS after_n
FROM (
    SELECT source, surface, writer, seq, max(ingested_at) AS arrived
    FROM (
        SELECT 'decisions' AS source, surface, writer, seq, ingested_at
        FROM decisions
        WHERE {surface:String} != '' AND surface = {surface:String}
            AND ingested_at >= since AND ts <= through
        UNION ALL
        SELECT 'rewards', surface, writer, seq, ingested_at
        FROM rewards
        WHERE {surface:String} != '' AND surface IN ({surface:String}, '')
            AND ingested_at >= since
            AND ts < through + toIntervalMillisecond({window_ms:Int64})
            AND decision_ts <= through + toIntervalHour(2)
        UNION ALL
        SELECT 'exposures', surface, writer, seq, ingested_at
        FROM exposures
        WHERE {surface:String} != '' AND surface IN ({surface:String}, '')
            AND ingested_at >= since
            AND ts < through + toIntervalMillisecond({window_ms:Int64})
            AND decision_ts <= through + toIntervalHour(2)
        UNION ALL
        SELECT 'assignments', surface, writer, seq, ingested_at
        FROM assignments
        WHERE {surface:String} = '' AND experiment = {experiment:String}
            AND ingested_at >= since AND ts <= through
        UNION ALL
        SELECT 'outcomes', surface, writer, seq, ingested_at
        FROM outcomes
        WHERE surface IN ({surface:String}, '')
            AND project IN ({project:String}, '')
            AND (
                has({outcome_names:Array(String)}, '') OR name IN {outcome_names:Array(String)}
            )
            AND ingested_at >= since AND ts <= through
    )
    GROUP BY source, surface, writer, seq
)

-- name: unit_log_hours
-- How many decisions of a surface, assignments to an experiment and outcomes lie in each hour of an
-- interval.
SELECT toInt64(toUnixTimestamp(toStartOfHour(at))) * 1000 AS hour_ms, count() AS rows_n
FROM (
    SELECT ts AS at
    FROM decisions
    WHERE {surface:String} != '' AND surface = {surface:String}
        AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
    UNION ALL
    SELECT ts
    FROM assignments
    WHERE {surface:String} = '' AND experiment = {experiment:String}
        AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
    UNION ALL
    SELECT ts
    FROM outcomes
    WHERE surface IN ({surface:String}, '')
        AND (has({outcome_names:Array(String)}, '') OR name IN {outcome_names:Array(String)})
        AND ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Milli({through_ms:Int64}, 'UTC')
)
GROUP BY hour_ms
ORDER BY hour_ms

-- name: unit_states_of_step
-- Writes the states of the units that something happened to in a step; units that have gone through
-- it already stay as they are.
INSERT INTO unit_states (
    generation, build, unit_id, step, variant, crossed, forced, first_ts, segments, decisions_n,
    seen_n, numbers
)
SELECT
    {generation:String}, {build:UInt32}, unit_id, {step:UInt64}, variant, crossed, forced, first_ts,
    segments, decisions_n, seen_n, numbers
FROM unit_changes(
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
    shards_n = {shards_n:UInt64}
)
WHERE was_step < {step:UInt64}
SETTINGS insert_deduplicate = 0

-- name: unit_sums_of_step
-- Writes what adds up beside the units in a step.
INSERT INTO state_sums (
    generation, build, step, shard, variant, at, decisions_n, unseen_n, rewarded_n, exposed_n,
    pinned_n, overridden_n, forced_n, reward_sum
)
SELECT
    {generation:String}, {build:UInt32}, {step:UInt64}, {shard:UInt64}, variant, at, decisions_n,
    unseen_n, rewarded_n, exposed_n, pinned_n, overridden_n, forced_n, reward_sum
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
SETTINGS insert_deduplicate = 0

-- name: unit_states_digest
-- How many units a build has states of, a digest of whose and of what, up to which step, and when
-- the first unit came. Sums are not in it: two hosts may add them in another order.
SELECT
    count() AS states_n,
    sum(cityHash64(
        unit_id, step, toString(variant), crossed, forced, first_ts, decisions_n, seen_n
    )) AS digest,
    max(step) AS newest_step,
    sum(decisions_n) AS decisions_sum,
    toUnixTimestamp64Milli(min(first_ts)) AS first_ms
FROM unit_states FINAL
WHERE generation = {generation:String} AND build = {build:UInt32}

-- name: unit_sums_total
-- How many decisions were added up beside the units of a build.
SELECT sum(decisions_n) AS decisions_sum
FROM state_sums FINAL
WHERE generation = {generation:String} AND build = {build:UInt32}

-- name: store_now
-- The store's own time.
SELECT toUnixTimestamp64Milli(now64(3)) AS now_ms

-- name: unit_sums_kept
-- What was added up beside the units of a build, up to a step.
SELECT
    toString(variant) AS variant,
    toUnixTimestamp64Milli(at) AS at_ms,
    sum(decisions_n),
    sum(unseen_n),
    sum(rewarded_n),
    sum(exposed_n),
    sum(pinned_n),
    sum(overridden_n),
    sum(forced_n),
    sum(reward_sum)
FROM state_sums FINAL
WHERE generation = {generation:String} AND build = {build:UInt32} AND step <= {step:UInt64}
GROUP BY variant, at
ORDER BY variant, at

-- name: remove_unit_states
-- Takes away the states of a generation's builds before one.
ALTER TABLE unit_states$local$on_cluster
DELETE WHERE generation = {generation:String} AND build < {build:UInt32}

-- name: remove_state_sums
-- Takes away what was added up beside them.
ALTER TABLE state_sums$local$on_cluster
DELETE WHERE generation = {generation:String} AND build < {build:UInt32}

-- name: stale_generations
-- Other generations of an experiment, none of whose steps is younger than a time.
SELECT generation
FROM state_steps
WHERE experiment = {experiment:String} AND generation != {generation:String}
GROUP BY generation
HAVING max(made_at) < now64(3) - toIntervalMillisecond({age_ms:Int64})
ORDER BY generation

-- name: remove_generations
-- Takes rows of some generations out of a table of ours.
ALTER TABLE {table:Identifier}$on_cluster DELETE WHERE generation IN {generations:Array(String)}
