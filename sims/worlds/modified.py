"""A world changed by a law of its own: drift, late or lost rewards, lies, new actions, rush hours.

A modifier changes arrays, so it is one law for worlds of either kind: of a world that makes batches
comes one that makes batches; of any other, one that makes rounds. They compose:
`modified(modified(world, Drift(5_000)), Lost(0.05))`.
"""

from collections.abc import Generator, Iterator
from typing import Protocol

import numpy as np

from bandit.errors import BadSpec
from bandit.records import Action
from sims.worlds.base import (
    NEVER,
    Batch,
    BatchWorld,
    Following,
    Round,
    World,
    rounds_of,
    streams,
)


class Modifier(Protocol):
    """What is other than in the world itself."""

    @property
    def label(self) -> str:
        """What it is called behind the world's name."""
        ...

    @property
    def by_action(self) -> bool:
        """Whether its law is one of places in a fixed catalogue."""
        ...

    def change(self, batch: Batch, first: int, rng: np.random.Generator) -> Batch:
        """Some rounds as they are under the modifier.

        Args:
            batch: Rounds of the world itself.
            first: Number of the first of them, from 0.
            rng: The modifier's own; from it come one kind of numbers, as many for every round.
        """
        ...


class ModifiedBatches:
    """A world of batches under a modifier."""

    def __init__(self, base: BatchWorld, modifier: Modifier) -> None:
        self._base, self._modifier = base, modifier
        self.name = f"{base.name}+{modifier.label}"
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
        for_base, own = streams(rng, 2)
        for number, batch in enumerate(self._base.batches(for_base, n)):
            yield self._modifier.change(batch, number * n, own)

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end."""
        return rounds_of(self, rng)


class ModifiedRounds:
    """Any world under a modifier; it reacts if the world does."""

    def __init__(self, base: World, modifier: Modifier) -> None:
        self._base, self._modifier = base, modifier
        self.name = f"{base.name}+{modifier.label}"
        self.about = base.about

    def rounds(self, rng: np.random.Generator) -> Generator[Round, int | None, None]:
        """Rounds without end."""
        for_base, own = streams(rng, 2)
        following = Following(self._base, for_base)
        drawn, number = None, 0
        while True:
            this = following.next_round(drawn)
            drawn = yield _with(this, self._modifier.change(_one(this), number, own))
            number += 1


def modified(world: World, modifier: Modifier) -> World:
    """A world under a modifier.

    Raises:
        BadSpec: The modifier names actions by their place, and the world's offers have no fixed
            places.
    """
    if isinstance(world, BatchWorld):
        return ModifiedBatches(world, modifier)
    if modifier.by_action:
        raise BadSpec(f"{modifier.label} needs a fixed catalogue, which {world.name} has not")
    return ModifiedRounds(world, modifier)


def _one(this: Round) -> Batch:
    """A round as a batch of one, its context left out."""
    rewards = np.array([this.rewards])
    return Batch(
        contexts=np.zeros((1, 0)),
        expected=np.array([this.expected]),
        rewards=rewards,
        told=np.array([this.told]) if this.told else rewards,
        offered=np.ones(rewards.shape, dtype=bool),
        delays=np.array([this.delays or (NEVER,)], dtype=np.int64),
        units=np.zeros(1, dtype=np.int64),
        at_s=None if this.at_s is None else np.array([this.at_s]),
    )


def _with(this: Round, batch: Batch) -> Round:
    """The round with the numbers of a batch of one."""
    return Round(
        unit_id=this.unit_id,
        context=this.context,
        actions=this.actions,
        rewards=tuple(batch.rewards[0].tolist()),
        expected=tuple(batch.expected[0].tolist()),
        told=() if batch.told is batch.rewards else tuple(batch.told[0].tolist()),
        delays=tuple(d for d in batch.delays[0].tolist() if d != NEVER),
        at_s=None if batch.at_s is None else float(batch.at_s[0]),
    )
