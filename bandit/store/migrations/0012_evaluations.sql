-- Off-policy evaluations of learned candidates, and what became of challengers. Append-only: the
-- newest row of an id counts.

CREATE TABLE IF NOT EXISTS $database.evaluations$local$on_cluster
(
    surface       LowCardinality(String),
    evaluation_id String,
    made_at       DateTime64(3, 'UTC'),
    author        LowCardinality(String),
    project       LowCardinality(String),
    artefact      String CODEC(ZSTD(3)) COMMENT 'JSON, bandit.service.evaluation_artefact',
    seq           UInt64 COMMENT 'of the rows of one id'
)
ENGINE = ${replicated}MergeTree
ORDER BY (surface, evaluation_id, seq)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.evaluations$on_cluster AS $database.evaluations_local
ENGINE = Distributed('$cluster', $database, evaluations_local, cityHash64(evaluation_id));

CREATE TABLE IF NOT EXISTS $database.promotions$local$on_cluster
(
    surface      LowCardinality(String),
    promotion_id String,
    seq          UInt64 COMMENT 'of the rows of one id',
    state        LowCardinality(String) COMMENT 'ramping, live, reverted, refused, abandoned',
    challenger   LowCardinality(String),
    live         LowCardinality(String) COMMENT 'the policy that it is to replace',
    experiment   LowCardinality(String) COMMENT 'of the ramp; empty without',
    share        Float64 COMMENT 'of units that the challenger serves',
    reason       String COMMENT 'in plain words',
    evidence     String CODEC(ZSTD(3)) COMMENT 'JSON: the gate that was passed or not',
    project      LowCardinality(String),
    author       LowCardinality(String),
    at           DateTime64(3, 'UTC')
)
ENGINE = ${replicated}MergeTree
ORDER BY (surface, promotion_id, seq)
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.promotions$on_cluster AS $database.promotions_local
ENGINE = Distributed('$cluster', $database, promotions_local, cityHash64(promotion_id));
