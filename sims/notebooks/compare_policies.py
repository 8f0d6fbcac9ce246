# %% [markdown]
# # Compare policies where the truth is known
#
# A *world* makes requests and knows what every action would have earned. `sims.run` plays each
# policy on the same rounds and the same draws, with several seeds, and compares them pairwise.

# %%
import numpy as np

import sims
from sims.worlds import from_arrays

# %% [markdown]
# A policy is written as on the command line: a type with its parameters, options of Vowpal Wabbit,
# or a baseline. In `trees`, an action is worth a leaf of its own decision tree over eight numbers.

# %%
result = sims.run("trees", ["uniform", "popularity", "linear", "linucb", "vw"], n=600, seeds=5)
result

# %% [markdown]
# Bands are 95 % t intervals over seeds.

# %%
result.plot()

# %% [markdown]
# The differences are paired by seed, and their p-values are corrected for all pairs (Holm).

# %%
pairs = result.pairs()
pairs[pairs.policy == "linear"].round(4)

# %% [markdown]
# Any labelled data set is a world, too: the right class pays 1. Here are two rings, which a linear
# model of the plain coordinates can hardly tell apart; with the radius beside them it can.

# %%
rng = np.random.default_rng(1)
ring = rng.integers(2, size=600)
angle, radius = rng.uniform(0, 2 * np.pi, 600), 0.5 + ring + rng.normal(0, 0.1, 600)
plain = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
rings = from_arrays(plain, ring, name="rings")
with_radius = from_arrays(np.column_stack([plain, radius]), ring, name="rings with radius")
both = sims.run([rings, with_radius], ["uniform", "linear", "epsilon"], n=400, seeds=5)
both

# %% [markdown]
# `result.save(data_dir)` writes tables, curves and a page where the dashboard's page *Simulations*
# finds them; `sims.run(..., data_dir=...)` does so by itself, and goes on where it was ended.
