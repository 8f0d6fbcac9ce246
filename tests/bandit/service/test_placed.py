"""Where a unit was when a logged decision was made."""

import pytest
from msgspec.structs import replace

from bandit.errors import NotDeclared
from bandit.records import LoggedDecision
from bandit.service.placed import LoggedPlacements
from bandit.specs import Experiment, Layer
from tests.bandit.service.making import EXPERIMENT, NOW_MS, MemoryDefinitions, defined

LAYER = Layer(key="page", salt="layer-1")
IN_LAYER = replace(EXPERIMENT, layer="page", targeting="context.country == 'US'")


def decided(**changes: object) -> LoggedDecision:
    fields: dict[str, object] = {
        "event_id": "e",
        "ts_ms": NOW_MS,
        "surface": "home.feed",
        "unit_id": "user-2",
        "experiment": "feed",
        "experiment_version": 1,
        "variant": "treatment",
        "policy": "order",
        "snapshot": 0,
        "context": b'{"country":"US"}',
        "actions": (),
        "excluded": (),
        "pmf": (),
        "ranking": (),
        "propensities": (),
        "floor": 0.0,
        "seed": 1,
        "deferred": False,
        "shadows": {},
        "writer": "w",
        "seq": 1,
    }
    return LoggedDecision(**(fields | changes))  # type: ignore[arg-type]


def placements(*specs: Experiment | Layer) -> tuple[LoggedPlacements, MemoryDefinitions]:
    definitions = MemoryDefinitions(*specs)
    return LoggedPlacements(lambda: definitions), definitions  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("changes", "variant"),
    [
        ({}, "treatment"),
        ({"context": b"{}"}, ""),
        ({"unit_id": "user-1"}, "control"),
        ({"experiment": ""}, ""),
    ],
)
def test_variant_comes_out_of_the_log_again(changes: dict[str, object], variant: str) -> None:
    placed, _ = placements(IN_LAYER, LAYER)
    assert placed.variant(decided(**changes)) == variant


def test_layer_is_the_one_of_when_the_experiment_was_declared() -> None:
    placed, definitions = placements(IN_LAYER, LAYER)
    (later,) = defined(replace(LAYER, holdout=[(0, 10_000)]), version=2)
    definitions.versions.append(replace(later, created_ms=NOW_MS + 1))
    assert placed.variant(decided()) == "treatment"
    (again,) = defined(IN_LAYER, version=2)
    definitions.versions.append(replace(again, created_ms=NOW_MS + 2))
    assert placed.variant(decided(experiment_version=2)) == ""


def test_forced_variant_comes_out_again() -> None:
    placed, _ = placements(replace(IN_LAYER, overrides={"qa": "control"}), LAYER)
    assert placed.variant(decided(unit_id="qa", context=b"{}", forced=True)) == "control"


@pytest.mark.parametrize("declared", [[LAYER], [IN_LAYER]])
def test_what_was_never_declared_is_said(declared: list[Experiment | Layer]) -> None:
    placed, _ = placements(*declared)
    with pytest.raises(NotDeclared):
        placed.variant(decided())
