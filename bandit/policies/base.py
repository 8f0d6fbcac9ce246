"""The contract of every policy."""

from collections.abc import Sequence
from typing import Protocol

from bandit.errors import BadPropensity, RecordError
from bandit.records import Action, Record, check_number


class Lesson(Record, frozen=True, kw_only=True):
    """One seen slot of a joined decision: what a policy learns from.

    Attributes:
        context: JSON object as the client sent it.
        actions: The candidates that were left for this slot, in offered order.
        drawn: Index into `actions`.
        propensity: With which it was drawn among them, in (0, 1].
        reward: What it earned, inside the surface's bounds; bigger is better.
        slot: Features of the slot as a JSON object, or empty where the policy's `slot_model` gives
            them no part; see `bandit.policies.slots`.
    """

    context: bytes
    actions: tuple[Action, ...]
    drawn: int
    propensity: float
    reward: float
    slot: bytes = b""


def check_lesson(lesson: Lesson) -> None:
    """Refuse a lesson that no policy may learn from.

    Raises:
        RecordError: A number that could harm what was learned, or no such action.
    """
    check_number("reward", lesson.reward)
    if not 0 <= lesson.drawn < len(lesson.actions):
        raise RecordError(
            f"drawn is {lesson.drawn}, must be an index into {len(lesson.actions)} actions"
        )
    if not 0.0 < lesson.propensity <= 1.0:
        raise BadPropensity(lesson.propensity)


class Policy(Protocol):
    """(context, actions) → pmf."""

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """Probabilities over `actions`, in their order, before the floor.

        Args:
            context: A JSON object; see `bandit.policies.features` for what it may hold.
            actions: `(k,)` eligible candidates, k ≥ 1, ids distinct.
            slot: As in `Lesson`; only policies with a `slot_model` look at it.

        Returns:
            `(k,)`; it passes `bandit.policies.pmf.with_floor` before anybody draws from it.

        Raises:
            RecordError: Features that no policy may see; nothing was changed.
        """
        ...


class LearningPolicy(Policy, Protocol):
    """A policy that changes by learning."""

    def learn(self, lesson: Lesson) -> None:
        """Learn from one slot."""
        ...

    def save(self) -> bytes:
        """The policy as bytes, from which `bandit.policies.build` resumes exactly.

        It may itself become what resumes from them (see `bandit.policies.vw`), so whoever repeats
        a training saves where the first one did. Saving twice is as saving once.
        """
        ...

    def digest(self) -> str:
        """SHA-256 over the weights, in hex: equal for equal weights, however they were saved."""
        ...
