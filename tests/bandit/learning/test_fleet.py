import logging

import pytest

from bandit.errors import StoreRejected, StoreUnavailable
from bandit.learning.fleet import REST_S, Fleet
from bandit.learning.learner import Learner, LearnStep, Task
from bandit.specs import AnySpec, PolicySpec
from tests.bandit.learning.conftest import Laboratory, policy_spec
from tests.bandit.learning.fakes import FakeDefinitions
from tests.bandit.learning.making import surface


class Worker:
    """Stands for a learner: does what it is told to, and remembers its tasks."""

    def __init__(self, task: Task) -> None:
        self.tasks = [task]
        self.steps_n = 0
        self.fails: Exception | None = None

    def redeclare(self, task: Task) -> None:
        self.tasks.append(task)

    def step(self, *, finish: bool = False) -> LearnStep:
        self.steps_n += 1
        if self.fails:
            raise self.fails
        return LearnStep(snapshot=1 if finish else None)


class Harbour:
    def __init__(self, *specs: AnySpec, policies: tuple[str, ...] = ()) -> None:
        self.now_ms = 0
        self.definitions = FakeDefinitions(*specs)
        self.fleet = Fleet(
            policies,
            definitions=self.definitions,  # type: ignore[arg-type]
            hire=Worker,  # type: ignore[arg-type]
            now_ms=lambda: self.now_ms,
        )

    def worker(self, key: str) -> Worker:
        return self.fleet.learners[key]  # type: ignore[return-value]


def test_every_learning_policy_gets_a_learner_also_one_declared_later() -> None:
    harbour = Harbour(surface(), policy_spec(key="a"), PolicySpec(key="b", type="uniform"))
    assert harbour.fleet.step().keys() == {"a"}
    harbour.definitions.put(policy_spec(key="c"))
    assert harbour.fleet.step().keys() == {"a"}
    harbour.now_ms += 1_000
    assert harbour.fleet.step(finish=True) == {
        "a": LearnStep(snapshot=1),
        "c": LearnStep(snapshot=1),
    }


def test_only_the_named_policies_are_learned() -> None:
    harbour = Harbour(surface(), policy_spec(key="a"), policy_spec(key="b"), policies=("b",))
    assert harbour.fleet.step().keys() == {"b"}


def test_a_changed_definition_reaches_its_learner() -> None:
    harbour = Harbour(surface(), policy_spec())
    harbour.fleet.step()
    harbour.definitions.put(surface(default_reward=-1.0))
    harbour.definitions.put(policy_spec(arguments="--epsilon 0.1"))
    harbour.now_ms += 1_000
    harbour.fleet.step()
    task = harbour.worker("vw").tasks[-1]
    assert (task.policy_version, task.surface_version) == (2, 2)
    assert (task.policy.arguments, task.surface.default_reward) == ("--epsilon 0.1", -1.0)


def test_a_policy_that_stops_learning_loses_its_learner() -> None:
    harbour = Harbour(surface(), policy_spec())
    harbour.fleet.step()
    harbour.definitions.put(PolicySpec(key="vw", type="uniform"))
    harbour.now_ms += 1_000
    assert harbour.fleet.step() == {}


def test_what_is_waited_for_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    uniform = PolicySpec(key="still", type="uniform")
    harbour = Harbour(policy_spec(), uniform, policies=("vw", "still", "later"))
    with caplog.at_level(logging.WARNING):
        assert harbour.fleet.step() == {}
        harbour.definitions.put(policy_spec(key="unrelated"))
        harbour.now_ms += 1_000
        assert harbour.fleet.step() == {}
    assert sorted(record.getMessage() for record in caplog.records) == [
        "policy=later is not declared yet",
        "policy=still is of type uniform, which does not learn",
        "policy=vw waits for surface 'home' to be declared",
    ]
    harbour.definitions.put(surface())
    harbour.now_ms += 1_000
    assert harbour.fleet.step().keys() == {"vw"}


def test_a_learner_that_fails_rests_and_does_not_keep_the_others_from_learning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harbour = Harbour(surface(), policy_spec(key="a"), policy_spec(key="b"))
    harbour.fleet.step()
    broken = harbour.worker("a")
    broken.fails = StoreRejected("row is too large")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert harbour.fleet.step().keys() == {"b"}
            harbour.now_ms += round(REST_S * 500)
    assert broken.steps_n == 1 + 2
    assert [record.getMessage() for record in caplog.records] == [
        "policy=a can not learn: row is too large"
    ]
    broken.fails = None
    harbour.now_ms += round(REST_S * 1000)
    assert harbour.fleet.step().keys() == {"a", "b"}


def test_a_store_that_is_away_is_the_callers_business() -> None:
    harbour = Harbour(surface(), policy_spec())
    harbour.fleet.step()
    harbour.worker("vw").fails = StoreUnavailable("refused")
    with pytest.raises(StoreUnavailable):
        harbour.fleet.step()


def test_a_real_learner_fits(lab: Laboratory) -> None:
    fleet = Fleet(
        (),
        definitions=lab.definitions,  # type: ignore[arg-type]
        hire=lambda task: lab.learner(),
        now_ms=lambda: lab.now_ms,
    )
    assert fleet.step() == {"vw": LearnStep()}
    assert isinstance(fleet.learners["vw"], Learner)
