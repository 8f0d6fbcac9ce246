"""The laws that worlds can be put under; each one's docstring is its law."""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from bandit.errors import BadSpec
from bandit.records import Record
from sims.worlds.base import NEVER, Batch, Floats, Whole

Rng = np.random.Generator
Some = Annotated[int, Meta(ge=1, le=10**12)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Change(Record, frozen=True):
    """The truth turns into another one, and back if it is seasonal.

    With w the share of the new truth in round t: expected = (1 − w)·old + w·new, and the reward is
    the new truth's with probability w.

    | course | w in round t |
    | --- | --- |
    | `abrupt` | 0 before round `rounds_n`, 1 from then on |
    | `drift` | t / `rounds_n`, at most 1 |
    | `season` | ½ − ½·cos(2π·t / `rounds_n`) |

    The new truth is that of the next action of the catalogue (`others`), or each reward's
    opposite, 1 − r (`opposite`), which needs no fixed catalogue.
    """

    course: Literal["abrupt", "drift", "season"]
    rounds_n: Some
    to: Literal["others", "opposite"] = "others"

    @property
    def label(self) -> str:
        """As the command line writes it."""
        name = f"{self.course}:{self.rounds_n}"
        return name if self.to == "others" else f"{name}:{self.to}"

    @property
    def by_action(self) -> bool:
        """Whether a catalogue is gone round."""
        return self.to == "others"

    def share(self, t: Floats) -> Floats:
        """The new truth's share in rounds t."""
        if self.course == "abrupt":
            return (t >= self.rounds_n).astype(np.float64)
        if self.course == "drift":
            return np.minimum(t / self.rounds_n, 1.0)
        return np.asarray(0.5 - 0.5 * np.cos(2.0 * math.pi * t / self.rounds_n))

    def change(self, batch: Batch, first: int, rng: Rng) -> Batch:
        """See the class."""
        n = len(batch.rewards)
        w = self.share(np.arange(first, first + n, dtype=np.float64))
        is_new = rng.random(n) < w
        old, new = batch.expected, self._new(batch.expected)
        rewards = np.where(is_new[:, None], self._new(batch.rewards), batch.rewards)
        honest = batch.told is batch.rewards
        return batch._replace(
            expected=(1.0 - w)[:, None] * old + w[:, None] * new,
            rewards=rewards,
            told=rewards
            if honest
            else np.where(is_new[:, None], self._new(batch.told), batch.told),
        )

    def _new(self, numbers: Floats) -> Floats:
        return np.roll(numbers, -1, axis=1) if self.to == "others" else 1.0 - numbers


class Late(Record, frozen=True):
    """Each copy of a reward comes a geometric number of rounds later: P(D ≥ d) = (1 − 1/(m+1))^d.

    m, the mean, is `mean_n`. A copy that is lost stays lost.
    """

    mean_n: Annotated[float, Meta(gt=0, le=1e9)]
    by_action: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """As the command line writes it."""
        return f"late:{self.mean_n:g}"

    def change(self, batch: Batch, first: int, rng: Rng) -> Batch:
        """See the class."""
        luck = 1.0 - rng.random(len(batch.delays))  # in (0, 1]
        stays = self.mean_n / (self.mean_n + 1.0)
        more = np.floor(np.log(luck) / math.log(stays)).astype(np.int64)
        delays = np.where(batch.delays == NEVER, NEVER, batch.delays + more[:, None])
        return batch._replace(delays=delays)


class Lost(Record, frozen=True):
    """A share of the rewards never arrives, whatever they are: all copies of one alike."""

    share: Share
    by_action: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """As the command line writes it."""
        return f"lost:{self.share:g}"

    def change(self, batch: Batch, first: int, rng: Rng) -> Batch:
        """See the class."""
        gone = rng.random(len(batch.delays)) < self.share
        return batch._replace(delays=np.where(gone[:, None], NEVER, batch.delays))


class Twice(Record, frozen=True):
    """A share of the rewards comes a second time, ten rounds after the first."""

    share: Share
    by_action: ClassVar[bool] = False
    apart_n: ClassVar[int] = 10

    @property
    def label(self) -> str:
        """As the command line writes it."""
        return f"twice:{self.share:g}"

    def change(self, batch: Batch, first: int, rng: Rng) -> Batch:
        """See the class."""
        again = rng.random(len(batch.delays)) < self.share
        copy: Whole = batch.delays[:, :1]
        second = np.where(again[:, None] & (copy != NEVER), copy + self.apart_n, NEVER)
        return batch._replace(delays=np.concatenate([batch.delays, second], axis=1))


class Lies(Record, frozen=True):
    """An adversary reports a share of the rewards as their opposite, 1 − r."""

    share: Share
    by_action: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """As the command line writes it."""
        return f"lies:{self.share:g}"

    def change(self, batch: Batch, first: int, rng: Rng) -> Batch:
        """See the class."""
        lied = rng.random(len(batch.told)) < self.share
        return batch._replace(told=np.where(lied[:, None], 1.0 - batch.told, batch.told))


class NewActions(Record, frozen=True):
    """Actions that are not there from the start.

    The last action of the catalogue comes in round `rounds_n` (`cold`); or only the first two are
    there, and the next comes every `rounds_n` rounds until all are (`growing`). What is not there
    is not offered, and regret is measured against what is.
    """

    course: Literal["cold", "growing"]
    rounds_n: Some
    by_action: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """As the command line writes it."""
        return f"{self.course}:{self.rounds_n}"

    def change(self, batch: Batch, first: int, rng: Rng) -> Batch:
        """See the class."""
        n, k = batch.offered.shape
        if k < 2:
            raise BadSpec(f"{self.label} needs a catalogue of at least 2 actions, there is {k}")
        since = np.zeros(k)
        if self.course == "cold":
            since[-1] = self.rounds_n
        else:
            since[2:] = self.rounds_n * np.arange(1, k - 1)
        there = np.arange(first, first + n)[:, None] >= since[None, :]
        return batch._replace(offered=batch.offered & there)
