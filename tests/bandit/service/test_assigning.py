"""Assignments: which variants a unit is in, and what of it is logged."""

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from bandit.errors import JournalUnavailable, NotDeclared, StorageFull, StoreUnavailable
from bandit.journal.pressure import Pressure
from bandit.records import Assigned
from bandit.service.assigning import DAY_MS, AssigningService
from bandit.service.serving_state import Serving
from bandit.specs import AnySpec, Experiment, Variant
from bandit.wire import Assignment, AssignmentRequest
from tests.bandit.service.making import (
    EXPERIMENT,
    FIXED,
    NOW_MS,
    SALT,
    SURFACE,
    UNIFORM,
    MemoryJournal,
    serving,
)

BUTTON = Experiment(
    key="button",
    salt="exp-7",  # user-0, user-1, user-2 fall into buckets 7655, 3369, 6366
    status="running",
    control="blue",
    variants=[
        Variant(key="blue", payload={"colour": "blue"}, allocation=[(0, 5000)]),
        Variant(key="red", payload={"colour": "red"}, allocation=[(5000, 7000)]),
    ],
)
STOPPED = replace(BUTTON, key="older", status="stopped")


class World:
    """The service with its clock and journal."""

    def __init__(self, *specs: AnySpec, remembered: int = 100) -> None:
        self.now_ms = NOW_MS
        self.journal = MemoryJournal()
        self.service = AssigningService(
            serving(UNIFORM, FIXED, *specs),
            self.journal,  # type: ignore[arg-type]
            salt=SALT,
            now_ms=lambda: self.now_ms,
            remembered=remembered,
        )

    def ask(self, unit_id: str, **asked: Any) -> list[tuple[str, str]]:
        answer = self.service.assign(AssignmentRequest(unit_id=unit_id, **asked))
        assert answer.unit_id == unit_id
        return [(told.key, told.variant) for told in answer.assignments]

    @property
    def logged(self) -> list[tuple[str, str]]:
        records = [r for r in self.journal.records if isinstance(r, Assigned)]
        assert len(records) == len(self.journal.records)
        return [(record.unit_id, record.variant) for record in records]


@pytest.mark.parametrize(
    ("unit_id", "named", "told"),
    [
        ("user-2", None, [("button", "red"), ("feed", "treatment")]),
        ("user-2", ["feed"], [("feed", "treatment")]),
        ("user-2", ["feed", "button", "feed"], [("feed", "treatment"), ("button", "red")]),
        ("user-2", ["older"], []),
        ("user-2", [], []),
        ("user-0", None, []),
    ],
)
def test_unit_is_told_its_running_experiments(
    unit_id: str, named: list[str] | None, told: list[tuple[str, str]]
) -> None:
    world = World(SURFACE, EXPERIMENT, BUTTON, STOPPED)
    assert world.ask(unit_id, experiments=named) == told


def test_answer_says_payload_and_reason() -> None:
    world = World(replace(BUTTON, overrides={"qa": "red"}))
    for unit_id, reason in (("user-2", "split"), ("qa", "override")):
        answer = world.service.assign(AssignmentRequest(unit_id=unit_id))
        payload = {"colour": "red"}
        assert answer.assignments == [
            Assignment(key="button", variant="red", payload=payload, reason=reason)
        ]


def test_targeting_looks_at_the_requests_context() -> None:
    world = World(replace(BUTTON, targeting="context.country == 'US'"))
    assert world.ask("user-2", context=Raw(b'{"country":"US"}')) == [("button", "red")]
    assert world.ask("user-2", context=Raw(b'{"country":"FR"}')) == []
    assert world.ask("user-2") == []


def test_assignment_is_logged_with_what_a_report_needs() -> None:
    world = World(replace(BUTTON, overrides={"qa": "red"}))
    world.ask("user-1")
    world.ask("qa")
    [one, other] = world.journal.records
    assert one == Assigned(
        ts_ms=NOW_MS,
        unit_id="user-1",
        experiment="button",
        experiment_version=1,
        variant="blue",
    )
    assert isinstance(other, Assigned)
    assert (other.variant, other.forced) == ("red", True)


def test_a_unit_is_logged_once_a_day() -> None:
    world = World(BUTTON)
    for _ in range(3):
        world.ask("user-2")
    assert world.logged == [("user-2", "red")]
    world.now_ms = (NOW_MS // DAY_MS + 1) * DAY_MS
    world.ask("user-2")
    assert world.logged == [("user-2", "red")] * 2


def test_memory_of_the_day_is_bounded() -> None:
    world = World(BUTTON, remembered=1)
    for unit_id in ("user-1", "user-2", "user-2", "user-1"):
        world.ask(unit_id)
    assert [unit_id for unit_id, _ in world.logged] == ["user-1", "user-2", "user-1"]


def test_nothing_is_logged_when_the_client_says_so_or_nobody_is_assigned() -> None:
    world = World(BUTTON)
    assert world.ask("user-2", log=False) == [("button", "red")]
    assert world.ask("user-0") == []
    assert world.journal.writes == 0


def test_experiment_on_a_surface_is_told_and_left_to_its_decisions_to_log() -> None:
    world = World(SURFACE, EXPERIMENT)
    assert world.ask("user-2") == [("feed", "treatment")]
    assert world.journal.writes == 0


@pytest.mark.parametrize("change", [{"killed": True}, {"uniform_share": 1.0}])
def test_experiment_on_a_surface_is_told_as_a_decision_would_have_it(
    change: dict[str, Any],
) -> None:
    assert World(replace(SURFACE, **change), EXPERIMENT).ask("user-2") == []


def test_nothing_is_told_that_could_not_be_journaled() -> None:
    world = World(BUTTON)
    world.journal.broken = True
    with pytest.raises(JournalUnavailable):
        world.ask("user-2")
    world.journal.broken = False
    world.ask("user-2")
    assert world.logged == [("user-2", "red")]


def test_experiment_that_nobody_declared_is_refused() -> None:
    with pytest.raises(NotDeclared, match="experiment 'fed' is not declared"):
        World(BUTTON).ask("user-2", experiments=["fed"])


def test_nothing_is_said_before_definitions_are_known() -> None:
    service = AssigningService(
        Serving(),
        MemoryJournal(),  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: NOW_MS,
    )
    with pytest.raises(StoreUnavailable):
        service.assign(AssignmentRequest(unit_id="user-2"))


def test_assignments_of_the_day_before_are_not_logged_again_while_the_disk_fills_up() -> None:
    world = World(BUTTON)
    world.ask("user-1")
    world.now_ms += DAY_MS
    world.journal.pressure = Pressure.OPTIONAL
    world.ask("user-1")
    world.ask("user-2")  # of whom nobody was told yet
    assert world.logged == [("user-1", "blue"), ("user-2", "red")]
    world.journal.pressure = Pressure.WARN
    world.ask("user-1")
    assert world.logged[2:] == [("user-1", "blue")]


def test_nothing_new_is_told_on_a_full_disk_that_would_have_to_be_logged() -> None:
    world = World(BUTTON)
    world.ask("user-1")
    world.journal.pressure = Pressure.FULL
    assert world.ask("user-1") == [("button", "blue")]
    with pytest.raises(StorageFull):
        world.ask("user-2")
