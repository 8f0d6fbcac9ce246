-- The log: one table per kind of record.
--
-- Sorting keys end in (writer, seq), so that only an exact repetition collapses: two writers' rows
-- of one event stay visible, or the count of (writer, seq) would see holes. Readers de-duplicate.
-- ingested_at is the store's own clock, so that readers can ask for what is new, whatever the
-- clocks of the hosts that wrote it.

CREATE TABLE IF NOT EXISTS $database.decisions$local$on_cluster
(
    event_id             UUID CODEC(ZSTD(1)) COMMENT 'UUIDv7; never sort by it: ts is its time',
    ts                   DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    surface              LowCardinality(String),
    unit_id              String CODEC(ZSTD(1)),
    experiment           LowCardinality(String),
    experiment_version   UInt32 CODEC(ZSTD(1)),
    variant              LowCardinality(String),
    policy               LowCardinality(String),
    snapshot             UInt64 CODEC(ZSTD(1)),
    context              String CODEC(ZSTD(3)) COMMENT 'JSON, byte for byte as sent',
    actions              Array(String) CODEC(ZSTD(1)) COMMENT 'ids, in offered order',
    action_features      Array(String) CODEC(ZSTD(3)) COMMENT 'JSON each, byte for byte as sent',
    excluded             Array(UInt16) CODEC(ZSTD(1)) COMMENT 'indices into actions',
    pmf                  Array(Float32) CODEC(ZSTD(1)) COMMENT 'over actions',
    ranking              Array(UInt16) CODEC(ZSTD(1)) COMMENT 'indices into actions, slot order',
    propensities         Array(Float64) CODEC(ZSTD(1)) COMMENT 'of ranking, given the slots above',
    floor                Float64 CODEC(ZSTD(1)),
    seed                 UInt64 CODEC(NONE),
    deferred             Bool,
    shadow_policies      Array(LowCardinality(String)),
    shadow_probabilities Array(Array(Float64)) CODEC(ZSTD(1)) COMMENT 'per shadow, of ranking',
    writer               LowCardinality(String),
    seq                  UInt64 CODEC(Delta(8), ZSTD(1)),
    ingested_at          DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_seq seq TYPE minmax GRANULARITY 1,
    INDEX by_arrival ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(ts)
ORDER BY (surface, toStartOfHour(ts), unit_id, event_id, writer, seq)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.decisions$on_cluster AS $database.decisions_local
ENGINE = Distributed('$cluster', $database, decisions_local, cityHash64(event_id));

CREATE TABLE IF NOT EXISTS $database.rewards$local$on_cluster
(
    event_id    UUID CODEC(ZSTD(1)),
    decision_ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'the time in event_id',
    ts          DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    surface     LowCardinality(String) COMMENT 'empty where nobody could tell',
    slot        UInt16 CODEC(ZSTD(1)),
    name        LowCardinality(String),
    value       Float64 CODEC(ZSTD(1)),
    reward_id   String CODEC(ZSTD(1)),
    writer      LowCardinality(String),
    seq         UInt64 CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_seq seq TYPE minmax GRANULARITY 1,
    INDEX by_arrival ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(decision_ts)
ORDER BY (surface, toStartOfHour(decision_ts), event_id, name, slot, reward_id, writer, seq)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.rewards$on_cluster AS $database.rewards_local
ENGINE = Distributed('$cluster', $database, rewards_local, cityHash64(event_id));

CREATE TABLE IF NOT EXISTS $database.exposures$local$on_cluster
(
    event_id    UUID CODEC(ZSTD(1)),
    decision_ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'the time in event_id',
    ts          DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    surface     LowCardinality(String) COMMENT 'empty where nobody could tell',
    slots       Array(UInt16) CODEC(ZSTD(1)),
    writer      LowCardinality(String),
    seq         UInt64 CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_seq seq TYPE minmax GRANULARITY 1,
    INDEX by_arrival ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(decision_ts)
ORDER BY (surface, toStartOfHour(decision_ts), event_id, writer, seq)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.exposures$on_cluster AS $database.exposures_local
ENGINE = Distributed('$cluster', $database, exposures_local, cityHash64(event_id));

CREATE TABLE IF NOT EXISTS $database.outcomes$local$on_cluster
(
    unit_id     String CODEC(ZSTD(1)),
    ts          DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    surface     LowCardinality(String),
    name        LowCardinality(String),
    value       Float64 CODEC(ZSTD(1)),
    outcome_id  String CODEC(ZSTD(1)),
    writer      LowCardinality(String),
    seq         UInt64 CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX by_seq seq TYPE minmax GRANULARITY 1,
    INDEX by_arrival ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(ts)
ORDER BY (surface, name, toStartOfHour(ts), unit_id, outcome_id, writer, seq)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.outcomes$on_cluster AS $database.outcomes_local
ENGINE = Distributed('$cluster', $database, outcomes_local, cityHash64(unit_id));

-- How far each host's drain has come; the newest row of a host counts.
CREATE TABLE IF NOT EXISTS $database.progress$local$on_cluster
(
    host            String,
    drained_through DateTime64(3, 'UTC') COMMENT 'all that was accepted there before is stored',
    backlog_bytes   UInt64,
    segments_n      UInt32,
    updated_at      DateTime64(3, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree(updated_at)
ORDER BY host
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.progress$on_cluster AS $database.progress_local
ENGINE = Distributed('$cluster', $database, progress_local, cityHash64(host));
