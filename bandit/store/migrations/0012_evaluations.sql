-- Off-policy evaluations of learned candidates, and what became of challengers. Append-only: the
-- newest row of an id counts.

CREATE TABLE IF NOT EXISTS $database.evaluations$local$on_cluster
(
    surface       LowCardinality(String),
    evaluation_id String,
    made_at       DateTime64(3, 'UTC'),
    author        String,
    project       LowCardinality(String),
    artefact      String CODEC(ZSTD(3)) COMMENT 'JSON, bandit.service.evaluation_artefact'
)
ENGINE = ${replicated}MergeTree
ORDER BY (surface, evaluation_id)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.evaluations$on_cluster AS $database.evaluations_local
ENGINE = Distributed('$cluster', $database, evaluations_local, cityHash64(evaluation_id));

-- Steps of promotions: several hosts move one at once, so steps compete, and of those with one
-- number the first to become visible won (see 0002 for _block_number).
CREATE TABLE IF NOT EXISTS $database.promotions$local$on_cluster
(
    surface      LowCardinality(String),
    promotion_id UInt64 COMMENT 'counts 1, 2, 3 … per surface',
    seq          UInt64 COMMENT 'of its steps, from 1',
    change_id    String COMMENT 'distinguishes a step from those that lost',
    state        LowCardinality(String) COMMENT 'ramping, landing, live, reverting, reverted, …',
    challenger   LowCardinality(String),
    live         LowCardinality(String) COMMENT 'the policy that it is to replace',
    experiment   LowCardinality(String) COMMENT 'of the ramp; empty without',
    stage        UInt32 COMMENT 'index into the ramp',
    share        Float64 COMMENT 'of units that the challenger serves',
    reason       String COMMENT 'in plain words',
    plan         String CODEC(ZSTD(3)) COMMENT 'JSON: how it was asked for',
    evidence     String CODEC(ZSTD(3)) COMMENT 'JSON: the gate, or what was looked at for the step',
    project      LowCardinality(String),
    author       String,
    at           DateTime64(3, 'UTC')
)
ENGINE = ${replicated}MergeTree
ORDER BY (surface, promotion_id, seq)
SETTINGS $durable, enable_block_number_column = 1;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.promotions$on_cluster AS $database.promotions_local
ENGINE = Distributed('$cluster', $database, promotions_local, cityHash64(surface, promotion_id));
