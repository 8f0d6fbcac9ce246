-- What rules, slots, catalogues and experiments add to the log.

ALTER TABLE $database.decisions$local$on_cluster
    ADD COLUMN IF NOT EXISTS surface_version UInt64 CODEC(ZSTD(1)) COMMENT '0: not noted',
    ADD COLUMN IF NOT EXISTS excluded_reasons Array(LowCardinality(String)) CODEC(ZSTD(1))
        COMMENT 'one for each of excluded: request, denied, seen',
    ADD COLUMN IF NOT EXISTS blocked Array(Array(UInt16)) CODEC(ZSTD(1))
        COMMENT 'per slot, eligible actions that could not be drawn there; empty: none',
    ADD COLUMN IF NOT EXISTS pinned Array(UInt16) CODEC(ZSTD(1)) COMMENT 'slots that were given',
    ADD COLUMN IF NOT EXISTS slot_features Array(String) CODEC(ZSTD(3)) COMMENT 'JSON each',
    ADD COLUMN IF NOT EXISTS catalogue UInt64 CODEC(ZSTD(1))
        COMMENT 'version that holds the features, and action_features is empty; 0: as sent',
    ADD COLUMN IF NOT EXISTS forced Bool COMMENT 'variant was set by hand; no report counts it',
    ADD COLUMN IF NOT EXISTS shadow_tops Array(Int32) CODEC(ZSTD(1))
        COMMENT 'per shadow, index of its likeliest action; -1: not noted';

-- on a cluster only
ALTER TABLE $database.decisions$on_cluster
    ADD COLUMN IF NOT EXISTS surface_version UInt64,
    ADD COLUMN IF NOT EXISTS excluded_reasons Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS blocked Array(Array(UInt16)),
    ADD COLUMN IF NOT EXISTS pinned Array(UInt16),
    ADD COLUMN IF NOT EXISTS slot_features Array(String),
    ADD COLUMN IF NOT EXISTS catalogue UInt64,
    ADD COLUMN IF NOT EXISTS forced Bool,
    ADD COLUMN IF NOT EXISTS shadow_tops Array(Int32);

ALTER TABLE $database.exposures$local$on_cluster
    ADD COLUMN IF NOT EXISTS overridden Array(UInt16) CODEC(ZSTD(1))
        COMMENT 'slots that showed something else',
    ADD COLUMN IF NOT EXISTS overridden_by Array(String) CODEC(ZSTD(1)) COMMENT 'what, id each';

-- on a cluster only
ALTER TABLE $database.exposures$on_cluster
    ADD COLUMN IF NOT EXISTS overridden Array(UInt16),
    ADD COLUMN IF NOT EXISTS overridden_by Array(String);

-- Units that were told their variant, at least once a day each; readers take the first per day.
CREATE TABLE IF NOT EXISTS $database.assignments$local$on_cluster
(
    unit_id            String CODEC(ZSTD(1)),
    ts                 DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    surface            LowCardinality(String),
    experiment         LowCardinality(String),
    experiment_version UInt32 CODEC(ZSTD(1)),
    variant            LowCardinality(String),
    forced             Bool,
    writer             LowCardinality(String),
    seq                UInt64 CODEC(Delta(8), ZSTD(1)),
    ingested_at        DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX by_seq seq TYPE minmax GRANULARITY 1,
    INDEX by_arrival ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(ts)
ORDER BY (experiment, toStartOfHour(ts), unit_id, writer, seq)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.assignments$on_cluster AS $database.assignments_local
ENGINE = Distributed('$cluster', $database, assignments_local, cityHash64(unit_id));
