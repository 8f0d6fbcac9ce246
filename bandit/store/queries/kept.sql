-- part: kept_columns
-- What `Kept` is made of.
SELECT
    toString(kind) AS of_kind,
    toString(key) AS of_key,
    toUnixTimestamp64Milli(as_of) AS as_of_ms,
    generation,
    numbers,
    took_ms
FROM kept_numbers

-- name: kept_newest
-- The newest numbers of some things that are of a time or before, each of the generation that is
-- named for it ('': of any). Only those rows' numbers are read.
WITH arrayZip({kinds:Array(String)}, {keys:Array(String)}, {generations:Array(String)}) AS asked
-- put: kept_columns
WHERE kind IN {kinds:Array(String)}
  AND key IN {keys:Array(String)}
  AND (has(asked, (toString(kind), toString(key), generation))
       OR has(asked, (toString(kind), toString(key), '')))
  AND (kind, key, as_of) IN (
      SELECT kind, key, max(as_of)
      FROM kept_numbers
      WHERE kind IN {kinds:Array(String)}
        AND key IN {keys:Array(String)}
        AND (has(asked, (toString(kind), toString(key), generation))
             OR has(asked, (toString(kind), toString(key), '')))
        AND as_of <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
      GROUP BY kind, key
  )
ORDER BY kind, key, _block_number, made_at
LIMIT 1 BY kind, key

-- name: kept_newest_of_generation
-- The same of things whose generations are all known: in half the time, since that is mostly spent
-- on planning. Generations are digests: one of one thing is never of another.
-- put: kept_columns
WHERE (kind, key, as_of) IN (
      SELECT kind, key, max(as_of)
      FROM kept_numbers
      WHERE kind IN {kinds:Array(String)}
        AND key IN {keys:Array(String)}
        AND generation IN {generations:Array(String)}
        AND as_of <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
      GROUP BY kind, key
  )
  AND generation IN {generations:Array(String)}
ORDER BY kind, key, _block_number, made_at
LIMIT 1 BY kind, key

-- name: kept_newest_of_each
-- The newest numbers of every thing of a kind that are of a time or before.
-- put: kept_columns
WHERE kind = {kind:String}
  AND (key, as_of) IN (
      SELECT key, max(as_of)
      FROM kept_numbers
      WHERE kind = {kind:String}
        AND as_of <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
      GROUP BY key
  )
ORDER BY key, _block_number, made_at
LIMIT 1 BY key

-- name: kept_times
-- Of what times numbers of one thing and generation are kept, from a time to another, oldest first.
SELECT DISTINCT toUnixTimestamp64Milli(as_of) AS as_of_ms
FROM kept_numbers
WHERE kind = {kind:String}
  AND key = {key:String}
  AND generation = {generation:String}
  AND as_of >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
  AND as_of <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
ORDER BY as_of_ms

-- name: kept_at
-- Numbers of one thing and generation of some times, oldest first.
SELECT toUnixTimestamp64Milli(as_of) AS as_of_ms, generation, numbers, took_ms
FROM kept_numbers
WHERE kind = {kind:String}
  AND key = {key:String}
  AND generation = {generation:String}
  AND as_of IN (
      SELECT fromUnixTimestamp64Milli(arrayJoin({times_ms:Array(Int64)}), 'UTC')
  )
ORDER BY as_of, _block_number, made_at
LIMIT 1 BY as_of

-- name: kept_leaves
-- When the newest numbers of one thing may go, as seconds since 1970; 0 if none are kept.
SELECT toUnixTimestamp(max(until))
FROM kept_numbers
WHERE kind = {kind:String}
  AND key = {key:String}
  AND generation = {generation:String}
  AND as_of = fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
