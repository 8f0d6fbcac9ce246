-- Numbers of the log's streams that will never come: what the store refused for good, what a disk
-- lost, and what a unit had forgotten. Learners go on over them, whether or not a row is there all
-- the same; without a row here a missing number is a hole, and stops its stream.

CREATE TABLE IF NOT EXISTS $database.gaps$local$on_cluster
(
    log_table   LowCardinality(String),
    surface     LowCardinality(String),
    writer      LowCardinality(String),
    first       UInt64 CODEC(Delta(8), ZSTD(1)),
    last        UInt64 CODEC(Delta(8), ZSTD(1)) COMMENT 'inclusive',
    reason      LowCardinality(String) COMMENT 'rejected, lost, forgotten',
    created_at  DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree(ingested_at)
ORDER BY (log_table, surface, writer, first, last)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.gaps$on_cluster AS $database.gaps_local
ENGINE = Distributed('$cluster', $database, gaps_local, cityHash64(writer));

ALTER TABLE $database.snapshots$local$on_cluster
    ADD COLUMN IF NOT EXISTS given_up UInt64 AFTER out_of_bounds;

-- on a cluster only
ALTER TABLE $database.snapshots$on_cluster
    ADD COLUMN IF NOT EXISTS given_up UInt64 AFTER out_of_bounds;

-- A host that was shut down with nothing left to deliver says so, and nobody waits for it.
ALTER TABLE $database.progress$local$on_cluster
    ADD COLUMN IF NOT EXISTS done Bool;

-- on a cluster only
ALTER TABLE $database.progress$on_cluster
    ADD COLUMN IF NOT EXISTS done Bool;
