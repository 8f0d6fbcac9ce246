-- API keys, as digests, in versions that are only ever added: what a key is now is its newest row.
-- A change of a key is one row; of several that compete for a version the lowest _block_number won.

CREATE TABLE IF NOT EXISTS $database.keys$local$on_cluster
(
    key_id     String CODEC(ZSTD(1)),
    version    UInt64 CODEC(ZSTD(1)),
    change_id  String CODEC(ZSTD(1)),
    project    LowCardinality(String),
    client     String CODEC(ZSTD(1)) COMMENT 'whose; a client has at most two live keys',
    digest     String CODEC(ZSTD(1)) COMMENT 'SHA-256 of the whole key, hex',
    scopes     Array(LowCardinality(String)) COMMENT 'rank, reward, read, admin',
    rate_limit Nullable(Float64) COMMENT 'requests a second and worker; NULL: as set for all',
    expires_at Nullable(DateTime64(3, 'UTC')),
    revoked    Bool,
    created_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    author     LowCardinality(String)
)
ENGINE = ${replicated}MergeTree
ORDER BY (key_id, version, change_id)
SETTINGS $durable, enable_block_number_column = 1;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.keys$on_cluster AS $database.keys_local
ENGINE = Distributed('$cluster', $database, keys_local, cityHash64(key_id));

-- When a key was last used, as far as its host has said; a few rows an hour.
CREATE TABLE IF NOT EXISTS $database.key_uses$local$on_cluster
(
    key_id  String CODEC(ZSTD(1)),
    host    LowCardinality(String),
    used_at DateTime64(3, 'UTC') CODEC(ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree(used_at)
ORDER BY (key_id, host)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.key_uses$on_cluster AS $database.key_uses_local
ENGINE = Distributed('$cluster', $database, key_uses_local, cityHash64(key_id));

-- Outcomes belong to no surface, so they say whose they are by themselves.
ALTER TABLE $database.outcomes$local$on_cluster
    ADD COLUMN IF NOT EXISTS project LowCardinality(String) DEFAULT ''
        COMMENT 'of the key that brought it; empty: of every project, no key was asked for';

-- on a cluster only
ALTER TABLE $database.outcomes$on_cluster
    ADD COLUMN IF NOT EXISTS project LowCardinality(String) DEFAULT '';
