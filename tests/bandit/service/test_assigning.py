"""Assignments: which variants a unit is in."""

import msgspec
import pytest

from bandit.errors import NotDeclared, StoreUnavailable
from bandit.service.assigning import AssigningService
from bandit.service.serving_state import Serving
from bandit.wire import AssignedVariant, AssignmentRequest
from tests.bandit.service.making import EXPERIMENT, FIXED, SURFACE, UNIFORM, serving

TREATMENT = [AssignedVariant(key="feed", variant="treatment")]


@pytest.fixture
def service() -> AssigningService:
    stopped = msgspec.structs.replace(EXPERIMENT, key="older", status="stopped")
    return AssigningService(serving(UNIFORM, FIXED, SURFACE, EXPERIMENT, stopped))


@pytest.mark.parametrize(
    ("unit_id", "named", "assignments"),
    [
        ("user-2", None, TREATMENT),
        ("user-2", ["feed"], TREATMENT),
        ("user-2", ["older"], []),
        ("user-2", [], []),
        ("user-0", None, []),
    ],
)
def test_unit_is_told_its_running_experiments(
    service: AssigningService,
    unit_id: str,
    named: list[str] | None,
    assignments: list[AssignedVariant],
) -> None:
    answer = service.assign(AssignmentRequest(unit_id=unit_id, experiments=named))
    assert (answer.unit_id, answer.assignments) == (unit_id, assignments)


def test_experiment_that_nobody_declared_is_refused(service: AssigningService) -> None:
    with pytest.raises(NotDeclared, match="experiment 'fed' is not declared"):
        service.assign(AssignmentRequest(unit_id="user-2", experiments=["fed"]))


def test_nothing_is_said_before_definitions_are_known() -> None:
    with pytest.raises(StoreUnavailable):
        AssigningService(Serving()).assign(AssignmentRequest(unit_id="user-2"))
