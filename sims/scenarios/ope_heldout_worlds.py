"""Four worlds that no estimator was chosen in: `ope_heldout.py` says what for.

They were written before anything was computed on them, with other generators than `ope_worlds.py`:
classes, a softmax whose temperature changes, a log whose policy learns, rewards with heavy tails.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import ndtr, softmax

from bandit.ope import LoggedBatch
from bandit.ope.arrays import Ints
from sims.scenarios.ope_worlds import Array, Judged, World
from sims.scenarios.thompson import best_probabilities

CHUNK = 50_000
CHUNKS = 8


class Rows(NamedTuple):
    """What a world knows of `n` decisions before one action is drawn.

    Attributes:
        context: `(n, d)`.
        rewards: `(n, k)` what each action would have earned.
        worth: `(n, k)` what each earns on average, given the context.
        logged, target: `(n, k)` probabilities.
    """

    context: Array
    rewards: Array
    worth: Array
    logged: Array
    target: Array


class Drawn(Protocol):
    """A world whose decisions do not depend on each other."""

    @property
    def most(self) -> float:
        """The greatest reward; the least is 0."""

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """`n` decisions."""

    def __hash__(self) -> int:
        """Its value is found once."""


def judged(world: Drawn, rng: np.random.Generator, n: int) -> Judged:
    """A log of a world whose decisions do not depend on each other."""
    rows = world.draw(rng, n)
    return logged(rng, rows, world.most, value_of(world))


def logged(rng: np.random.Generator, rows: Rows, most: float, truth: float) -> Judged:
    """What the logging policy drew of these rows, and what that earned."""
    action, at = chosen(rng, rows.logged), np.arange(len(rows.logged))
    batch = LoggedBatch.of(
        action=action,
        propensity=rows.logged[at, action],
        reward=rows.rewards[at, action],
        logged_pmf=rows.logged,
        target_pmf=rows.target,
        reward_range=(0.0, most),
    )
    return Judged(batch, rows.context, truth)


@cache
def value_of(world: Drawn) -> float:
    """Value of the target, over 400,000 contexts."""
    rng = np.random.default_rng(2)
    chunks = (world.draw(rng, CHUNK) for _ in range(CHUNKS))
    return float(np.mean([(rows.worth * rows.target).sum(axis=1).mean() for rows in chunks]))


def chosen(rng: np.random.Generator, pmf: Array) -> Ints:
    """An action of each row."""
    action = (rng.random(len(pmf))[:, None] > pmf.cumsum(axis=1)).sum(axis=1)
    found: Ints = np.minimum(action, pmf.shape[1] - 1)
    return found


def greedy(scores: Array, epsilon: float) -> Array:
    """ε-greedy probabilities."""
    n, k = scores.shape
    pmf: Array = np.full((n, k), epsilon / k)
    pmf[np.arange(n), scores.argmax(axis=1)] += 1.0 - epsilon
    return pmf


def floored(pmf: Array, floor: float) -> Array:
    """Probabilities of which none is below the floor."""
    found: Array = floor + (1.0 - pmf.shape[1] * floor) * pmf
    return found


@dataclass(frozen=True)
class Classes:
    """Which of `k` Gaussian classes is it? The right one pays 1: a multiclass problem as a bandit.

    Both policies are classifiers with centres that are a little wrong; the target's less so.
    """

    name: str = "H1 classes"
    k: int = 8
    d: int = 6
    most: float = 1.0

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """`n` decisions."""
        fixed = np.random.default_rng(101)
        centres, first, second = fixed.normal(size=(3, self.k, self.d))
        label = rng.integers(self.k, size=n)
        context = centres[label] + rng.normal(size=(n, self.d))
        return Rows(
            context,
            np.eye(self.k)[label],
            softmax(_likeness(context, centres), axis=1),
            floored(softmax(0.5 * _likeness(context, centres + 0.8 * first), axis=1), 0.01),
            greedy(_likeness(context, centres + 0.3 * second), 0.1),
        )

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions of the logging policy."""
        return judged(self, rng, n)


def _likeness(context: Array, centres: Array) -> Array:
    """Log density of each class, but for a constant of the context."""
    found: Array = context @ centres.T - (centres**2).sum(axis=1) / 2.0
    return found


@dataclass(frozen=True)
class Tempered:
    """20 actions with logistic rewards; each decision has a temperature of its own, floor 0.002."""

    name: str = "H2 changing temperature"
    k: int = 20
    d: int = 6
    most: float = 1.0

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """`n` decisions."""
        fixed = np.random.default_rng(102)
        taste, first, second = fixed.normal(0.0, self.d**-0.5, size=(3, self.d, self.k))
        context = rng.normal(size=(n, self.d))
        chance = 1.0 / (1.0 + np.exp(1.0 - context @ taste))
        heat = rng.uniform(0.5, 3.0, size=(n, 1))
        return Rows(
            context,
            (rng.random((n, self.k)) < chance).astype(float),
            chance,
            floored(softmax(heat * (context @ (0.5 * taste + first)), axis=1), 0.002),
            softmax(2.0 * (context @ (0.7 * taste + second)), axis=1),
        )

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions of the logging policy."""
        return judged(self, rng, n)


@dataclass(frozen=True)
class Purchases:
    """Few buy, and what they pay is log-normal, cut at 200; the log is ε-greedy with ε = 0.3."""

    name: str = "H4 heavy-tailed rewards"
    k: int = 6
    d: int = 4
    most: float = 200.0
    spread: float = 1.2

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """`n` decisions."""
        fixed = np.random.default_rng(104)
        shape = (5, self.d, self.k)
        taste, price, first, second, _ = fixed.normal(0.0, self.d**-0.5, size=shape)
        context = rng.normal(size=(n, self.d))
        buys = 1.0 / (1.0 + np.exp(2.5 - context @ taste))
        middle = 1.5 + 0.3 * (context @ price)
        paid = np.exp(middle + self.spread * rng.normal(size=(n, self.k)))
        return Rows(
            context,
            np.where(rng.random((n, self.k)) < buys, np.minimum(paid, self.most), 0.0),
            buys * self._mean_payment(middle),
            greedy(context @ (0.5 * taste + first), 0.3),
            softmax(1.5 * (context @ (0.7 * taste + second)), axis=1),
        )

    def _mean_payment(self, middle: Array) -> Array:
        """Mean of min(payment, most): the log-normal's partial expectation and the cut tail."""
        z = (np.log(self.most) - middle) / self.spread
        below = np.exp(middle + self.spread**2 / 2.0) * ndtr(z - self.spread)
        found: Array = below + self.most * ndtr(-z)
        return found

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions of the logging policy."""
        return judged(self, rng, n)


@dataclass(frozen=True)
class Learning:
    """Thompson sampling logs while it learns, anew every 100 decisions; a floor of 0.02.

    Four segments, five actions, rewards of 0 and 1: its propensities drift, and depend on what it
    earned. The target is a softmax that stands still.
    """

    name: str = "H3 Thompson sampling learns"
    k: int = 5
    batch: int = 100

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions, each batch drawn by what the batches before it earned."""
        fixed = np.random.default_rng(103)
        shares = np.array([0.4, 0.3, 0.2, 0.1])
        chance = fixed.uniform(0.05, 0.4, size=(4, self.k))
        target = softmax(8.0 * (chance + fixed.normal(0.0, 0.15, size=chance.shape)), axis=1)
        segment = rng.choice(4, size=n, p=shares)
        rewards = (rng.random((n, self.k)) < chance[segment]).astype(float)
        counts, sums = np.full(chance.shape, 2.0), np.full(chance.shape, 0.5)
        action, pmf = np.empty(n, dtype=np.int_), np.empty((n, self.k))
        for start in range(0, n, self.batch):
            at = np.arange(start, min(start + self.batch, n))
            beliefs = best_probabilities(sums / counts, 0.45 / np.sqrt(counts))
            pmf[at] = floored(beliefs, 0.02)[segment[at]]
            action[at] = chosen(rng, pmf[at])
            np.add.at(counts, (segment[at], action[at]), 1.0)
            np.add.at(sums, (segment[at], action[at]), rewards[at, action[at]])
        batch = LoggedBatch.of(
            action=action,
            propensity=pmf[np.arange(n), action],
            reward=rewards[np.arange(n), action],
            logged_pmf=pmf,
            target_pmf=target[segment],
            reward_range=(0.0, 1.0),
        )
        return Judged(batch, np.eye(4)[segment], float(shares @ (chance * target).sum(axis=1)))


WORLDS: tuple[World, ...] = (Classes(), Tempered(), Learning(), Purchases())
