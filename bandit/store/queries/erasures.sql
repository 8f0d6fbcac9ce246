-- name: erasure
-- An erasure as far as it came: of what was removed the most that was ever counted, for one that
-- was cut off counts what is left when it goes on.
SELECT argMin(unit_digest, at) AS unit_digest,
       multiIf(countIf(state = 'rebuilt') > 0, 'rebuilt',
               countIf(state = 'erased') > 0, 'erased', 'requested') AS newest_state,
       maxMap(removed) AS removed_n,
       arraySort(groupUniqArrayArray(policies)) AS all_policies,
       maxMap(digests) AS all_digests,
       toUnixTimestamp64Milli(min(at)) AS requested_ms,
       toUnixTimestamp64Milli(max(at)) AS at_ms,
       argMin(author, at) AS author_of_it,
       count() AS rows_n
FROM erasures
WHERE erasure_id = {erasure_id:String}

-- name: unfinished_erasure
-- The newest erasure of a unit that was begun and not ended.
SELECT erasure_id
FROM erasures
WHERE unit_digest = {unit_digest:String}
GROUP BY erasure_id
HAVING countIf(state = 'rebuilt') = 0
ORDER BY max(at) DESC, erasure_id
LIMIT 1

-- name: policy_erasures
-- How many erasures each policy underwent.
SELECT policy, uniqExact(erasure_id) AS erasures_n
FROM erasures
ARRAY JOIN policies AS policy
WHERE state != 'requested'
GROUP BY policy
ORDER BY policy

-- name: unit_places
-- Where a table holds rows of a unit, accepted by a time. The server is to keep no record of
-- being asked.
SELECT DISTINCT surface, writer, seq
FROM {table:Identifier}
WHERE unit_id = {unit_id:String}
  AND ts <= fromUnixTimestamp64Milli({until_ms:Int64})
ORDER BY surface, writer, seq
SETTINGS log_queries = 0

-- name: unit_event_ids
-- Event ids of a unit's decisions, accepted by a time.
SELECT DISTINCT toString(event_id) AS event
FROM decisions
WHERE unit_id = {unit_id:String}
  AND ts <= fromUnixTimestamp64Milli({until_ms:Int64})
ORDER BY event
SETTINGS log_queries = 0

-- name: unit_event_places
-- Where a table holds rows about decisions of a unit, accepted by a time.
SELECT DISTINCT surface, writer, seq
FROM {table:Identifier}
WHERE event_id GLOBAL IN (
    SELECT event_id
    FROM decisions
    WHERE unit_id = {unit_id:String}
      AND ts <= fromUnixTimestamp64Milli({until_ms:Int64})
)
  AND ts <= fromUnixTimestamp64Milli({until_ms:Int64})
ORDER BY surface, writer, seq
SETTINGS log_queries = 0

-- name: policies_that_learned
-- Policies with snapshots that have read decisions of some surfaces.
SELECT DISTINCT policy
FROM snapshots
WHERE arrayExists(
    stream -> startsWith(stream, 'decisions/') AND has({surfaces:Array(String)},
                                                       splitByChar('/', stream)[2]),
    mapKeys(cursor)
)
ORDER BY policy

-- name: erase_places
-- Removes rows by their places, so that what the store notes of it names nobody.
ALTER TABLE {table:Identifier}$on_cluster
DELETE WHERE (surface, writer, seq) IN {places:Array(Tuple(String, String, UInt64))}
SETTINGS mutations_sync = 2

-- name: remove_promptly
-- Lets the store remove the files that a change replaced at once, where it normally keeps them for
-- 8 minutes lest a power loss take what replaced them; so that is synced meanwhile.
ALTER TABLE {table:Identifier}$on_cluster
MODIFY SETTING old_parts_lifetime = 1, min_rows_to_fsync_after_merge = 1

-- name: look_for_replaced_files
-- Wakes whatever removes replaced files: it may sleep for 5 minutes where little is to do.
SYSTEM START CLEANUP {table:Identifier}

-- name: remove_as_usual
-- Takes that back.
ALTER TABLE {table:Identifier}$on_cluster
RESET SETTING old_parts_lifetime, min_rows_to_fsync_after_merge

-- name: erase_weights
-- Forgets the weights of a policy that were begun before its last erasure, and keeps their lineage.
ALTER TABLE snapshots$local$on_cluster UPDATE weights = ''
WHERE policy = {policy:String} AND erasures < {erasures:UInt64} AND notEmpty(weights)
SETTINGS mutations_sync = 2

-- name: replaced_parts
-- Files of tables that hold rows as they were before the last change, until they are removed.
SELECT table, name
FROM system.parts
WHERE database = {database:String} AND table IN {tables:Array(String)} AND NOT active
ORDER BY table, name

-- name: unit_state_places
-- Which rows of unit states are of a unit, and of which experiments' generations and builds.
SELECT generation, build, toString(place) AS state_place
FROM unit_states
WHERE unit_id = {unit_id:String}
ORDER BY generation, build, state_place
SETTINGS log_queries = 0

-- name: unit_experiments
-- Experiments that a unit was in, as the log says.
SELECT DISTINCT toString(experiment) AS key
FROM (
    SELECT experiment FROM decisions WHERE unit_id = {unit_id:String}
    UNION ALL
    SELECT experiment FROM assignments WHERE unit_id = {unit_id:String}
)
WHERE experiment != ''
ORDER BY key
SETTINGS log_queries = 0

-- name: generations
-- Whose states some generations are of, and when the first unit of each came.
SELECT
    generation,
    toString(any(experiment)) AS key,
    maxIf(JSONExtractInt(sums, 'first_ms'), state = 'done') AS first_ms
FROM state_steps
WHERE generation IN {generations:Array(String)}
GROUP BY generation
ORDER BY generation

-- name: erase_states
-- Removes unit states by their places, so that what the store notes of it names nobody.
ALTER TABLE unit_states$local$on_cluster
DELETE WHERE place IN {places:Array(UUID)}
SETTINGS mutations_sync = 2

-- name: erase_kept_numbers
-- Removes the kept numbers of some experiments or surfaces: they are made again from the log.
ALTER TABLE kept_numbers$local$on_cluster
DELETE WHERE kind = {kind:String} AND key IN {keys:Array(String)}
SETTINGS mutations_sync = 2
