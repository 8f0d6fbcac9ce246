-- What a report needs of each unit of an experiment, so that a new report costs by the units that
-- something happened to, not by decisions.
--
-- A generation is one set of definitions (experiment, metrics, the surface's reward rules) over the
-- log; other definitions are another one, built from the log anew; so is one whose build was found
-- to be spoilt. It goes forward in steps, each over the decisions of one half-open interval of time
-- that have all their rewards, and outcomes of the same interval. A step is claimed by a row (the
-- first of a number to become visible won: _block_number). A unit's state says up to which step it
-- goes, so that whoever does a step again, or at the same time, adds nothing twice. Only the row
-- that says `done`, with how many states there are and their digest, makes them count.

CREATE TABLE IF NOT EXISTS $database.unit_states$local$on_cluster
(
    generation  String CODEC(ZSTD(1)),
    build       UInt32 CODEC(ZSTD(1)) COMMENT 'how many builds before it were spoilt',
    unit_id     String CODEC(ZSTD(1)),
    step        UInt64 CODEC(ZSTD(1)) COMMENT 'the newest holds all there is of the unit up to it',
    variant     LowCardinality(String) COMMENT 'of its first decision or assignment',
    crossed     Bool COMMENT 'seen in another variant, too',
    forced      Bool COMMENT 'ever set by hand',
    first_ts    DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    segments    Array(String) CODEC(ZSTD(1)) COMMENT 'values at its first decision, as declared',
    decisions_n UInt64 CODEC(ZSTD(1)) COMMENT 'of the experiment, without forced ones',
    seen_n      UInt64 CODEC(ZSTD(1)) COMMENT 'of those',
    numbers     Array(Float64) CODEC(ZSTD(1)) COMMENT 'per entry: sums, counts, divisors',
    place       UUID DEFAULT generateUUIDv4() CODEC(NONE) COMMENT 'names the row, and nobody',
    made_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree(step)
ORDER BY (generation, build, unit_id)
SETTINGS $durable, index_granularity = 256;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.unit_states$on_cluster AS $database.unit_states_local
ENGINE = Distributed('$cluster', $database, unit_states_local, cityHash64(unit_id));

-- What adds up beside the units: decisions by variant and period. One row per step, so that a step
-- that is done twice counts once.
CREATE TABLE IF NOT EXISTS $database.state_sums$local$on_cluster
(
    generation   String,
    build        UInt32,
    step         UInt64 CODEC(Delta(8), ZSTD(1)),
    shard        UInt64 COMMENT 'a long step is done in parts, by hash of the unit',
    variant      LowCardinality(String),
    at           DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'start of the period',
    decisions_n  UInt64 CODEC(ZSTD(1)),
    unseen_n     UInt64 CODEC(ZSTD(1)),
    rewarded_n   UInt64 CODEC(ZSTD(1)),
    exposed_n    UInt64 CODEC(ZSTD(1)),
    pinned_n     UInt64 CODEC(ZSTD(1)),
    overridden_n UInt64 CODEC(ZSTD(1)),
    forced_n     UInt64 CODEC(ZSTD(1)),
    reward_sum   Float64 CODEC(ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (generation, build, step, shard, variant, at)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.state_sums$on_cluster AS $database.state_sums_local
ENGINE = Distributed('$cluster', $database, state_sums_local, cityHash64(generation));

CREATE TABLE IF NOT EXISTS $database.state_steps$local$on_cluster
(
    generation String,
    build      UInt32,
    experiment LowCardinality(String),
    step       UInt64,
    state      LowCardinality(String) COMMENT 'claimed, done, spoilt',
    from_ts    DateTime64(3, 'UTC') COMMENT 'exclusive',
    through_ts DateTime64(3, 'UTC') COMMENT 'inclusive',
    states_n   UInt64,
    digest     UInt64 COMMENT 'of all states up to it',
    sums       String CODEC(ZSTD(3)) COMMENT 'JSON: caps, and what had arrived',
    made_at    DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ${replicated}MergeTree
ORDER BY (generation, build, step, state)
SETTINGS $durable, enable_block_number_column = 1;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.state_steps$on_cluster AS $database.state_steps_local
ENGINE = Distributed('$cluster', $database, state_steps_local, cityHash64(generation));

-- The numbers of every refresh, for the dashboard, charts over time and reports of a past day. How
-- long a row stays is told by its time alone, so that several refreshers need not agree on anything:
-- one that is of a midnight (UTC) for good, of a full hour for 60 days, any other for an hour. Of
-- rows of one time and generation the first to become visible counts (_block_number).
CREATE TABLE IF NOT EXISTS $database.kept_numbers$local$on_cluster
(
    kind       LowCardinality(String) COMMENT 'experiment, surface, look, refresher',
    key        LowCardinality(String),
    as_of      DateTime64(3, 'UTC'),
    generation String CODEC(ZSTD(1)),
    numbers    String CODEC(ZSTD(3)) COMMENT 'JSON, bandit.store.numbers',
    took_ms    UInt32,
    made_at    DateTime64(3, 'UTC') DEFAULT now64(3),
    until      DateTime('UTC') DEFAULT multiIf(
        toUnixTimestamp64Milli(as_of) % 86400000 = 0, toDateTime('2106-01-01 00:00:00', 'UTC'),
        toUnixTimestamp64Milli(as_of) % 3600000 = 0, toDateTime(made_at, 'UTC') + toIntervalDay(60),
        toDateTime(made_at, 'UTC') + toIntervalHour(1)
    ) COMMENT 'when it may go'
)
ENGINE = ${replicated}MergeTree
ORDER BY (kind, key, as_of)
TTL until
SETTINGS $durable, enable_block_number_column = 1, index_granularity = 64;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.kept_numbers$on_cluster AS $database.kept_numbers_local
ENGINE = Distributed('$cluster', $database, kept_numbers_local, cityHash64(key));

-- judged_decisions (0005) with what makes it cost by what is asked for: rewards and exposures are
-- read around the time of their decisions only (the time in an event id is within the hour), units
-- by a shard of their hash, and what happened up to `since_ms` only of units that have decisions of
-- `of_experiment` after it ('': of all). The rules are those of 0005; a test holds the texts equal.

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
            {of_experiment:String} = ''
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
            {of_experiment:String} = ''
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
            {of_experiment:String} = ''
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

-- States of the units of an experiment that something happened to after `from_ms`, up to
-- `through_ms`: what they were (in a generation; '': they were nothing) and what came on top, which
-- is in unit_events: one row per reward name of a decision, assignment or outcome.
--
-- `numbers` holds for every entry of a plan (bandit.store.unit_plan) the sum of its events, how many
-- they are, and what it divides by. An entry takes the events of one stream (a name of rewards, or
-- of outcomes) in a range of values, from so long after the unit's first decision or assignment
-- until so long after it; below 0, what a new unit did before, whatever it was in. For these
-- `reach_ms` lies before `from_ms`: at least by 2 hours, so that a decision that is logged again is
-- known.

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
            toString(event_id) AS event,
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
                ts > fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
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
        WHERE generation = {generation:String}
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
    was_crossed OR now_variants_n > 1
        OR (NOT is_new AND now_variants_n = 1 AND now_variant != was_variant) AS crossed,
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
        argMinIf(variant, (ts, event), is_start) AS now_variant,
        uniqExactIf(variant, is_start) AS now_variants_n,
        maxIf(forced, is_start) AS now_forced,
        minIf(ts, is_start) AS now_first_ts,
        argMinIf(segments, (ts, event), is_start) AS now_segments,
        sumIf(decisions_n, NOT is_state) AS now_decisions_n,
        sumIf(seen_n, NOT is_state) AS now_seen_n,
        sumForEach(added) AS total
    FROM (
        SELECT
            false AS is_state, unit_id, ts, event, variant, is_own_start AS is_start, forced,
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
        WHERE generation = {generation:String}
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

-- Units of an experiment as their states say, once each; with the values of a plan's entries and,
-- per metric, whether its time is over (`ripe`) and whether the unit has a number (`present`). Kinds
-- are numbers, since texts are slow to compare: 0 sum, 1 count, 2 any, 3 mean, 4 share. Plans of
-- sums only, which have neither counts nor divisors, go a shorter way.

CREATE OR REPLACE VIEW $database.unit_values$on_cluster AS
WITH
    length({streams:Array(UInt16)}) AS entries_n,
    length({ends:Array(Int64)}) AS metrics_n,
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
    arrayMap(
        end -> belongs AND (end = 0 OR first_ms + end <= {closed_ms:Int64}), {ends:Array(Int64)}
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
        arrayMap(
            (is_ripe, of_rewards) -> is_ripe AND (NOT of_rewards OR seen_n > 0),
            ripe, {of_rewards:Array(UInt8)}
        )
    ) AS present
FROM $database.unit_states FINAL
WHERE generation = {generation:String} AND build = {build:UInt32};

-- The same of the log, to the letter; apart from it because only to plan how to read the log takes
-- longer than to read the states.

CREATE OR REPLACE VIEW $database.unit_values_of_log$on_cluster AS
WITH
    length({streams:Array(UInt16)}) AS entries_n,
    length({ends:Array(Int64)}) AS metrics_n,
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
    arrayMap(
        end -> belongs AND (end = 0 OR first_ms + end <= {closed_ms:Int64}), {ends:Array(Int64)}
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
        arrayMap(
            (is_ripe, of_rewards) -> is_ripe AND (NOT of_rewards OR seen_n > 0),
            ripe, {of_rewards:Array(UInt8)}
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
