-- Actions with features that surfaces hold, in versions that are only ever added. A version is one
-- change: its rows come in one insert, and of several changes that compete for a version the one
-- with the lowest _block_number won (as in definitions). What an action was at a version is its
-- newest row up to there, so decisions log the version and no features.

CREATE TABLE IF NOT EXISTS $database.catalogue$local$on_cluster
(
    surface    LowCardinality(String),
    version    UInt64 CODEC(Delta(8), ZSTD(1)),
    change_id  String CODEC(ZSTD(1)),
    place      UInt32 CODEC(Delta(4), ZSTD(1)) COMMENT 'in the change; every change has a 0',
    id         String CODEC(ZSTD(1)),
    features   String CODEC(ZSTD(3)) COMMENT 'JSON, byte for byte as sent; empty if deleted',
    deleted    Bool,
    created_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    author     LowCardinality(String)
)
ENGINE = ${replicated}MergeTree
ORDER BY (surface, version, change_id, place)
SETTINGS $durable, enable_block_number_column = 1;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.catalogue$on_cluster AS $database.catalogue_local
ENGINE = Distributed('$cluster', $database, catalogue_local, cityHash64(surface));
