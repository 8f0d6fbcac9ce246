-- Receipts of what was forgotten. They name nobody: the unit is a keyed digest, which tells whoever
-- knows the unit that it was done, and nobody else whose it was. An erasure is one row per state it
-- came to; how many were erased of what a policy had learned from says which of its snapshots may
-- still be resumed.

CREATE TABLE IF NOT EXISTS $database.erasures$local$on_cluster
(
    erasure_id   String CODEC(ZSTD(1)),
    unit_digest  String CODEC(ZSTD(1)) COMMENT 'BLAKE2b of the unit id, keyed with the project salt, hex',
    state        LowCardinality(String) COMMENT 'requested, erased, rebuilt',
    removed      Map(LowCardinality(String), UInt64) COMMENT 'rows or files, by where they were',
    policies     Array(String) COMMENT 'learned again without it',
    digests      Map(String, String) COMMENT 'policy@number: digest, of what was learned instead',
    at           DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    author       LowCardinality(String)
)
ENGINE = ${replicated}MergeTree
ORDER BY (erasure_id, at)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.erasures$on_cluster AS $database.erasures_local
ENGINE = Distributed('$cluster', $database, erasures_local, cityHash64(erasure_id));

ALTER TABLE $database.snapshots$local$on_cluster
    ADD COLUMN IF NOT EXISTS erasures UInt64
        COMMENT 'how many erasures its policy had undergone when its weights were started';

-- on a cluster only
ALTER TABLE $database.snapshots$on_cluster ADD COLUMN IF NOT EXISTS erasures UInt64;
