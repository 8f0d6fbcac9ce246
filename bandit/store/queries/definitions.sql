-- name: definition_newest_version
-- The newest version of a definition; 0 if there is none.
SELECT max(version) AS version
FROM definitions
WHERE kind = {kind:String} AND key = {key:String}

-- name: definition_winner
-- Whose change made a version: the first that became visible.
SELECT change_id
FROM definitions
WHERE kind = {kind:String} AND key = {key:String} AND version = {version:UInt64}
ORDER BY _block_number, change_id
LIMIT 1
SETTINGS select_sequential_consistency = 1

-- name: definition_history
-- Every version of a definition, oldest first.
SELECT kind, key, version, toUnixTimestamp64Milli(created_at), author, change_id, spec
FROM definitions
WHERE kind = {kind:String} AND key = {key:String}
ORDER BY version, _block_number, change_id
LIMIT 1 BY version

-- name: definition_version
-- One version of a definition.
SELECT kind, key, version, toUnixTimestamp64Milli(created_at), author, change_id, spec
FROM definitions
WHERE kind = {kind:String} AND key = {key:String} AND version = {version:UInt64}
ORDER BY _block_number, change_id
LIMIT 1

-- name: definitions_newest
-- The newest version of every definition.
SELECT kind, key, version, toUnixTimestamp64Milli(created_at), author, change_id, spec
FROM definitions
ORDER BY kind, key, version DESC, _block_number, change_id
LIMIT 1 BY kind, key

-- name: definitions_as_of
-- Every definition as it was at a time: its newest version that had been made by then. Of what was
-- declared only later the first version.
SELECT kind, key, version, toUnixTimestamp64Milli(created_at), author, change_id, spec
FROM definitions
ORDER BY
    kind,
    key,
    created_at > fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC'),
    if(
        created_at > fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC'),
        toInt64(version),
        -toInt64(version)
    ),
    _block_number,
    change_id
LIMIT 1 BY kind, key

-- name: definitions_count
-- How many changes were ever made, also those that lost.
SELECT count() FROM definitions
