"""Explanations: a logged decision in plain words."""

from bandit.policies.pmf import uniform_of
from bandit.service.explaining import explain
from bandit.wire import AssignedVariant
from tests.bandit.learning.making import T0, decision


def test_decision_is_explained_from_offer_to_draw() -> None:
    logged = decision(
        1,
        excluded=(1,),
        pmf=(0.25, 0.0, 0.75),
        ranking=(2, 0),
        propensities=(0.75, 1.0),
        shadows={"other": (0.5, 1.0)},
        experiment="feed",
        experiment_version=3,
        variant="treatment",
        policy="vw",
        snapshot=41,
        floor=0.01,
    )
    told = explain(logged)
    ids = [action.id for action in logged.actions]
    assert told.time.startswith("2026-09-21T")
    assert logged.ts_ms == T0
    assert told.experiment == AssignedVariant(key="feed", variant="treatment")
    assert [(c.id, c.eligible, c.probability) for c in told.actions] == [
        (ids[0], True, 0.25),
        (ids[1], False, 0.0),
        (ids[2], True, 0.75),
    ]
    assert [(s.slot, s.id, s.propensity, s.shadows) for s in told.ranking] == [
        (0, ids[2], 0.75, {"other": 0.5}),
        (1, ids[0], 1.0, {"other": 1.0}),
    ]
    assert told.ranking[1].uniform == uniform_of(logged.seed, 1)
    assert "experiment 'feed' (version 3)" in told.because[0]
    assert "3 actions were offered, 1 of them excluded" in told.because[1]
    assert "none is below 0.01" in told.because[2]
    assert f"{ids[2]!r} was drawn for slot 0, with probability 0.75" in told.because[3]


def test_unit_outside_any_experiment_is_said_to_be() -> None:
    told = explain(decision(1))
    assert told.experiment is None
    assert "was in no running experiment" in told.because[0]
