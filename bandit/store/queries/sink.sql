-- name: stored_seqs
-- Which sequence numbers of one stream are in the store, by their place, without merging.
SELECT groupUniqArray(seq) AS seqs
FROM {table:Identifier}
WHERE surface = {surface:String}
  AND writer = {writer:String}
  AND seq BETWEEN {first:UInt64} AND {last:UInt64}
  AND {clock:Identifier} BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
                             AND fromUnixTimestamp64Milli({until_ms:Int64})
