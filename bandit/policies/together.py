"""Many policies asked and taught at once: what they have in common is done once.

Evaluating ten candidates on one log asks and teaches ten policies the same things. For those of
Vowpal Wabbit that make their examples alike, a lesson's examples are made once and given to one
after the other; and of many questions that are asked between two lessons, the probabilities of
those explorers that `vw_costs` supports are read from the weights in one go. All others are asked
and taught one by one. What comes out is the same: the same weights bit by bit; the same
probabilities to 1e-5, and where two costs are so close that a rounding could decide which is the
best, or VW would take them for equal, the policy itself is asked.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from bandit.errors import BadSpec, RecordError
from bandit.policies.arguments import Arguments, read_arguments
from bandit.policies.base import Lesson, Policy
from bandit.policies.vw import Inside, Prepared, VowpalWabbit
from bandit.policies.vw_costs import FEWEST as FEWEST_READ
from bandit.policies.vw_lots import Costs, Floats, Lot, Readers

FEWEST = 8
"""Fewer questions are asked one by one."""
_LESSONS = 64  # lessons whose examples are held at a time: one takes 32 kB and more
_CLOSE, _CLOSE_SHARE = 4e-6, 4e-3  # costs so close could be equal to VW: absolute, and of the cost


class Group:
    """Policies that are asked and taught the same; not for two threads at a time.

    >>> from bandit.policies.registry import build
    >>> from bandit.specs import PolicySpec
    >>> group = Group([build(PolicySpec(key="a", type="uniform"))])
    >>> from bandit.records import Action
    >>> actions = (Action(id="x"), Action(id="y"))
    >>> [pmf.tolist() for pmf in group.pmfs(Lot.of([b"{}"], [actions]))]
    [[0.5, 0.5]]
    """

    def __init__(self, policies: Sequence[Policy], readers: Readers | None = None) -> None:
        """Policies as they are; those that learn are taught where they are.

        Args:
            policies: Asked in this order.
            readers: Of others that are asked the same lots; None: its own.
        """
        self._policies = policies
        self._readers = readers or Readers()

    def pmfs(self, lot: Lot) -> list[Floats]:
        """Of each policy the probabilities of all questions, one after the other.

        Raises:
            RecordError: Features that no policy may see.
        """
        found: list[Floats | None] = [None] * len(self._policies)
        if len(lot) >= FEWEST:
            for place, pmf in self._read(lot):
                found[place] = pmf
        return [
            _asked(policy, lot) if pmf is None else pmf
            for policy, pmf in zip(self._policies, found, strict=True)
        ]

    def learn(self, lessons: Sequence[Lesson]) -> int:
        """Teach all that learn, in order; how many lessons were refused.

        A lesson that one policy would refuse is refused for all that make their examples alike.
        """
        refused_n = 0
        alike: dict[int, list[VowpalWabbit]] = {}
        for policy in self._policies:
            if isinstance(policy, VowpalWabbit):
                alike.setdefault(id(policy.inside.examples), []).append(policy)
            elif hasattr(policy, "learn"):
                refused_n = max(refused_n, _taught(policy, lessons))
        for members in alike.values():
            refused_n = max(refused_n, _taught_alike(members, lessons))
        return refused_n

    def _read(self, lot: Lot) -> Iterator[tuple[int, Floats]]:
        """Places of the policies whose weights can be read, and what they say."""
        readable: dict[int, list[tuple[int, VowpalWabbit, Inside]]] = {}
        for place, policy in enumerate(self._policies):
            if isinstance(policy, VowpalWabbit):
                inside = policy.inside
                if inside.explorer is None or inside.weights is None:
                    continue
                if inside.plain or lot.counts.min() >= FEWEST_READ:
                    readable.setdefault(id(inside.examples), []).append((place, policy, inside))
        for members in readable.values():
            reader = self._readers.of(members[0][2])
            costs = reader.costs(lot, [inside for _, _, inside in members])
            for (place, policy, inside), each in zip(members, costs, strict=True):
                shared = reader.shared(lot, inside) if inside.plain else None
                yield place, _explored(policy, inside, lot, each, shared)


class Worths:
    """What each action would earn, by one of Vowpal Wabbit's regressions: a reward model.

    Attributes:
        policy: The regression; teach it, alone or in a `Group`.

    >>> worths = Worths("-q UA")
    >>> from bandit.records import Action
    >>> actions = (Action(id="x"), Action(id="y"))
    >>> for _ in range(50):
    ...     worths.policy.learn(
    ...         Lesson(context=b"{}", actions=actions, drawn=1, propensity=0.5, reward=1.0))
    >>> [round(worth) for worth in worths.of(Lot.of([b"{}"], [actions])).tolist()]
    [0, 1]
    """

    def __init__(
        self,
        arguments: str,
        readers: Readers | None = None,
        policy: VowpalWabbit | None = None,
    ) -> None:
        """Untrained: everything is worth 0.

        Args:
            arguments: Of the regression.
            readers: Of others that are asked the same lots; None: its own.
            policy: One that learns the same (`regresses_alike`) and is taught anyway.

        Raises:
            BadSpec: Arguments that are no policy's, or with features that can not be read.
        """
        self.policy = policy or VowpalWabbit(arguments)
        inside = self.policy.inside
        if inside.explorer is None or inside.weights is None or not inside.plain:
            raise BadSpec(
                f"reward model is {arguments!r}, must use -q UA, learning rates and bits alone"
            )
        self._reader = (readers or Readers()).of(inside)

    def of(self, lot: Lot) -> Floats:
        """`(p,)` worth of every action of every question.

        Raises:
            RecordError: Features that no policy may see.
        """
        inside = self.policy.inside
        [costs] = self._reader.costs(lot, [inside])
        shared = self._reader.shared(lot, inside)
        worth: Floats = -(costs.astype(np.float64) + np.repeat(shared, lot.counts))
        return worth


def regresses_alike(arguments: str, other: str) -> bool:
    """Whether two policies of Vowpal Wabbit come to the same weights: they differ in ε alone.

    >>> regresses_alike("--epsilon 0.2 -q UA", "-q UA"), regresses_alike("--squarecb", "-q UA")
    (True, False)
    """
    return _regression(read_arguments(arguments)) == _regression(read_arguments(other))


def _regression(arguments: Arguments) -> tuple[bool, list[str]]:
    words, found = iter(arguments.words), []
    for word in words:
        if word == "--epsilon":
            next(words)
        else:
            found.append(word)
    return arguments.with_id, found


def _explored(
    policy: VowpalWabbit, inside: Inside, lot: Lot, costs: Costs, shared: Floats | None
) -> Floats:
    """The explorer's probabilities; where a rounding could matter, the policy's own."""
    assert inside.explorer is not None
    explorer, counts, starts = inside.explorer, lot.counts, lot.starts[:-1]
    lowest = np.minimum.reduceat(costs, starts)
    above = costs - np.repeat(lowest, counts)
    best = above == 0.0
    if explorer.epsilon is None:
        gamma = explorer.gamma_scale * float(inside.lessons_n) ** explorer.gamma_exponent
        pmf: Floats = 1.0 / (np.repeat(counts, counts) + gamma * above.astype(np.float64))
        found = np.flatnonzero(best)
        first = found[np.searchsorted(found, starts)]
        pmf[first] = 0.0
        pmf[first] = 1.0 - np.add.reduceat(pmf, starts)
        return pmf
    ties = np.add.reduceat(best, starts, dtype=np.int64)
    pmf = np.repeat(explorer.epsilon / counts, counts)
    pmf += np.repeat((1.0 - explorer.epsilon) / ties, counts) * best
    if shared is None or not inside.lessons_n:  # read as the policy reads, or nothing to tell apart
        return pmf
    near = _CLOSE + _CLOSE_SHARE * np.abs(lowest + shared)
    close = np.add.reduceat(above <= np.repeat(near, counts), starts, dtype=np.int64)
    doubtful = (close > 1) & (counts < FEWEST_READ)
    for row in np.flatnonzero(doubtful).tolist():
        start, stop = int(lot.starts[row]), int(lot.starts[row + 1])
        pmf[start:stop] = policy.pmf(lot.contexts[row], lot.offered[row])
    return pmf


def _asked(policy: Policy, lot: Lot) -> Floats:
    found: list[float] = []
    for context, actions in zip(lot.contexts, lot.offered, strict=True):
        found += policy.pmf(context, actions)
    return np.array(found)


def _taught(policy: Any, lessons: Sequence[Lesson]) -> int:
    learn: Callable[[Lesson], None] = policy.learn
    refused_n = 0
    for lesson in lessons:
        try:
            learn(lesson)
        except RecordError:
            refused_n += 1
    return refused_n


def _taught_alike(members: Sequence[VowpalWabbit], lessons: Sequence[Lesson]) -> int:
    """Examples are made once for all members, and for some lessons at a time."""
    # `--squarecb` and `--regcb` leave labels behind that only their like can read: they come last.
    members = sorted(members, key=lambda member: member.inside.spoils)
    refused_n = 0
    for start in range(0, len(lessons), _LESSONS):
        prepared: list[Prepared] = []
        for lesson in lessons[start : start + _LESSONS]:
            try:
                prepared.append(members[0].prepared(lesson))
            except RecordError:
                refused_n += 1
        for member in members:
            member.learn_prepared(prepared)
    return refused_n
