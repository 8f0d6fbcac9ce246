-- part: surface_rules
-- A surface, an interval of time, and the rules by which decisions of it are joined with rewards.
surface = {surface:String}, from_ms = {from_ms:Int64}, through_ms = {through_ms:Int64},
window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
default_reward = {default_reward:Float64}
