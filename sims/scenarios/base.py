"""What a scenario is: a named claim, a seeded study that tests it, and what the study found.

A study splits its repetitions into blocks of a fixed size. Each block has a generator of its own,
made from the seed and the block's number, so that the numbers are the same on one worker or many,
on threads, processes or a cluster: any `concurrent.futures.Executor` will do.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri

from bandit.records import Record

Holds = Literal["yes", "no", "unsure"]
"""`yes`: the figure's whole Monte-Carlo interval meets the target; `no`: none of it does; `unsure`:
it crosses the target, so that these repetitions can not tell, wherever the figure itself is."""
T = TypeVar("T")
LEVEL = 0.95
"""Of Monte-Carlo intervals."""


class Figure(Record, frozen=True, kw_only=True):
    """One number that a study found, beside its target. Build it with `rate`, `mean` or `exact`.

    Attributes:
        name: What it is, in the study.
        value: The number.
        low, high: Its 95 % Monte-Carlo interval.
        at_least, at_most: The target; both None: shown for comparison, part of no claim.
        holds: Whether its interval meets the target; None without one.
    """

    name: str
    value: float
    low: float
    high: float
    at_least: float | None = None
    at_most: float | None = None
    holds: Holds | None = None


class Finding(Record, frozen=True, kw_only=True):
    """What a study found.

    Attributes:
        scenario: Its name.
        claim: What is claimed.
        target: The figures that the claim stands for, in words.
        seed, repetitions: With these the same numbers come out again.
        figures: In the order of reading.
        holds: The worst of the figures that have a target.
    """

    scenario: str
    claim: str
    target: str
    seed: int
    repetitions: int
    figures: tuple[Figure, ...]
    holds: Holds


Study = Callable[[int, int, Executor | None], Sequence[Figure]]
"""(seed, repetitions, executor) → figures; equal seed and repetitions give equal numbers."""


@dataclass(frozen=True)
class Scenario:
    """A claim and the study that tests it.

    Attributes:
        name: One word, or a few with dashes, for the command.
        claim: One sentence.
        target: The figures that must come out, in words.
        repetitions: Of the full study.
        short: Of the version in the tests, which takes about a second.
        study: What makes the figures.
    """

    name: str
    claim: str
    target: str
    repetitions: int
    short: int
    study: Study

    def run(
        self, seed: int = 1, repetitions: int | None = None, executor: Executor | None = None
    ) -> Finding:
        """Run the study; a claim holds as surely as the worst of its figures.

        Args:
            seed: Of all its random numbers.
            repetitions: None: as many as the full study has.
            executor: Where its blocks run; None: here. The numbers do not depend on it.
        """
        n = self.repetitions if repetitions is None else repetitions
        figures = tuple(self.study(seed, n, executor))
        each = [figure.holds for figure in figures]
        return Finding(
            scenario=self.name,
            claim=self.claim,
            target=self.target,
            seed=seed,
            repetitions=n,
            figures=figures,
            holds="no" if "no" in each else "unsure" if "unsure" in each else "yes",
        )


def in_blocks(
    work: Callable[[np.random.Generator, int], T],
    seed: int,
    repetitions: int,
    executor: Executor | None = None,
    *,
    part: int = 0,
    block: int = 250,
) -> list[T]:
    """Do `repetitions` of a study in blocks; results come in the blocks' order.

    Args:
        work: Given a generator and how many repetitions to do. It goes to other processes, so it
            must be picklable: a function of a module, or a `functools.partial` of one.
        seed: Of the study.
        repetitions: Of all blocks together.
        executor: Where blocks run; None: here, one after the other.
        part: Number of the part of the study, so that its parts are independent.
        block: Repetitions per block; another size gives other numbers.
    """
    sizes = [block] * (repetitions // block)
    if repetitions % block:
        sizes.append(repetitions % block)
    generators = [np.random.default_rng((seed, part, number)) for number in range(len(sizes))]
    run = map if executor is None else executor.map
    return list(run(work, generators, sizes))


def rate(
    name: str, hits: int, n: int, *, at_least: float | None = None, at_most: float | None = None
) -> Figure:
    """A share of repetitions, with its exact binomial interval.

    Source: Clopper, Pearson (1934), "The use of confidence or fiducial limits illustrated in the
    case of the binomial".

    >>> rate("covers", 980, 1000, at_least=0.93).holds
    'yes'
    >>> rate("covers", 95, 100, at_least=0.93).holds, rate("covers", 80, 100, at_least=0.93).holds
    ('unsure', 'no')
    """
    tail = (1.0 - LEVEL) / 2.0
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1.0 - tail)) if hits < n else 1.0
    return _judged(name, hits / n, low, high, at_least, at_most)


def mean(
    name: str,
    values: npt.ArrayLike,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """A mean over repetitions, with its normal interval."""
    each = np.asarray(values, dtype=float)
    value = float(each.mean())
    error = float(each.std(ddof=1)) / math.sqrt(each.size) if each.size > 1 else math.inf
    reach = float(ndtri((1.0 + LEVEL) / 2.0)) * error
    return _judged(name, value, value - reach, value + reach, at_least, at_most)


def exact(
    name: str, value: float, *, at_least: float | None = None, at_most: float | None = None
) -> Figure:
    """A number without Monte-Carlo error, a greatest difference say."""
    return _judged(name, value, value, value, at_least, at_most)


def _judged(
    name: str,
    value: float,
    low: float,
    high: float,
    at_least: float | None,
    at_most: float | None,
) -> Figure:
    """The figure with its verdict."""
    least = -math.inf if at_least is None else at_least
    most = math.inf if at_most is None else at_most
    holds: Holds | None = None
    if at_least is not None or at_most is not None:
        missed = high < least or low > most
        holds = "no" if missed else "yes" if least <= low and high <= most else "unsure"
    return Figure(
        name=name,
        # NumPy's floats are Python's, too, but JSON does not take them.
        value=float(value),
        low=float(low),
        high=float(high),
        at_least=at_least,
        at_most=at_most,
        holds=holds,
    )
