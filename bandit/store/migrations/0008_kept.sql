-- Under overload only a share of the decisions is logged, by a hash of the event id; each of them
-- tells the share, so that totals can be told, too.

ALTER TABLE $database.decisions$local$on_cluster
    ADD COLUMN IF NOT EXISTS keep_share Float64 DEFAULT 1 CODEC(ZSTD(1))
        COMMENT 'probability with which this decision was logged, (0, 1]';

-- on a cluster only
ALTER TABLE $database.decisions$on_cluster
    ADD COLUMN IF NOT EXISTS keep_share Float64 DEFAULT 1;
