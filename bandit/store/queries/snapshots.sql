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
       out_of_bounds, learner, change_id
FROM snapshots
WHERE policy = {policy:String} AND number = {number:UInt64}
ORDER BY _block_number, change_id
LIMIT 1

-- name: snapshot_lineage
-- Every snapshot of a policy without its weights, oldest first.
-- bytes: weights
SELECT policy, number, parent, toUnixTimestamp64Milli(created_at), spec_version,
       surface_version, spec, format, '' AS weights, digest, sha256, cursor,
       toUnixTimestamp64Milli(watermark), trained, defaulted, unseen, late, duplicate, orphan,
       out_of_bounds, learner, change_id
FROM snapshots
WHERE policy = {policy:String}
ORDER BY number, _block_number, change_id
LIMIT 1 BY number

-- name: thin_snapshots
-- Forgets weights that nobody will serve again, and keeps their lineage: of the numbers behind
-- the last {keep} one in {keep}, of those behind the last {keep}² one in {keep}². The windows reach
-- far back, so that a time it did not run does not matter.
ALTER TABLE snapshots$local$on_cluster UPDATE weights = ''
WHERE policy = {policy:String}
  AND ((number + {keep:UInt64} < {number:UInt64}
        AND number + 16 * {keep:UInt64} > {number:UInt64}
        AND number % {keep:UInt64} != 0)
    OR (number + {keep:UInt64} * {keep:UInt64} < {number:UInt64}
        AND number + 2 * {keep:UInt64} * {keep:UInt64} > {number:UInt64}
        AND number % {keep:UInt64} = 0
        AND number % ({keep:UInt64} * {keep:UInt64}) != 0))
