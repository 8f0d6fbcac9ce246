-- name: evaluations_of
-- Saved evaluations of a surface, the newest first, with their artefacts.
SELECT surface, evaluation_id, toUnixTimestamp64Milli(made_at), author, project, artefact
FROM evaluations
WHERE surface = {surface:String}
ORDER BY made_at DESC, evaluation_id
LIMIT 1 BY evaluation_id
LIMIT {limit:UInt32}

-- name: evaluation_by_id
-- One saved evaluation.
SELECT surface, evaluation_id, toUnixTimestamp64Milli(made_at), author, project, artefact
FROM evaluations
WHERE evaluation_id = {evaluation_id:String}
ORDER BY made_at
LIMIT 1
