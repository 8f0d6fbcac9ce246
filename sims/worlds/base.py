"""The contract of every world: rounds without end and, where it can be, the same ones as arrays."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, cast, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from bandit.errors import RecordError
from bandit.records import Action, Record

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]

BATCH_N = 256
"""Rounds that are made at a time; no number depends on it."""
AT_ONCE = (0,)
NEVER = -1
"""In `Batch.delays`: this copy of the reward does not arrive."""


class Round(Record, frozen=True, kw_only=True):
    """One request with its whole truth, which no policy gets to see.

    Attributes:
        unit_id: Who asks.
        context: A JSON object, as a client would send it.
        actions: `(k,)` candidates.
        rewards: `(k,)` what each action earns in this round, in `[0, 1]`.
        expected: `(k,)` the mean of that reward, so that regret needs no luck.
        told: `(k,)` what whoever learns is told instead; empty: the rewards. They differ where
            somebody lies.
        delays: After how many further rounds each copy of the reward arrives; none: it is lost,
            two: it comes twice.
        at_s: Seconds since the world began; None: it has no clock.
    """

    unit_id: str
    context: bytes
    actions: tuple[Action, ...]
    rewards: tuple[float, ...]
    expected: tuple[float, ...]
    told: tuple[float, ...] = ()
    delays: tuple[int, ...] = AT_ONCE
    at_s: float | None = None

    def __post_init__(self) -> None:
        k = len(self.actions)
        if not k == len(self.rewards) == len(self.expected):
            raise RecordError(
                f"round has {len(self.rewards)} rewards and {len(self.expected)} expected rewards, "
                f"must have one of each for its {k} actions"
            )
        if self.told and len(self.told) != k:
            raise RecordError(f"round tells {len(self.told)} rewards, must tell {k} or none")

    def reward(self, index: int) -> float:
        """What the action at `index` earns."""
        return self.rewards[index]

    def told_of(self, index: int) -> float:
        """What a learner is told that it earned."""
        return self.told[index] if self.told else self.rewards[index]

    def regret(self, index: int) -> float:
        """How much less than the best action the one at `index` earns on average."""
        return max(self.expected) - self.expected[index]


class LoggedRound(NamedTuple):
    """A row of a log: a round of which one reward is known.

    Attributes:
        this: Its rewards and expected rewards are of no account.
        logged: Index of what was shown.
        propensity: With which.
        reward: 0 or 1.
    """

    this: Round
    logged: int
    propensity: float
    reward: float


class World(Protocol):
    """A truth that makes rounds.

    One that *reacts* (tired users, full calendars) is a generator that is sent the index of what
    was drawn in the round before: `drawn = yield Round(…)`. Others never look at it. `following`
    does this for whoever runs a world.
    """

    @property
    def name(self) -> str:
        """What the command line calls it; worlds with other truths have other names."""
        ...

    @property
    def about(self) -> str:
        """Where its data come from and on which terms; one short paragraph."""
        ...

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end, equal for generators in an equal state."""
        ...


class Batch(NamedTuple):
    """Some rounds of a world whose catalogue is fixed, as arrays over the whole catalogue.

    Attributes:
        contexts: `(n, d)`, in the order of the world's `features`.
        expected: `(n, k)`, means of the rewards.
        rewards: `(n, k)`, what each action earns.
        told: `(n, k)`, what learners are told; the very `rewards` where nobody lies.
        offered: `(n, k)`, which actions are candidates; at least one in each round.
        delays: `(n, c)`, rounds until each copy of the reward arrives, `NEVER` for a lost one.
        units: `(n,)`, numbers of who asks.
        at_s: `(n,)`, seconds since the world began, or None.
    """

    contexts: Floats
    expected: Floats
    rewards: Floats
    told: Floats
    offered: Flags
    delays: Whole
    units: Whole
    at_s: Floats | None = None

    @classmethod
    def of(cls, contexts: Floats, expected: Floats, rewards: Floats, units: Whole) -> "Batch":
        """Rounds of honest rewards that come at once, with the whole catalogue on offer."""
        n = len(contexts)
        return cls(
            contexts=contexts,
            expected=expected,
            rewards=rewards,
            told=rewards,
            offered=np.ones(rewards.shape, dtype=bool),
            delays=np.zeros((n, 1), dtype=np.int64),
            units=units,
        )


@runtime_checkable
class BatchWorld(World, Protocol):
    """A world that many seeds can be run in at once: it does not react, its catalogue is fixed.

    Its `rounds` are those of its `batches`, one by one (`rounds_of`).
    """

    @property
    def actions(self) -> tuple[Action, ...]:
        """`(k,)` the whole catalogue."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """`(d,)` names of the numbers in a context."""
        ...

    def batches(self, rng: np.random.Generator, n: int) -> Iterator[Batch]:
        """Batches of n rounds without end; the rounds do not depend on n."""
        ...


def rounds_of(world: BatchWorld, rng: np.random.Generator) -> Iterator[Round]:
    """The rounds of a world's batches, one by one."""
    names, actions = world.features, world.actions
    for batch in world.batches(rng, BATCH_N):
        whole = bool(batch.offered.all())
        honest = batch.told is batch.rewards
        for row, context in enumerate(batch.contexts.tolist()):
            left = None if whole else np.flatnonzero(batch.offered[row])
            yield Round(
                unit_id=f"unit-{batch.units[row]}",
                context=msgspec.json.encode(dict(zip(names, context, strict=True))),
                actions=actions if left is None else tuple(actions[i] for i in left),
                rewards=_picked(batch.rewards[row], left),
                expected=_picked(batch.expected[row], left),
                told=() if honest else _picked(batch.told[row], left),
                delays=tuple(d for d in batch.delays[row].tolist() if d != NEVER),
                at_s=None if batch.at_s is None else float(batch.at_s[row]),
            )


def _picked(row: Floats, left: npt.NDArray[np.intp] | None) -> tuple[float, ...]:
    return tuple((row if left is None else row[left]).tolist())


class Following:
    """Rounds of a world, one after the other, each told what was drawn in the one before.

    >>> from sims.worlds.synthetic import SyntheticWorld
    >>> following = Following(SyntheticWorld(), np.random.default_rng(1))
    >>> first = following.next_round()
    >>> second = following.next_round(drawn=3)
    >>> len(first.actions), first == second
    (20, False)
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self._rounds = world.rounds(rng)
        self._began = False

    def next_round(self, drawn: int | None = None) -> Round:
        """The next round.

        Args:
            drawn: Index of what was drawn in the last one; None before the first.
        """
        send = getattr(self._rounds, "send", None)
        if send is None or not self._began:
            self._began = True
            return next(self._rounds)
        return cast("Round", send(drawn))


def streams(rng: np.random.Generator, n: int) -> Sequence[np.random.Generator]:
    """Generators of their own for n kinds of numbers, equal for generators in an equal state.

    With one for each kind, what is drawn does not depend on how many rounds are made at a time.
    """
    return [np.random.default_rng(int(word)) for word in rng.integers(2**63, size=n)]
