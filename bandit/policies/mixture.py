"""Several policies at once, each with a share of the probability: `pmf = Σ weight · pmf_part`.

A part that learns is taught every lesson, whichever part would have drawn it: the propensity that
is logged is the mixture's, so nobody needs to know. A small part of `uniform` gives every action a
chance; a part of the old policy next to the new one is a soft start.

Source:
    Agarwal et al. 2014, "Taming the monster", section 2: a distribution over policies, projected
    onto the actions, smoothed by uniform.
"""

import hashlib
import math
from collections.abc import Sequence
from operator import mul
from typing import ClassVar, NamedTuple, Protocol, cast, runtime_checkable

import msgspec

from bandit.errors import SnapshotCorrupt
from bandit.policies.base import LearningPolicy, Lesson, Policy, check_lesson
from bandit.policies.features import check_features
from bandit.policies.framing import frame, unframe
from bandit.records import Action


class Share(NamedTuple):
    """One part of a mixture.

    Attributes:
        weight: Its share of the probability.
        policy: The part.
        learns: Whether it is taught.
    """

    weight: float
    policy: Policy
    learns: bool


@runtime_checkable
class Picky(Protocol):
    """A policy that can say beforehand which lessons it refuses."""

    def check(self, lesson: Lesson) -> None:
        """Refuse a lesson that `learn` would refuse."""
        ...


class Mixture:
    """A weighted sum of policies.

    >>> from bandit.policies.fixed import Fixed
    >>> from bandit.policies.uniform import Uniform
    >>> shares = (Share(0.5, Fixed(), learns=False), Share(0.5, Uniform(), learns=False))
    >>> Mixture(shares).pmf(b"{}", [Action(id="a"), Action(id="b")])
    [0.75, 0.25]
    """

    magic: ClassVar[bytes] = b"bandit-mixture\x01"

    def __init__(self, shares: Sequence[Share]) -> None:
        """A mixture of policies as they are.

        Args:
            shares: At least one; their weights sum to 1.
        """
        self._shares = tuple(shares)
        self._learners = [cast("LearningPolicy", s.policy) for s in self._shares if s.learns]

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """The weighted sum; see `bandit.policies.base.Policy`."""
        parts = [share.policy.pmf(context, actions, slot) for share in self._shares]
        weights = [share.weight for share in self._shares]
        return [math.fsum(map(mul, weights, column)) for column in zip(*parts, strict=True)]

    def check(self, lesson: Lesson) -> None:
        """Refuse a lesson that any of the parts would refuse."""
        check_lesson(lesson)
        check_features(lesson.context, lesson.actions)
        for learner in self._learners:
            if isinstance(learner, Picky):
                learner.check(lesson)

    def learn(self, lesson: Lesson) -> None:
        """Teach every part that learns.

        Raises:
            RecordError: A lesson that one of them must not learn; none of them did.
        """
        self.check(lesson)
        for learner in self._learners:
            learner.learn(lesson)

    def save(self) -> bytes:
        """What the learning parts save, in their order."""
        return frame(self.magic, "", msgspec.msgpack.encode([p.save() for p in self._learners]))

    def digest(self) -> str:
        """SHA-256, in hex, over the digests of the learning parts."""
        text = "\n".join(learner.digest() for learner in self._learners)
        return hashlib.sha256(text.encode()).hexdigest()


def saved_parts(weights: bytes, learning_n: int) -> list[bytes]:
    """What each learning part of a saved mixture saved.

    Args:
        weights: What `Mixture.save` gave.
        learning_n: How many of the parts learn.

    Raises:
        SnapshotCorrupt: It is not what was saved, or by another number of parts.
    """
    parts = msgspec.msgpack.decode(unframe(Mixture.magic, "", weights), type=list[bytes])
    if len(parts) != learning_n:
        raise SnapshotCorrupt(f"snapshot holds {len(parts)} parts that learn, must {learning_n}")
    return parts
