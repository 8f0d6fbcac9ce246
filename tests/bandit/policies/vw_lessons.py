"""Lessons for the tests of Vowpal Wabbit."""

import random
from collections.abc import Iterator

from bandit.policies import Lesson
from bandit.records import Action


def lesson(
    *actions: Action,
    drawn: int = 0,
    reward: float = 1.0,
    propensity: float = 0.5,
    context: bytes = b"{}",
    slot: bytes = b"",
) -> Lesson:
    return Lesson(
        context=context,
        actions=actions,
        drawn=drawn,
        propensity=propensity,
        reward=reward,
        slot=slot,
    )


def lessons(n: int, seed: int = 0) -> Iterator[Lesson]:
    rng = random.Random(seed)
    for _ in range(n):
        chosen = rng.sample(range(40), rng.choice([1, 2, 5, 17]))
        yield lesson(
            *(Action.of(f"a{i}", group=f"g{i % 6}", z=i % 7) for i in chosen),
            drawn=rng.randrange(len(chosen)),
            reward=float(rng.random() < 0.4),
            propensity=0.25,
            context=b'{"user":"u%d","x":%d}' % (rng.randrange(6), rng.randrange(1, 64)),
        )
