"""Who asks how often, and when: heavy users and rush hours over any world."""

import hashlib
import math
from collections.abc import Generator, Iterator

import msgspec
import numpy as np

from bandit.errors import RecordError
from bandit.records import Action
from sims.worlds.base import (
    Batch,
    BatchWorld,
    Floats,
    Following,
    Round,
    Whole,
    World,
    rounds_of,
    streams,
)

DAY_S = 86_400.0
SWING = 0.9
"""Of the rate around its mean in a day."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A law of arrivals.

    Rate in second s: `per_s`·(1 − 0.9·cos(2π·s/day)), a Poisson process. A unit asks in proportion
    to U^`heavy` times what it asks in the world itself, where U in (0, 1] is a function of the
    unit: 0 changes nothing, with 3 a tenth of the units makes 34 % of the requests.

    Attributes:
        per_s: Mean rate, above 0.
        heavy: At least 0.
    """

    per_s: float = 1.0
    heavy: float = 3.0

    def __post_init__(self) -> None:
        if not (0.0 < self.per_s < math.inf and 0.0 <= self.heavy <= 100.0):
            raise RecordError(
                f"arrival has {self.per_s!r} requests a second and a weight of {self.heavy!r}, "
                "must have above 0, and 0 to 100"
            )

    @property
    def label(self) -> str:
        """As the command line writes it."""
        return f"rush:{self.per_s:g}:{self.heavy:g}"

    def weight(self, unit_id: str) -> float:
        """How often a unit asks, as a share of what the most eager one does; in (0, 1]."""
        digest = hashlib.blake2b(unit_id.encode(), digest_size=8, person=b"arrival").digest()
        share: float = ((int.from_bytes(digest, "big") >> 11) + 1) * 2.0**-53
        return math.pow(share, self.heavy)

    def times(self, passed: Floats) -> Floats:
        """Seconds at which the mean number of arrivals is `passed`: Λ(s) = passed, by bisection.

        Λ(s) = per_s·(s − 0.9·sin(2π·s/day)·day/2π)
        """
        reach = SWING * DAY_S / (2.0 * math.pi)
        middle = passed / self.per_s
        low, high = middle - reach, middle + reach
        for _ in range(60):
            middle = 0.5 * (low + high)
            mean = self.per_s * (middle - reach * np.sin(2.0 * math.pi * middle / DAY_S))
            low, high = np.where(mean < passed, middle, low), np.where(mean < passed, high, middle)
        return np.asarray(0.5 * (low + high))


class ArrivingBatches:
    """A world of batches in which units come by a law."""

    def __init__(self, base: BatchWorld, arrival: Arrival) -> None:
        self._base, self._arrival = base, arrival
        self._weights: dict[int, float] = {}
        self.name = f"{base.name}+{arrival.label}"
        self.about = base.about

    @property
    def actions(self) -> tuple[Action, ...]:
        """The base world's."""
        return self._base.actions

    @property
    def features(self) -> tuple[str, ...]:
        """The base world's."""
        return self._base.features

    def batches(self, rng: np.random.Generator, n: int) -> Iterator[Batch]:
        """Batches of n rounds without end."""
        for_base, for_luck, for_gaps = streams(rng, 3)
        passed = 0.0
        for batch in _rechunked(self._kept(for_base, for_luck, n), n):
            gaps = np.cumsum(for_gaps.exponential(size=n)) + passed
            passed = float(gaps[-1])
            yield batch._replace(at_s=self._arrival.times(gaps))

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end."""
        return rounds_of(self, rng)

    def _kept(
        self, for_base: np.random.Generator, for_luck: np.random.Generator, n: int
    ) -> Iterator[Batch]:
        for batch in self._base.batches(for_base, n):
            kept = for_luck.random(len(batch.units)) < self._weights_of(batch.units)
            yield _rows(batch, np.flatnonzero(kept))

    def _weights_of(self, units: Whole) -> Floats:
        known = self._weights
        for unit in set(units.tolist()) - known.keys():
            known[unit] = self._arrival.weight(f"unit-{unit}")
        return np.array([known[unit] for unit in units.tolist()])


class ArrivingRounds:
    """Any world in which units come by a law; whoever stays away is told that nothing was drawn."""

    def __init__(self, base: World, arrival: Arrival) -> None:
        self._base, self._arrival = base, arrival
        self.name = f"{base.name}+{arrival.label}"
        self.about = base.about

    def rounds(self, rng: np.random.Generator) -> Generator[Round, int | None, None]:
        """Rounds without end."""
        for_base, for_luck, for_gaps = streams(rng, 3)
        following = Following(self._base, for_base)
        drawn, passed = None, 0.0
        while True:
            this = following.next_round(drawn)
            if for_luck.random() >= self._arrival.weight(this.unit_id):
                drawn = None
                continue
            passed += float(for_gaps.exponential())
            at_s = float(self._arrival.times(np.array([passed]))[0])
            drawn = yield msgspec.structs.replace(this, at_s=at_s)


def arriving(world: World, arrival: Arrival) -> World:
    """A world in which units come by a law."""
    if isinstance(world, BatchWorld):
        return ArrivingBatches(world, arrival)
    return ArrivingRounds(world, arrival)


def _rows(batch: Batch, rows: np.ndarray) -> Batch:
    """Some of a batch's rounds."""
    rewards = batch.rewards[rows]
    return Batch(
        contexts=batch.contexts[rows],
        expected=batch.expected[rows],
        rewards=rewards,
        told=rewards if batch.told is batch.rewards else batch.told[rows],
        offered=batch.offered[rows],
        delays=batch.delays[rows],
        units=batch.units[rows],
        at_s=None if batch.at_s is None else batch.at_s[rows],
    )


def _rechunked(parts: Iterator[Batch], n: int) -> Iterator[Batch]:
    """The same rounds, n at a time."""
    waiting = next(parts)
    while True:
        while len(waiting.units) < n:
            waiting = _joined(waiting, next(parts))
        yield _rows(waiting, np.arange(n))
        waiting = _rows(waiting, np.arange(n, len(waiting.units)))


def _joined(one: Batch, other: Batch) -> Batch:
    rewards = np.concatenate([one.rewards, other.rewards])
    honest = one.told is one.rewards and other.told is other.rewards
    return Batch(
        contexts=np.concatenate([one.contexts, other.contexts]),
        expected=np.concatenate([one.expected, other.expected]),
        rewards=rewards,
        told=rewards if honest else np.concatenate([one.told, other.told]),
        offered=np.concatenate([one.offered, other.offered]),
        delays=np.concatenate([one.delays, other.delays]),
        units=np.concatenate([one.units, other.units]),
        at_s=None
        if one.at_s is None or other.at_s is None
        else np.concatenate([one.at_s, other.at_s]),
    )
