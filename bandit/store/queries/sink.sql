-- name: stored_seqs
-- Which sequence numbers of one stream are in the store, by their place, without merging.
SELECT groupUniqArray(seq) AS seqs
FROM {table:Identifier}
WHERE surface = {surface:String}
  AND writer = {writer:String}
  AND seq BETWEEN {first:UInt64} AND {last:UInt64}
  AND {clock:Identifier} BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
                             AND fromUnixTimestamp64Milli({until_ms:Int64})

-- name: seqs_between
-- Which sequence numbers of one stream are in the store, whenever they happened.
SELECT groupUniqArray(seq) AS seqs
FROM {table:Identifier}
WHERE surface = {surface:String}
  AND writer = {writer:String}
  AND seq BETWEEN {first:UInt64} AND {last:UInt64}

-- name: preceding_seqs
-- The highest sequence number of each of a writer's streams of one table before one that is given.
SELECT surface, max(seq) AS newest
FROM {table:Identifier}
WHERE writer = {writer:String}
  AND surface IN {surfaces:Array(String)}
  AND seq < transform(surface, {surfaces:Array(String)}, {firsts:Array(UInt64)}, 0)
GROUP BY surface

-- name: forgotten_seqs
-- Numbers of one stream that a unit had forgotten.
SELECT first, last
FROM gaps
WHERE log_table = {table:String}
  AND surface = {surface:String}
  AND writer = {writer:String}
  AND last >= {first:UInt64}
  AND first <= {last:UInt64}
  AND reason = 'forgotten'
