# %% [markdown]
# # Rewards that are late, lost, doubled or false, and truths that change
#
# Laws are named behind a world: `trees+late:50+lost:0.1`. They compose, and each has a known truth,
# so regret stays exact.

# %%
from typing import NamedTuple

import numpy as np

import sims

WORLDS = ["trees", "trees+late:100", "trees+lost:0.3", "trees+twice:0.3", "trees+lies:0.3"]
told = sims.run(WORLDS, ["linear", "uniform"], n=600, seeds=5)
table = told.table()
table[table.policy == "linear"][["world", "reward", "reward_low", "reward_high", "late"]].round(3)

# %% [markdown]
# A service does not see that a reward is lost: when the join window is over it learns 0. `join_n`
# does the same, in rounds. With a mean delay of 100 a window of 20 drops five rewards of six, and
# one of 300 learns late; without a window each is learned when it comes.

# %%
for join_n in (None, 20, 300):
    joined = sims.run("trees+late:100", "linear", n=600, seeds=5, join_n=join_n)
    [row] = joined.table().round(3).to_dict("records")
    print(f"{join_n!s:>4}: {row['reward']:.3f}, in the last quarter {row['late']:.3f}")

# %% [markdown]
# After an abrupt change each action is worth what the next one was. Whoever forgets gets over it.

# %%
policies = ["linear", 'linear {"forgetting": 0.97}', "uniform"]
changed = sims.run("trees+abrupt:400", policies, n=800, seeds=3)
changed.plot()

# %% [markdown]
# A policy of your own is a named tuple with a `key` and a `learner`. This one follows the crowd.


# %%
class Crowd(NamedTuple):
    """Takes what paid most often, and now and then anything."""

    chance: float = 0.1

    @property
    def key(self):
        return f"crowd({self.chance})"

    def learner(self, world, seed):
        return CrowdLearner(self.chance)


class CrowdLearner:
    def __init__(self, chance):
        self.chance, self.paid = chance, {}

    def pmf(self, this):
        paid = np.array([self.paid.get(action.id, 0.0) for action in this.actions])
        best = paid == paid.max()
        return (1 - self.chance) * best / best.sum() + self.chance / len(best)

    def learn(self, this, drawn, propensity, reward):
        id_ = this.actions[drawn].id
        self.paid[id_] = self.paid.get(id_, 0.0) + reward


crowd = sims.run("trees", [Crowd(), "popularity", "uniform"], n=600, seeds=5)
crowd
