import json
from collections.abc import Sequence

import pytest

from bandit.errors import BadSpec
from bandit.policies.base import Lesson
from bandit.policies.trial import LESSONS, try_out
from bandit.records import Action


class Counting:
    """Gives the first action more the more it has learned; what it forgets can be chosen."""

    def __init__(self, saved: bytes | None = None) -> None:
        self.learned, self.weight = json.loads(saved or b"[0, 0]")

    def pmf(self, context: bytes, actions: Sequence[Action]) -> list[float]:
        first = 1 - 0.5 ** (1 + self.learned) if len(actions) > 1 else 1.0
        return [first] + [(1 - first) / (len(actions) - 1) for _ in actions[1:]]

    def learn(self, lesson: Lesson) -> None:
        self.learned += 1
        self.weight += lesson.drawn

    def save(self) -> bytes:
        return json.dumps([self.learned, self.weight]).encode()

    def digest(self) -> str:
        return str(self.weight)


class ForgetsHowMuch(Counting):
    def save(self) -> bytes:
        return json.dumps([0, self.weight]).encode()


class ForgetsWeights(Counting):
    def save(self) -> bytes:
        return json.dumps([self.learned, 0]).encode()


class IsNoDistribution(Counting):
    def pmf(self, context: bytes, actions: Sequence[Action]) -> list[float]:
        return [1.0 for _ in actions]


class BreaksLate(Counting):
    def pmf(self, context: bytes, actions: Sequence[Action]) -> list[float]:
        nan = float("nan")
        return (
            super().pmf(context, actions) if self.learned < LESSONS - 2 else [nan for _ in actions]
        )


def test_a_policy_that_resumes_exactly_passes():
    try_out(Counting)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ForgetsHowMuch, "once saved, it does not go on"),
        (ForgetsWeights, "once saved, it does not go on"),
        (IsNoDistribution, "its pmf sums to 2.0"),
        (BreaksLate, r"its pmf\[0\] is nan"),
    ],
)
def test_a_policy_that_could_not_keep_its_promises_fails(make, message):
    with pytest.raises(BadSpec, match=message):
        try_out(make)
