-- What a report needs of each unit of an experiment, so that a new report costs by the units that
-- something happened to, not by decisions.
--
-- A generation is one set of definitions (experiment, metrics, the surface's reward rules) over the
-- log; other definitions are another one, built from the log anew. It goes forward in steps, each
-- over the decisions of one half-open interval of time that have all their rewards, and outcomes of
-- the same interval. A step is claimed by a row (the first of a number to become visible won:
-- _block_number), its states are written, and only the row that says `done`, with how many and
-- their digest, makes them count: what is cut off is done again and gives the same rows.

CREATE TABLE IF NOT EXISTS $database.unit_states$local$on_cluster
(
    generation  String CODEC(ZSTD(1)),
    unit_id     String CODEC(ZSTD(1)),
    step        UInt64 CODEC(ZSTD(1)) COMMENT 'the newest holds all there is of the unit up to it',
    variant     LowCardinality(String) COMMENT 'of its first decision or assignment',
    crossed     Bool COMMENT 'seen in another variant, too',
    forced      Bool COMMENT 'ever set by hand',
    first_ts    DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    segments    Array(LowCardinality(String)) COMMENT 'values at its first decision, as declared',
    decisions_n UInt32 CODEC(ZSTD(1)),
    counts      Array(UInt32) CODEC(ZSTD(1)) COMMENT 'of decisions, by kind',
    reward_sum  Float64 CODEC(ZSTD(1)),
    numbers     Array(Float64) CODEC(ZSTD(1)) COMMENT 'sums and counts per metric, as compiled',
    made_at     DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ${replicated}ReplacingMergeTree(step)
ORDER BY (generation, unit_id)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.unit_states$on_cluster AS $database.unit_states_local
ENGINE = Distributed('$cluster', $database, unit_states_local, cityHash64(unit_id));

CREATE TABLE IF NOT EXISTS $database.state_steps$local$on_cluster
(
    generation String,
    experiment LowCardinality(String),
    step       UInt64,
    state      LowCardinality(String) COMMENT 'claimed, done, spoilt',
    from_ts    DateTime64(3, 'UTC') COMMENT 'exclusive',
    through_ts DateTime64(3, 'UTC') COMMENT 'inclusive',
    states_n   UInt64,
    digest     UInt64 COMMENT 'of the states that were written',
    sums       String CODEC(ZSTD(3)) COMMENT 'JSON: what adds up beside the units',
    made_at    DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ${replicated}MergeTree
ORDER BY (generation, step, state)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.state_steps$on_cluster AS $database.state_steps_local
ENGINE = Distributed('$cluster', $database, state_steps_local, cityHash64(generation));

-- The numbers of every refresh, for the dashboard, charts over time and reports of a past day. How
-- long a row stays is told by its time alone, so that several refreshers need not agree on anything:
-- one that is of a midnight (UTC) for good, of a full hour for 60 days, any other for an hour. Of
-- rows of one time and generation the first to become visible counts (_block_number).
CREATE TABLE IF NOT EXISTS $database.kept_numbers$local$on_cluster
(
    kind       LowCardinality(String) COMMENT 'experiment, surface, refresher',
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
