"""The contract of every world."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from bandit.errors import RecordError
from bandit.records import Action, Record


class Round(Record, frozen=True, kw_only=True):
    """One request with its whole truth, which no policy gets to see.

    Attributes:
        unit_id: Who asks.
        context: A JSON object, as a client would send it.
        actions: `(k,)` candidates.
        rewards: `(k,)` what each action earns in this round, in `[0, 1]`.
        expected: `(k,)` the mean of that reward, so that regret needs no luck.
    """

    unit_id: str
    context: bytes
    actions: tuple[Action, ...]
    rewards: tuple[float, ...]
    expected: tuple[float, ...]

    def __post_init__(self) -> None:
        k = len(self.actions)
        if not k == len(self.rewards) == len(self.expected):
            raise RecordError(
                f"round has {len(self.rewards)} rewards and {len(self.expected)} expected rewards, "
                f"must have one of each for its {k} actions"
            )

    def reward(self, index: int) -> float:
        """What the action at `index` earns."""
        return self.rewards[index]

    def regret(self, index: int) -> float:
        """How much less than the best action the one at `index` earns on average."""
        return max(self.expected) - self.expected[index]


class World(Protocol):
    """A truth that makes rounds."""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        ...

    @property
    def about(self) -> str:
        """Where its data come from and on which terms; one short paragraph."""
        ...

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end, equal for generators in an equal state."""
        ...
