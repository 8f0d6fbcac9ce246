-- Numbers of the log's streams that will never come: what the store refused for good, and what a
-- unit had forgotten. Readers go on over them; without a row here a missing number is a hole, and
-- stops its stream.

CREATE TABLE IF NOT EXISTS $database.gaps$local$on_cluster
(
    log_table   LowCardinality(String),
    surface     LowCardinality(String),
    writer      LowCardinality(String),
    first       UInt64 CODEC(Delta(8), ZSTD(1)),
    last        UInt64 CODEC(Delta(8), ZSTD(1)) COMMENT 'inclusive',
    reason      LowCardinality(String) COMMENT 'rejected, forgotten',
    created_at  DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree(ingested_at)
ORDER BY (log_table, surface, writer, first, last)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.gaps$on_cluster AS $database.gaps_local
ENGINE = Distributed('$cluster', $database, gaps_local, cityHash64(writer));
