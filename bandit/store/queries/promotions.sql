-- name: promotion_newest
-- The number of a surface's newest promotion and of its newest step; 0 if there is none.
SELECT promotion_id, max(seq) AS seq
FROM promotions
WHERE surface = {surface:String}
GROUP BY promotion_id
ORDER BY promotion_id DESC
LIMIT 1
SETTINGS select_sequential_consistency = 1

-- name: promotion_winner
-- Whose step counts: the first of its number that became visible.
SELECT change_id
FROM promotions
WHERE surface = {surface:String} AND promotion_id = {promotion_id:UInt64} AND seq = {seq:UInt64}
ORDER BY _block_number, change_id
LIMIT 1
SETTINGS select_sequential_consistency = 1

-- name: promotion_steps
-- Every step of a promotion, oldest first.
SELECT
    surface, promotion_id, seq, change_id, state, challenger, live, experiment, stage, share,
    reason, plan, evidence, project, author, toUnixTimestamp64Milli(at)
FROM promotions
WHERE surface = {surface:String} AND promotion_id = {promotion_id:UInt64}
ORDER BY seq, _block_number, change_id
LIMIT 1 BY seq

-- name: promotions_newest
-- The newest step of every promotion (of one surface, if named; in these states, if any), the newest
-- promotion first.
SELECT *
FROM (
    SELECT
        surface, promotion_id, seq, change_id, state, challenger, live, experiment, stage, share,
        reason, plan, evidence, project, author, toUnixTimestamp64Milli(at)
    FROM promotions
    WHERE {surface:String} IN ('', surface)
    ORDER BY surface, promotion_id DESC, seq DESC, _block_number, change_id
    LIMIT 1 BY surface, promotion_id
)
WHERE empty({states:Array(String)}) OR has({states:Array(String)}, state)
ORDER BY surface, promotion_id DESC
LIMIT {limit:UInt32}
