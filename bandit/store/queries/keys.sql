-- name: key_newest_version
-- The newest version of an API key; 0 if there is none.
SELECT max(version) AS version FROM keys WHERE key_id = {key_id:String}

-- name: key_winner
-- Whose change made a version of a key: the first that became visible.
SELECT change_id
FROM keys
WHERE key_id = {key_id:String} AND version = {version:UInt64}
ORDER BY _block_number, change_id
LIMIT 1
SETTINGS select_sequential_consistency = 1

-- name: keys_newest
-- The newest version of every API key.
SELECT key_id, version, project, client, digest, scopes, rate_limit,
       toUnixTimestamp64Milli(expires_at), revoked, toUnixTimestamp64Milli(created_at), author
FROM keys
ORDER BY key_id, version DESC, _block_number, change_id
LIMIT 1 BY key_id

-- name: keys_count
-- A number that changes with every change of a key; the table only grows.
SELECT count() FROM keys

-- name: key_uses_newest
-- When each key was last used, as far as any host has said.
SELECT key_id, toUnixTimestamp64Milli(max(used_at)) AS newest FROM key_uses GROUP BY key_id
