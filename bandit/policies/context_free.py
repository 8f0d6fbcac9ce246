"""What Thompson sampling, UCB and popularity share: they know actions by their ids, and no context.

Each learns by the worth of what was shown (no importance weights), so it judges an action by the
contexts in which it was shown: a policy that is fed by another one that picks its contexts inherits
that choice. In a uniform or its own log there is none.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from bandit.policies.base import Lesson, check_lesson
from bandit.policies.cache import Generations
from bandit.policies.features import check_features
from bandit.policies.framing import frame, unframe
from bandit.policies.parameters import Ids, Parameters
from bandit.policies.tallies import Tallies, Tally
from bandit.records import Action

_SETS_IDS = 20_000  # ids in a generation of remembered answers


class ContextFreeParameters(Parameters, frozen=True, kw_only=True):
    """Base of the parameters of a context-free policy.

    Attributes:
        ids: The most action ids that are remembered; see `Tallies`.
    """

    ids: Ids = 10_000


P = TypeVar("P", bound=ContextFreeParameters)


class ContextFree(ABC, Generic[P]):
    """A policy over tallies by action id."""

    magic: ClassVar[bytes]

    def __init__(self, parameters: P, weights: bytes | None = None) -> None:
        """An untrained policy, or one as it was saved.

        Args:
            parameters: Checked.
            weights: What `save` gave.

        Raises:
            BadSpec: The weights were learned with other parameters.
            SnapshotCorrupt: The weights are not what was saved.
        """
        self.parameters = parameters
        saved = None if weights is None else unframe(self.magic, parameters.text, weights)
        self.tallies = Tallies(parameters.ids, saved)
        # A function of the ids until the next lesson.
        self._answers: Generations[tuple[str, ...], list[float]] = Generations(_SETS_IDS, weigh=len)

    @abstractmethod
    def probabilities(self, tallies: Sequence[Tally]) -> list[float]:
        """Probabilities over actions with these tallies, before the floor."""

    def check(self, lesson: Lesson) -> None:
        """Refuse a lesson that `learn` would refuse."""
        check_lesson(lesson)
        check_features(lesson.context, lesson.actions)

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """See `bandit.policies.base.Policy`; only the ids count."""
        check_features(context, actions)
        ids = tuple([action.id for action in actions])
        known = self._answers.get(ids)
        if known is None:
            known = self.probabilities(self.tallies.of_all(ids))
            self._answers.put(ids, known)
        return list(known)

    def learn(self, lesson: Lesson) -> None:
        """Learn from one slot.

        Raises:
            RecordError: A lesson that must not be learned; nothing was.
        """
        self.check(lesson)
        self.tallies.add(lesson.actions[lesson.drawn].id, lesson.reward)
        self._answers.clear()

    def save(self) -> bytes:
        """The tallies in a frame that knows their digest and the parameters."""
        return frame(self.magic, self.parameters.text, self.tallies.save())

    def digest(self) -> str:
        """SHA-256, in hex, over the tallies and the order in which their ids were learned."""
        return hashlib.sha256(self.tallies.save()).hexdigest()
