"""Lessons for the tests of policies."""

import msgspec

from bandit.policies import Lesson
from bandit.records import Action


def some(*ids: str) -> tuple[Action, ...]:
    return tuple(Action(id=id_) for id_ in ids)


def lesson(id_: str, reward: float, context: dict[str, object] | None = None) -> Lesson:
    return Lesson(
        context=msgspec.json.encode(context or {}),
        actions=some(id_, "another"),
        drawn=0,
        propensity=0.5,
        reward=reward,
    )
