-- part: catalogue_of_version
-- Rows of a catalogue up to a version, of those changes that won.
WHERE surface = {surface:String}
  AND version <= {version:UInt64}
  AND (version, change_id) IN (
      SELECT version, argMin(change_id, (_block_number, change_id))
      FROM catalogue
      WHERE surface = {surface:String} AND version <= {version:UInt64} AND place = 0
      GROUP BY version
  )

-- name: catalogue_revision
-- A number that changes with every change of any catalogue; the table only grows.
SELECT count() FROM catalogue

-- name: catalogue_heads
-- The newest version of every surface's catalogue.
SELECT surface, max(version) FROM catalogue WHERE place = 0 GROUP BY surface ORDER BY surface

-- name: catalogue_newest_version
-- The newest version of a surface's catalogue; 0 if it has none.
SELECT max(version) FROM catalogue WHERE surface = {surface:String} AND place = 0

-- name: catalogue_winner
-- Whose change made a version: the first that became visible.
SELECT change_id
FROM catalogue
WHERE surface = {surface:String} AND version = {version:UInt64} AND place = 0
ORDER BY _block_number, change_id
LIMIT 1
SETTINGS select_sequential_consistency = 1

-- name: catalogue_at
-- The actions of a catalogue at a version, in the order in which they came (anew, after a deletion).
-- bytes: newest
SELECT id, argMax(features, version) AS newest
FROM catalogue
-- put: catalogue_of_version
GROUP BY id
HAVING NOT argMax(deleted, version)
ORDER BY arraySort(arrayFilter(
    came -> came.1 > maxIf(version, deleted), groupArrayIf((version, place), NOT deleted)
))[1]

-- name: catalogue_digests
-- The actions of a catalogue at a version, with the SHA-256 of their features.
-- bytes: digest
SELECT id, SHA256(argMax(features, version)) AS digest
FROM catalogue
-- put: catalogue_of_version
GROUP BY id
HAVING NOT argMax(deleted, version)

-- name: catalogue_page
-- Some actions of a catalogue at a version by id, with the version that changed each last.
-- bytes: newest
SELECT id, argMax(features, version) AS newest, max(version) AS changed
FROM catalogue
WHERE surface = {surface:String}
  AND version <= {version:UInt64}
  AND id > {after:String}
  AND (version, change_id) IN (
      SELECT version, argMin(change_id, (_block_number, change_id))
      FROM catalogue
      WHERE surface = {surface:String} AND version <= {version:UInt64} AND place = 0
      GROUP BY version
  )
GROUP BY id
HAVING NOT argMax(deleted, version)
ORDER BY id
LIMIT {limit:UInt64}

-- name: catalogue_action
-- One action of a catalogue at a version, with the version that changed it last.
-- bytes: newest
SELECT id, argMax(features, version) AS newest, max(version) AS changed
FROM catalogue
WHERE surface = {surface:String}
  AND version <= {version:UInt64}
  AND id = {id:String}
  AND (version, change_id) IN (
      SELECT version, argMin(change_id, (_block_number, change_id))
      FROM catalogue
      WHERE surface = {surface:String} AND version <= {version:UInt64} AND place = 0
      GROUP BY version
  )
GROUP BY id
HAVING NOT argMax(deleted, version)

-- name: catalogue_changes
-- What changed in a catalogue after one version and up to another, in its order.
-- bytes: features
SELECT version, id, features, deleted
FROM catalogue
WHERE surface = {surface:String}
  AND version > {after:UInt64}
  AND version <= {upto:UInt64}
  AND (version, change_id) IN (
      SELECT version, argMin(change_id, (_block_number, change_id))
      FROM catalogue
      WHERE surface = {surface:String}
        AND version > {after:UInt64}
        AND version <= {upto:UInt64}
        AND place = 0
      GROUP BY version
  )
ORDER BY version, place

-- name: catalogue_of_decision
-- The actions that a decision offered, as its surface's catalogue had them at a version.
-- bytes: newest
SELECT id, argMax(features, version) AS newest
FROM catalogue
WHERE surface = {surface:String}
  AND version <= {version:UInt64}
  AND id IN (
      SELECT arrayJoin(actions)
      FROM decisions
      WHERE event_id = {event_id:UUID}
        AND ts BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
                   AND fromUnixTimestamp64Milli({until_ms:Int64})
  )
  AND (version, change_id) IN (
      SELECT version, argMin(change_id, (_block_number, change_id))
      FROM catalogue
      WHERE surface = {surface:String} AND version <= {version:UInt64} AND place = 0
      GROUP BY version
  )
GROUP BY id
HAVING NOT argMax(deleted, version)
