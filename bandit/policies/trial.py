"""A few dozen lessons that a learning policy must get through before it is declared."""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from bandit.errors import BadPmf, BadSpec
from bandit.policies.base import LearningPolicy, Lesson
from bandit.policies.pmf import with_floor
from bandit.records import Action

LESSONS = 48
_FORGETS = "policy is refused: once saved, it does not go on as it would have unsaved"


class Question(NamedTuple):
    """A context and candidates."""

    context: bytes
    actions: tuple[Action, ...]


def try_out(make: Callable[[bytes | None], LearningPolicy]) -> None:
    """Teach a policy, save it half-way, and compare the saved one with the other to the end.

    Args:
        make: The untrained policy, or one from what `save` gave.

    Raises:
        BadSpec: Its probabilities are no distribution, or saving it changes what it does or learns.
    """
    lessons = list(_lessons())
    policy = make(None)
    for lesson in lessons[: LESSONS // 2]:
        _answers(policy)
        policy.learn(lesson)
    saved = make(policy.save())
    for lesson in lessons[LESSONS // 2 :]:
        if _answers(saved) != _answers(policy):
            raise BadSpec(_FORGETS)
        policy.learn(lesson)
        saved.learn(lesson)
    if saved.digest() != policy.digest():
        raise BadSpec(_FORGETS)


def _answers(policy: LearningPolicy) -> list[list[float]]:
    try:
        return [with_floor(policy.pmf(*question), 0.0) for question in _QUESTIONS]
    except BadPmf as exc:
        raise BadSpec(f"policy is refused: its {exc}") from exc


def _lessons() -> Iterator[Lesson]:
    """Rewards that depend on context and action, drawn round robin with several propensities."""
    asked = itertools.cycle(_QUESTIONS)
    for turn, (context, actions) in enumerate(itertools.islice(asked, LESSONS)):
        drawn = (turn // 3) % len(actions)
        yield Lesson(
            context=context,
            actions=actions,
            drawn=drawn,
            propensity=(0.1, 0.25, 0.9)[turn % 3],
            reward=float((turn + drawn) % 3 == 0),
        )


def _question(user: str, hour: int, k: int) -> Question:
    return Question(
        msgspec.json.encode({"user": user, "hour": hour}),
        tuple(Action.of(f"a{i}", topic=f"t{i % 3}", age_days=i) for i in range(k)),
    )


_QUESTIONS = [
    _question(user, hour, k) for user, hour in (("ann", 9), ("bob", 22)) for k in (1, 2, 5)
]
