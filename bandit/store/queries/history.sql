-- name: history_experiments
-- Experiments that any decision of a surface belongs to ('' for none), up to a time.
SELECT DISTINCT experiment
FROM decisions
WHERE surface = {surface:String}
    AND ts <= fromUnixTimestamp64Milli({at_ms:Int64}, 'UTC')
ORDER BY experiment

-- name: history_units
-- Units of an experiment with their own numbers: what the entries of a plan come to and divide by,
-- and whether each metric has a number. In the order of their first decision or assignment.
SELECT
    unit_id,
    toUnixTimestamp64Milli(first_ts) AS first_ms,
    values,
    divisors,
    present
FROM unit_values_of_log(
    surface = {surface:String}, experiment = {experiment:String}, project = {project:String},
    from_ms = {from_ms:Int64}, reach_ms = {reach_ms:Int64}, through_ms = {through_ms:Int64},
    window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
    weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
    reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
    default_reward = {default_reward:Float64}, reward_names = {reward_names:Array(String)},
    outcome_names = {outcome_names:Array(String)}, streams = {streams:Array(UInt16)},
    lows = {lows:Array(Float64)}, highs = {highs:Array(Float64)}, sinces = {sinces:Array(Int64)},
    untils = {untils:Array(Int64)}, over_streams = {over_streams:Array(UInt16)},
    over_lows = {over_lows:Array(Float64)}, over_highs = {over_highs:Array(Float64)},
    over_counts = {over_counts:Array(UInt8)}, with_counts = {with_counts:Bool},
    with_overs = {with_overs:Bool}, paths = {paths:Array(Array(String))},
    generation = {generation:String}, build = {build:UInt32}, shard = {shard:UInt64},
    shards_n = {shards_n:UInt64},
    kinds = {kinds:Array(UInt8)}, ends = {ends:Array(Int64)},
    of_rewards = {of_rewards:Array(UInt8)}, bot_decisions = {bot_decisions:UInt64},
    closed_ms = {closed_ms:Int64}
)
WHERE belongs
ORDER BY first_ms, unit_id
