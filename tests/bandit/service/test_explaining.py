"""Explanations: a logged decision in plain words."""

from bandit.policies.pmf import uniform_of
from bandit.service.explaining import Known, explain, known_of
from bandit.specs import PolicySpec, Rules, Surface
from bandit.wire import AssignedVariant
from tests.bandit.learning.making import T0, decision
from tests.bandit.service.making import MemoryDefinitions


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


def test_each_excluded_action_has_its_reason() -> None:
    one = decision(
        1,
        excluded=(0, 2),
        excluded_reasons=("denied", "seen"),
        pmf=(0.0, 1.0, 0.0),
        propensities=(1.0,),
    )
    told = explain(one)
    assert [candidate.excluded for candidate in told.actions] == ["denied", None, "seen"]
    assert told.because[1] == (
        "3 actions were offered, 2 of them excluded "
        "(1 by the surface's deny list, 1 because the unit has seen them)"
    )


def test_pinned_explored_blocked_and_overridden_slots_are_said() -> None:
    one = decision(
        1,
        ranking=(1, 0, 2),
        propensities=(0.375, 1.0, 1.0),
        blocked=((0,), (), ()),
        pinned=(1,),
        shadows={"other": (0.5, 1.0, 1.0)},
        shadow_tops={"other": 2},
        surface_version=3,
    )
    told = explain(one, Known(Rules(least={"a1": 0.1}), overridden={2: "billboard"}))
    assert [slot.pinned for slot in told.ranking] == [False, True, False]
    assert [slot.explored for slot in told.ranking] == [True, False, False]
    assert [slot.blocked for slot in told.ranking] == [["a0"], [], []]
    assert [slot.overridden for slot in told.ranking] == [None, None, "billboard"]
    assert told.shadow_tops == {"other": "a2"}
    assert "within the surface's least and most" in told.because[2]
    assert told.because[3].endswith("likelier; pins and diversity blocked 1 of those left")
    assert told.because[4] == "'a0' was pinned to slot 1"
    assert "'billboard' was shown there instead" in told.because[5]


def test_below_the_top_of_a_policy_that_predicts_each_slot_nobody_can_say_what_was_likelier() -> (
    None
):
    one = decision(1, ranking=(1, 0), propensities=(0.3, 0.25))
    assert [slot.explored for slot in explain(one, Known(by_slot=True)).ranking] == [True, None]
    assert [slot.explored for slot in explain(one).ranking] == [True, True]


def test_override_by_hand_is_said() -> None:
    told = explain(decision(1, experiment="feed", variant="b", forced=True))
    assert told.forced
    assert "put unit 'u' by an override into variant 'b'" in told.because[0]


def test_what_the_record_does_not_hold_is_looked_up_in_the_version_that_decided() -> None:
    rules = Rules(denied=["a9"])
    declared = MemoryDefinitions(
        PolicySpec(key="vw", type="vw", surface="home", slot_model="ccb"),
        Surface(key="home", policy="vw", rules=rules),
    )
    known = known_of(decision(1, surface_version=1), declared, {0: "x"})  # type: ignore[arg-type]
    assert known == Known(rules, True, {0: "x"})
    nothing = known_of(decision(1, surface_version=7), MemoryDefinitions(), {})  # type: ignore[arg-type]
    assert nothing == Known()


def test_how_many_decisions_it_stands_for_is_said() -> None:
    assert explain(decision(1)).keep_share == 1.0
    told = explain(decision(1, keep_share=0.25))
    assert told.keep_share == 0.25
    assert told.because[-1] == "it stands for 4 decisions: a share of 0.25 was logged then"
