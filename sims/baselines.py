"""What anybody would write first, for worlds of numbers: LinUCB, LinTS and epsilon-greedy.

All three regress each action's reward on the context by itself (`sims.running.ridges`) and differ
in how they explore. LinUCB and LinTS say 1 for what they take, so nothing can be judged from a log
of theirs: that is what `linear` is for. They run over many seeds at once.

Source: Li et al. (2010), "A contextual-bandit approach to personalized news article
recommendation", algorithm 1; Agrawal & Goyal (2013), "Thompson sampling for contextual bandits with
linear payoffs"; Sutton & Barto (2018), "Reinforcement learning", section 2.2.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np

from bandit.errors import BadSpec
from bandit.records import Record
from sims.running.batched import shared
from sims.running.ridges import Places, Ridges, with_constant
from sims.worlds.base import BatchWorld, Flags, Floats, Round, World

Kind = Literal["linucb", "lints", "epsilon"]
KINDS: tuple[Kind, ...] = ("linucb", "lints", "epsilon")
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class Baseline(Record, frozen=True, kw_only=True):
    """A contender.

    Attributes:
        kind: How it explores.
        scale: Width of LinUCB's bound and of LinTS's samples, in standard deviations of the mean;
            chance that `epsilon` takes any action.
        ridge: How firmly weights are held at 0.
        name: Its key; without one, the kind.
    """

    kind: Kind
    scale: Positive = 0.1
    ridge: Positive = 1.0
    name: str = ""

    @property
    def key(self) -> str:
        """Its name in tables."""
        return self.name or self.kind

    def learner(self, world: World, seed: int) -> "BaselineLearner":
        """Untrained.

        Raises:
            BadSpec: The world has no fixed catalogue and contexts of numbers.
        """
        if not isinstance(world, BatchWorld):
            raise BadSpec(f"{self.key} needs a world of batches, which {world.name} is not")
        return BaselineLearner(world, self.batched(world, [seed]))

    def batched(self, world: BatchWorld, seeds: Sequence[int]) -> "BatchedBaseline":
        """Untrained, of these seeds."""
        return BatchedBaseline(self, len(world.actions), len(world.features) + 1, seeds)


class BatchedBaseline:
    """A baseline of many seeds."""

    def __init__(self, like: Baseline, k: int, d: int, seeds: Sequence[int]) -> None:
        self._like = like
        self._ridges = Ridges(len(seeds), k, d, like.ridge)
        self._luck = _Luck(seeds, k) if like.kind == "lints" else None

    def pmf(self, contexts: Floats, offered: Flags | None) -> Floats:
        """See `sims.running.batched.Batched`."""
        x = with_constant(contexts)
        if self._like.kind == "epsilon":
            values, epsilon = self._ridges.means(x), self._like.scale
        else:
            values, variances = self._ridges.of(x)
            width = self._like.scale * np.sqrt(variances)
            values, epsilon = values + (width if self._luck is None else width * self._luck()), 0.0
        there = np.ones(values.shape, dtype=bool) if offered is None else offered
        top = shared(np.where(there, values, -np.inf))
        return np.asarray((1.0 - epsilon) * top + epsilon * shared(there.astype(np.float64)))

    def learn(self, rows: Places, contexts: Floats, drawn: Places, rewards: Floats) -> None:
        """See `sims.running.batched.Batched`."""
        self._ridges.learn(rows, with_constant(contexts), drawn, rewards)


class BaselineLearner:
    """A baseline of one seed: the batched one, of a block of one."""

    def __init__(self, world: BatchWorld, policy: BatchedBaseline) -> None:
        self._ids = {action.id: place for place, action in enumerate(world.actions)}
        self._policy = policy

    def pmf(self, this: Round) -> Floats:
        """Over the round's actions."""
        places = [self._ids[action.id] for action in this.actions]
        offered = np.zeros((1, len(self._ids)), dtype=bool)
        offered[0, places] = True
        return np.asarray(self._policy.pmf(_numbers(this), offered)[0, places])

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """One lesson; propensities count for nothing."""
        place = np.array([self._ids[this.actions[drawn].id]])
        self._policy.learn(np.zeros(1, dtype=np.intp), _numbers(this), place, np.array([reward]))


class _Luck:
    """Standard normal numbers, one for each seed and action in every round."""

    def __init__(self, seeds: Sequence[int], k: int) -> None:
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._left: list[Floats] = []
        self._k = k

    def __call__(self) -> Floats:
        if not self._left:
            drawn = [rng.standard_normal((64, self._k)) for rng in self._generators]
            self._left = list(np.stack(drawn, axis=1))[::-1]
        return self._left.pop()


def _numbers(this: Round) -> Floats:
    values = msgspec.json.decode(this.context, type=dict[str, float]).values()
    return np.array([list(values)])
