"""A learner over fakes, and a clock that moves when told to."""

import itertools

import pytest

from bandit.learning.learner import Learner, Pace, Task
from bandit.specs import PolicySpec
from tests.bandit.learning.fakes import Diary, FakeDefinitions, FakeLog, FakeSnapshots
from tests.bandit.learning.making import T0
from tests.bandit.learning.making import surface as make_surface


class Laboratory:
    """One policy, one surface of a 10 s window, all the log in memory."""

    def __init__(self) -> None:
        self.log = FakeLog()
        self.snapshots = FakeSnapshots()
        self.now_ms = T0
        self.ids = itertools.count(1)
        self.definitions = FakeDefinitions(make_surface(), policy_spec())

    def task(self) -> Task:
        return Task.of(
            self.definitions.get("policy", "vw"), self.definitions.get("surface", "home")
        )

    def learner(self, name: str = "first", **changes: object) -> Learner:
        given = {
            "tail": self.log,
            "snapshots": self.snapshots,
            "build": Diary,
            "now_ms": lambda: self.now_ms,
            "new_id": lambda: f"change-{next(self.ids)}",
            "name": name,
            "pace": Pace(interval_s=0.5, rows_n=10_000),
            **changes,
        }
        return Learner(self.task(), **given)  # type: ignore[arg-type]

    def pass_s(self, seconds: float) -> None:
        """Time passes, and the hosts have delivered everything up to now."""
        self.now_ms += round(seconds * 1000)
        self.log.drained_ms = self.now_ms

    @property
    def diary(self) -> list[object]:
        """What the newest snapshot knows."""
        return Diary(policy_spec(), self.snapshots.stored["vw"][-1].weights).lines[1:]


def policy_spec(**changes: object) -> PolicySpec:
    given = {"key": "vw", "type": "vw", "surface": "home", **changes}
    return PolicySpec(**given)  # type: ignore[arg-type]


@pytest.fixture
def lab() -> Laboratory:
    return Laboratory()
