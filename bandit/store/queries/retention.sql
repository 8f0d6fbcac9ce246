-- name: set_retention
-- Lets a table's rows go when a time of theirs is so many days ago.
ALTER TABLE {table:Identifier}$on_cluster
MODIFY TTL toDateTime({clock:Identifier}) + toIntervalDay({days:UInt32})

-- name: keep_for_good
-- Lets a table's rows stay.
ALTER TABLE {table:Identifier}$on_cluster REMOVE TTL

-- name: table_engines
-- How some tables are kept, as the store says it.
SELECT name, engine_full
FROM system.tables
WHERE database = {database:String} AND name IN {tables:Array(String)}
ORDER BY name

-- name: expiring_runs
-- Runs of numbers of each stream whose rows are older than a time.
SELECT surface, writer, min(seq) AS first, max(seq) AS last
FROM (
    SELECT surface, writer, seq,
           seq - row_number() OVER (PARTITION BY surface, writer ORDER BY seq) AS run
    FROM (
        SELECT DISTINCT surface, writer, seq
        FROM {table:Identifier}
        WHERE {clock:Identifier} < fromUnixTimestamp64Milli({before_ms:Int64})
    )
)
GROUP BY surface, writer, run
ORDER BY surface, writer, first

-- name: expired_numbers
-- Numbers of some streams that were declared expired after a time, beyond a number of each and up to
-- another.
SELECT concat(log_table, '/', surface, '/', writer) AS stream, sum(last - first + 1) AS numbers_n
FROM gaps
WHERE reason = 'expired'
  AND created_at > fromUnixTimestamp64Milli({since_ms:Int64})
  AND has({streams:Array(String)}, stream)
  AND last > transform(stream, {streams:Array(String)}, {after:Array(UInt64)}, 0)
  AND first <= transform(stream, {streams:Array(String)}, {upto:Array(UInt64)}, 0)
GROUP BY stream
ORDER BY stream
