-- Where the tables live, and which migrations made them. Run at every start, before all others.

CREATE DATABASE IF NOT EXISTS $database$on_cluster;

CREATE TABLE IF NOT EXISTS $database.migrations$local$on_cluster
(
    name       String,
    digest     String COMMENT 'SHA-256 of the file, hex',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ${replicated}MergeTree
ORDER BY name
SETTINGS $durable;

-- on a cluster only
CREATE TABLE IF NOT EXISTS $database.migrations$on_cluster AS $database.migrations_local
ENGINE = Distributed('$cluster', $database, migrations_local, cityHash64(name));
