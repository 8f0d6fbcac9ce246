-- What several writers compete for. ClickHouse has no compare-and-set, so everybody's row is kept
-- and the first one wins: the one with the lowest _block_number, which the engine gives when a row
-- becomes visible and keeps through merges. (Clocks could not tell: a slow writer with an earlier
-- time would overturn what was already answered.)

CREATE TABLE IF NOT EXISTS $database.snapshots$local$on_cluster
(
    policy          LowCardinality(String),
    number          UInt64,
    parent          UInt64 COMMENT '0 is the policy as declared, untrained',
    created_at      DateTime64(3, 'UTC'),
    spec_version    UInt64,
    surface_version UInt64 COMMENT 'whose rules the rewards were joined by; 0: not noted',
    spec            String CODEC(ZSTD(3)) COMMENT 'JSON of the PolicySpec',
    format          LowCardinality(String),
    weights         String CODEC(ZSTD(1)) COMMENT 'empty once it was thinned out',
    digest          String COMMENT 'of the weights, however they were saved, hex',
    sha256          String COMMENT 'of the bytes in weights, hex',
    cursor          Map(String, UInt64) CODEC(ZSTD(1)) COMMENT 'table/surface/writer: seq read',
    watermark       DateTime64(3, 'UTC'),
    trained         UInt64,
    defaulted       UInt64,
    unseen          UInt64,
    late            UInt64,
    duplicate       UInt64,
    orphan          UInt64,
    out_of_bounds   UInt64,
    learner         String,
    change_id       String
)
ENGINE = ${replicated}MergeTree
ORDER BY (policy, number)
SETTINGS $durable, enable_block_number_column = 1;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.snapshots$on_cluster AS $database.snapshots_local
ENGINE = Distributed('$cluster', $database, snapshots_local, cityHash64(policy));

CREATE TABLE IF NOT EXISTS $database.definitions$local$on_cluster
(
    kind       LowCardinality(String),
    key        String,
    version    UInt64,
    created_at DateTime64(3, 'UTC'),
    author     String,
    change_id  String,
    spec       String CODEC(ZSTD(3)) COMMENT 'JSON'
)
ENGINE = ${replicated}MergeTree
ORDER BY (kind, key, version)
SETTINGS $durable, enable_block_number_column = 1;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.definitions$on_cluster AS $database.definitions_local
ENGINE = Distributed('$cluster', $database, definitions_local, cityHash64(kind, key));
