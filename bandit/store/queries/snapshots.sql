-- name: snapshot_winner
-- Whose snapshot of a number counts: the first that became visible.
SELECT change_id
FROM snapshots
WHERE policy = {policy:String} AND number = {number:UInt64}
ORDER BY _block_number, change_id
LIMIT 1
SETTINGS select_sequential_consistency = 1

-- name: snapshot_numbers
-- The newest number of every policy; reads no weights.
SELECT policy, max(number) AS number
FROM snapshots
GROUP BY policy
ORDER BY policy

-- name: snapshot
-- One snapshot with its weights.
-- bytes: weights
SELECT policy, number, parent, toUnixTimestamp64Milli(created_at), spec_version,
       surface_version, spec, format, weights, digest, sha256, cursor,
       toUnixTimestamp64Milli(watermark), trained, defaulted, unseen, late, duplicate, orphan,
       out_of_bounds, given_up, learner, change_id, erasures
FROM snapshots
WHERE policy = {policy:String} AND number = {number:UInt64}
ORDER BY _block_number, change_id
LIMIT 1

-- name: snapshot_lineage
-- Snapshots {since} to {upto} of a policy without their weights, oldest first.
-- bytes: weights
SELECT policy, number, parent, toUnixTimestamp64Milli(created_at), spec_version,
       surface_version, spec, format, '' AS weights, digest, sha256, cursor,
       toUnixTimestamp64Milli(watermark), trained, defaulted, unseen, late, duplicate, orphan,
       out_of_bounds, given_up, learner, change_id, erasures
FROM snapshots
WHERE policy = {policy:String} AND number >= {since:UInt64} AND number <= {upto:UInt64}
ORDER BY number, _block_number, change_id
LIMIT 1 BY number

-- name: kept_snapshot
-- The newest snapshot up to {number} whose weights are kept, 0 if there is none. What is read of
-- the weights is how long they are.
SELECT max(number)
FROM snapshots
WHERE policy = {policy:String} AND number <= {number:UInt64} AND notEmpty(weights)

-- name: snapshots_to_thin
-- Which weights are to be forgotten behind the last {keep}: all but one in {keep} and those that
-- are the first after another {rows_n} rows of the log; behind the last {keep}² the latter alone
-- stay. It looks twice as far back, so that a time it was not asked does not matter.
SELECT number
FROM (
    SELECT number, is_kept, intDiv(read_n, {rows_n:UInt64}) AS mile,
           lagInFrame(mile) OVER (ORDER BY number) AS mile_before
    FROM (
        SELECT number, notEmpty(weights) AS is_kept, arraySum(mapValues(cursor)) AS read_n
        FROM snapshots
        WHERE policy = {policy:String}
          AND number + 2 * {keep:UInt64} * {keep:UInt64} > {number:UInt64}
        ORDER BY number, _block_number, change_id
        LIMIT 1 BY number
    )
)
WHERE is_kept AND mile = mile_before AND number + {keep:UInt64} < {number:UInt64}
  AND (number % {keep:UInt64} != 0
    OR number + {keep:UInt64} * {keep:UInt64} < {number:UInt64})
ORDER BY number

-- name: thin_snapshots
-- Forgets the weights of some snapshots and keeps their lineage. Nobody waits for it: it rewrites
-- the weights that are stored beside them, behind the merges that run.
ALTER TABLE snapshots$local$on_cluster UPDATE weights = ''
WHERE policy = {policy:String} AND has({numbers:Array(UInt64)}, number)
SETTINGS mutations_sync = 0
