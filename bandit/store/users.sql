-- The two users of a real ClickHouse, for whoever administers it; see README.md beside this file.
-- Replace the hashes: printf %s 'the password' | sha256sum. On a cluster add ON CLUSTER '…' to each.

-- Serves, drains, learns, migrates: BANDIT_CLICKHOUSE_URL. It owns one database and nothing else.
CREATE USER IF NOT EXISTS bandit_service IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000';
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER TABLE, SELECT, INSERT ON bandit.* TO bandit_service;

-- Dashboard, reports, export, replay: BANDIT_CLICKHOUSE_READ_URL. readonly = 1 changes no rows, and
-- no settings either, so that what a query may cost is set here; the dashboard asks for less.
CREATE SETTINGS PROFILE IF NOT EXISTS bandit_reading SETTINGS readonly = 1, max_execution_time = 120 MIN 1 MAX 120 CHANGEABLE_IN_READONLY, max_memory_usage = 0 CHANGEABLE_IN_READONLY, distributed_product_mode = 'global';
CREATE USER IF NOT EXISTS bandit_reader IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000' SETTINGS PROFILE 'bandit_reading';
GRANT SELECT ON bandit.* TO bandit_reader;
REVOKE SELECT ON bandit.keys FROM bandit_reader;
REVOKE SELECT ON bandit.key_uses FROM bandit_reader;

-- on a cluster only
GRANT CLUSTER, REMOTE ON *.* TO bandit_service;
GRANT REMOTE ON *.* TO bandit_reader;
