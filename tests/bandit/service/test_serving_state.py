"""The serving state: what is taken over, and what stays while a policy can't be run."""

import pytest
from msgspec.structs import replace

from bandit.assign import Facts
from bandit.errors import NotDeclared, StoreUnavailable
from bandit.event_id import surface_tag
from bandit.service.serving_state import Serving, ServingState, assemble
from tests.bandit.service.making import EXPERIMENT, FIXED, SURFACE, UNIFORM, defined, runnable

BOTH = {"random": runnable(UNIFORM), "order": runnable(FIXED)}


def test_surface_has_everything_that_a_decision_needs() -> None:
    declared = defined(UNIFORM, FIXED, replace(SURFACE, shadows=["order"]), EXPERIMENT, version=7)
    surface = assemble(1, declared, BOTH, ServingState()).surface("home.feed")
    assert (surface.policy.label, surface.tag) == ("random@0", surface_tag("home.feed"))
    assert [shadow.label for shadow in surface.shadows] == ["order@0"]
    (experiment,) = surface.experiments
    assert experiment.version == 7
    assert experiment.policies == {"control": BOTH["random"], "treatment": BOTH["order"]}


@pytest.mark.parametrize("status", ["draft", "stopped"])
def test_experiment_that_does_not_run_assigns_nobody(status: str) -> None:
    experiment = replace(EXPERIMENT, status=status)
    state = assemble(1, defined(UNIFORM, FIXED, SURFACE, experiment), BOTH, ServingState())
    assert state.surface("home.feed").experiments == ()
    assert state.experiments["feed"].placing.place("user-0", Facts("user-0", b"{}")) is None


def test_surface_stays_as_it_was_while_a_policy_can_not_be_run() -> None:
    before = assemble(1, defined(UNIFORM, SURFACE), BOTH, ServingState())
    declared = defined(UNIFORM, FIXED, SURFACE, EXPERIMENT)
    only_random = {"random": BOTH["random"]}
    after = assemble(2, declared, only_random, before)
    assert after.revision == 2
    assert after.surface("home.feed") == before.surface("home.feed")
    with pytest.raises(NotDeclared):
        assemble(2, declared, only_random, ServingState()).surface("home.feed")


def test_shadow_that_can_not_be_run_is_left_out() -> None:
    declared = defined(UNIFORM, FIXED, replace(SURFACE, shadows=["order"]))
    state = assemble(1, declared, {"random": BOTH["random"]}, ServingState())
    assert state.surface("home.feed").shadows == ()


def test_surface_is_found_by_the_tag_of_its_event_ids() -> None:
    state = assemble(1, defined(UNIFORM, SURFACE), BOTH, ServingState())
    assert state.tags == {surface_tag("home.feed"): "home.feed"}


def test_nobody_is_told_not_declared_before_definitions_are_known() -> None:
    serving = Serving()
    with pytest.raises(StoreUnavailable):
        serving.state.surface("home.feed")
    serving.swap(assemble(1, [], {}, serving.state))
    with pytest.raises(NotDeclared):
        serving.state.surface("home.feed")


def test_surface_stays_as_it_was_while_a_layer_is_not_known() -> None:
    in_layer = replace(EXPERIMENT, layer="page")
    before = assemble(1, defined(UNIFORM, FIXED, SURFACE), BOTH, ServingState())
    after = assemble(2, defined(UNIFORM, FIXED, SURFACE, in_layer), BOTH, before)
    assert after.surface("home.feed").experiments == ()
    assert "feed" not in after.experiments


def test_a_project_sees_its_part_only() -> None:
    theirs = replace(SURFACE, key="b.feed", project="b", policy="order")
    order = replace(FIXED, project="b")
    policies = {"random": runnable(UNIFORM), "order": runnable(order)}
    state = assemble(1, defined(UNIFORM, order, SURFACE, theirs), policies, ServingState())
    part = state.of("b")
    assert (list(part.surfaces), list(part.policies)) == (["b.feed"], ["order"])
    assert list(part.tags.values()) == ["b.feed"]
    assert part is state.of("b")
    assert state.of(None) is state
    with pytest.raises(NotDeclared):
        part.surface("home.feed")
    assert state.of("nobody").surfaces == {}
