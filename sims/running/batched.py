"""Native policies of many seeds at once: what `bandit.policies` does, row by row, up to rounding.

Each one's law is in its own file in `bandit.policies`; a test plays both on the same seeds.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from bandit.policies.linear import LinearParameters
from bandit.policies.parameters import read_parameters
from bandit.policies.popularity import PopularityParameters
from bandit.policies.thompson import ThompsonParameters
from bandit.policies.ucb import UcbParameters
from bandit.specs import PolicySpec
from sims.learners import Contender, Declared
from sims.running.argmax import BetaArgmax, normal_argmax
from sims.running.ridges import Places, Ridges, with_constant
from sims.worlds.base import BatchWorld, Flags, Floats

MOST_NUMBERS = 2**25
"""Of all A⁻¹ of a block of seeds: 256 MB."""


class Batched(Protocol):
    """A policy of `n` seeds."""

    def pmf(self, contexts: Floats, offered: Flags | None) -> Floats:
        """`(n, k)` probabilities before the floor, 0 for what is not offered.

        Args:
            contexts: `(n, d)`, one of each seed.
            offered: `(n, k)`, or None if the whole catalogue is.
        """
        ...

    def learn(self, rows: Places, contexts: Floats, drawn: Places, rewards: Floats) -> None:
        """One lesson for each of some seeds, all different, `(m, …)` each."""
        ...


@runtime_checkable
class Batching(Protocol):
    """A contender that has a batched form, equal to its learner up to rounding."""

    def batched(self, world: BatchWorld, seeds: Sequence[int]) -> Batched:
        """Untrained, of these seeds."""
        ...


class Seated(NamedTuple):
    """A batched policy and the floor that is mixed into its probabilities."""

    policy: Batched
    floor: float


def seated(contender: Contender, world: BatchWorld, seeds: Sequence[int]) -> Seated:
    """The batched form of a contender of which `can_be_batched` said so."""
    if isinstance(contender, Declared):
        return Seated(_of_spec(contender.spec, world, len(seeds)), contender.spec.floor)
    return Seated(cast("Batching", contender).batched(world, seeds), 0.0)


def can_be_batched(contender: Contender, world: BatchWorld) -> bool:
    """Whether there is a batched form that does what the contender does in this world."""
    if not isinstance(contender, Declared):
        return isinstance(contender, Batching)
    spec, k = contender.spec, len(world.actions)
    if spec.window is not None or spec.numeric:
        return False
    match spec.type:
        case "uniform":
            return True
        case "thompson":
            return k <= read_parameters(ThompsonParameters, spec.parameters).ids
        case "ucb":
            return k <= read_parameters(UcbParameters, spec.parameters).ids
        case "popularity":
            return k <= read_parameters(PopularityParameters, spec.parameters).ids
        case "linear":
            linear = read_parameters(LinearParameters, spec.parameters)
            d = len(world.features) + 1
            small = k * d**2 <= MOST_NUMBERS // 8
            return small and linear.forgetting == 1.0 and d <= linear.dimensions and k <= linear.ids
    return False


def _of_spec(spec: PolicySpec, world: BatchWorld, n: int) -> Batched:
    k, given = len(world.actions), spec.parameters
    match spec.type:
        case "thompson":
            return BatchedThompson(n, k, read_parameters(ThompsonParameters, given))
        case "ucb":
            return BatchedUcb(n, k, read_parameters(UcbParameters, given))
        case "popularity":
            return BatchedPopularity(n, k, read_parameters(PopularityParameters, given))
        case "linear":
            d = len(world.features) + 1
            return BatchedLinear(n, k, d, read_parameters(LinearParameters, given))
    return BatchedUniform(n, k)


class BatchedUniform:
    """Every action that is offered alike."""

    def __init__(self, n: int, k: int) -> None:
        self._whole = np.full((n, k), 1.0 / k)

    def pmf(self, contexts: Floats, offered: Flags | None) -> Floats:
        """See `Batched`."""
        return self._whole if offered is None else offered / offered.sum(axis=1, keepdims=True)

    def learn(self, rows: Places, contexts: Floats, drawn: Places, rewards: Floats) -> None:
        """Nothing."""


class _Tallied:
    """How often each action was learned, and what it earned."""

    def __init__(self, n: int, k: int) -> None:
        self._lessons = np.zeros((n, k))
        self._earned = np.zeros((n, k))

    def learn(self, rows: Places, contexts: Floats, drawn: Places, rewards: Floats) -> None:
        """See `Batched`."""
        self._lessons[rows, drawn] += 1.0
        self._earned[rows, drawn] += rewards


class BatchedThompson(_Tallied):
    """See `bandit.policies.thompson`."""

    def __init__(self, n: int, k: int, parameters: ThompsonParameters) -> None:
        super().__init__(n, k)
        self._parameters = parameters
        mean, strength = parameters.prior_mean, parameters.prior_strength
        self._won, self._lost = max(mean * strength, 1.0), max((1.0 - mean) * strength, 1.0)
        self._argmax = BetaArgmax()
        if parameters.posterior == "beta":
            [first] = self._argmax.rows_of(np.array([self._won]), np.array([self._lost]))
            self._rows = np.full((n, k), first)

    def pmf(self, contexts: Floats, offered: Flags | None) -> Floats:
        """See `Batched`."""
        if self._parameters.posterior == "beta":
            return self._argmax(self._rows, offered)
        strength, mean = self._parameters.prior_strength, self._parameters.prior_mean
        weights = strength + self._lessons
        means = (strength * mean + self._earned) / weights
        return normal_argmax(_masked(means, offered), self._parameters.noise / np.sqrt(weights))

    def learn(self, rows: Places, contexts: Floats, drawn: Places, rewards: Floats) -> None:
        """See `Batched`."""
        super().learn(rows, contexts, drawn, rewards)
        if self._parameters.posterior != "beta":
            return
        if self._argmax.full():
            self._argmax.forget()
            everyone = np.indices(self._rows.shape).reshape(2, -1)
            self._rows = self._places(everyone[0], everyone[1]).reshape(self._rows.shape)
        else:
            self._rows[rows, drawn] = self._places(rows, drawn)

    def _places(self, rows: Places, drawn: Places) -> Places:
        earned, lessons = self._earned[rows, drawn], self._lessons[rows, drawn]
        lost = self._lost + np.maximum(lessons - earned, 0.0)
        return self._argmax.rows_of(self._won + earned, lost)


class BatchedUcb(_Tallied):
    """See `bandit.policies.ucb`."""

    def __init__(self, n: int, k: int, parameters: UcbParameters) -> None:
        super().__init__(n, k)
        self._scale = parameters.exploration

    def pmf(self, contexts: Floats, offered: Flags | None) -> Floats:
        """See `Batched`."""
        spread = 2.0 * np.log(np.maximum(self._lessons.sum(axis=1, keepdims=True), 1.0))
        n = np.maximum(self._lessons, 1.0)
        index = self._earned / n + self._scale * np.sqrt(spread / n)
        index[self._lessons == 0.0] = math.inf
        return shared(_masked(index, offered))


class BatchedPopularity(_Tallied):
    """See `bandit.policies.popularity`."""

    def __init__(self, n: int, k: int, parameters: PopularityParameters) -> None:
        super().__init__(n, k)
        self._parameters = parameters

    def pmf(self, contexts: Floats, offered: Flags | None) -> Floats:
        """See `Batched`."""
        mean, strength = self._parameters.prior_mean, self._parameters.prior_strength
        rates = (strength * mean + self._earned) / (strength + self._lessons)
        rates = _masked(rates, offered)
        if self._parameters.choice == "greedy":
            return shared(rates)
        largest = rates.max(axis=1, keepdims=True)
        sizes = np.exp((rates - largest) / self._parameters.temperature)
        return np.asarray(sizes / sizes.sum(axis=1, keepdims=True))


class BatchedLinear:
    """See `bandit.policies.linear`."""

    def __init__(self, n: int, k: int, d: int, parameters: LinearParameters) -> None:
        self._ridges = Ridges(n, k, d, parameters.ridge)
        self._prior, self._scale = parameters.prior_mean, parameters.scale

    def pmf(self, contexts: Floats, offered: Flags | None) -> Floats:
        """See `Batched`."""
        means, variances = self._ridges.of(with_constant(contexts))
        return normal_argmax(_masked(means, offered), self._scale * np.sqrt(variances))

    def learn(self, rows: Places, contexts: Floats, drawn: Places, rewards: Floats) -> None:
        """See `Batched`."""
        self._ridges.learn(rows, with_constant(contexts), drawn, rewards - self._prior)


def shared(values: npt.NDArray[np.float64]) -> Floats:
    """Equal probabilities for the largest of each row."""
    top = values == values.max(axis=1, keepdims=True)
    return np.asarray(top / top.sum(axis=1, keepdims=True))


def _masked(values: Floats, offered: Flags | None) -> Floats:
    return values if offered is None else np.where(offered, values, -math.inf)
