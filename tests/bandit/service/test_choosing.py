"""Which policy draws for a unit: kill switch, override, uniform slice, experiment, surface."""

from typing import Any

import pytest
from msgspec.structs import replace

from bandit.assign import bucket
from bandit.policies import build
from bandit.service.choosing import Chosen, choose
from bandit.specs import BUILT_IN, AnySpec, Layer, Surface
from tests.bandit.service.making import EXPERIMENT, FIXED, SURFACE, UNIFORM, serving

UNITS = [f"user-{i}" for i in range(2000)]
LAYER = Layer(key="page", salt="page-1")
FIRST = replace(EXPERIMENT, layer="page", layer_buckets=[(0, 5000)])
SECOND = replace(EXPERIMENT, key="second", salt="exp-8", layer="page", layer_buckets=[(5000, 9000)])


def chosen(
    surface: Surface, *specs: AnySpec, unit_id: str = "user-2", context: bytes = b"{}"
) -> Chosen:
    serves = serving(UNIFORM, FIXED, surface, *specs).state.surface(surface.key)
    return choose(serves, unit_id, context)


def places(surface: Surface, *specs: AnySpec) -> dict[str, tuple[str, str]]:
    """Policy and experiment of every unit."""
    serves = serving(UNIFORM, FIXED, surface, *specs).state.surface(surface.key)
    found = {}
    for unit in UNITS:
        policy, assigned, _, _ = choose(serves, unit, b"{}")
        found[unit] = (policy.spec.key, assigned.key if assigned else "")
    return found


def test_unit_of_an_experiment_gets_its_variants_policy() -> None:
    policy, assigned, version, forced = chosen(SURFACE, EXPERIMENT)
    assert assigned is not None
    assert (assigned.key, assigned.variant, policy.label) == ("feed", "treatment", "order@0")
    assert (version, forced) == (1, False)


def test_unit_of_no_experiment_gets_the_surfaces_policy() -> None:
    policy, assigned, version, forced = chosen(SURFACE, EXPERIMENT, unit_id="user-0")
    assert (policy.label, assigned, version, forced) == ("random@0", None, 0, False)


def test_experiments_of_one_layer_take_the_units_of_their_own_buckets() -> None:
    for unit, (_, experiment) in places(SURFACE, LAYER, FIRST, SECOND).items():
        place = bucket("page-1", unit)
        salt, owner = ("exp-7", "feed") if place < 5000 else ("exp-8", "second")
        inside = place < 9000 and bucket(salt, unit) < 7000
        assert experiment == (owner if inside else "")


def test_holdout_of_the_layer_gets_the_surfaces_policy() -> None:
    held = replace(LAYER, holdout=[(0, 10_000)])
    assert set(places(SURFACE, held, FIRST, SECOND).values()) == {("random", "")}


def test_only_targeted_units_are_in_the_experiment() -> None:
    targeted = replace(EXPERIMENT, targeting="context.country == 'US'")
    assert chosen(SURFACE, targeted, context=b'{"country":"US"}').assigned is not None
    assert chosen(SURFACE, targeted, context=b'{"country":"FR"}').assigned is None


def test_kill_switch_leaves_nothing_else_to_consider() -> None:
    killed = replace(SURFACE, killed=True, uniform_share=1.0, shadows=["order"])
    forced = replace(EXPERIMENT, overrides={"user-2": "control"})
    assert set(places(killed, forced).values()) == {("kill-switch", "")}
    surface = serving(UNIFORM, FIXED, killed, forced).state.surface("home.feed")
    assert (surface.experiments, surface.shadows, surface.overrides) == ((), (), {})
    assert surface.policy.label == "kill-switch@0"


def test_killed_surface_serves_without_any_policy_that_runs() -> None:
    killed = replace(SURFACE, killed=True)
    surface = serving(killed, EXPERIMENT).state.surface("home.feed")
    assert choose(surface, "user-2", b"{}").policy.spec == BUILT_IN["kill-switch"]


def test_uniform_slice_is_the_first_buckets_of_a_hash_of_its_own() -> None:
    for unit, (policy, experiment) in places(
        replace(SURFACE, uniform_share=0.1), EXPERIMENT
    ).items():
        in_slice = bucket("uniform-slice:home.feed", unit) < 1000
        assert (policy == "uniform-slice") is in_slice
        assert not (in_slice and experiment)


@pytest.mark.parametrize(("share", "policies"), [(0.0, {"random"}), (1.0, {"uniform-slice"})])
def test_uniform_slice_can_be_nobody_and_everybody(share: float, policies: set[str]) -> None:
    found = places(replace(SURFACE, uniform_share=share))
    assert {policy for policy, _ in found.values()} == policies


def test_a_larger_uniform_slice_holds_the_smaller_one() -> None:
    slices = [
        {
            u
            for u, (policy, _) in places(replace(SURFACE, uniform_share=share)).items()
            if "-" in policy
        }
        for share in (0.02, 0.2)
    ]
    assert slices[0] < slices[1]


@pytest.mark.parametrize("change", [{}, {"uniform_share": 1.0}])
def test_an_override_wins_over_slice_hash_and_targeting_and_is_told(change: dict[str, Any]) -> None:
    forced = replace(EXPERIMENT, overrides={"user-2": "control"}, targeting="false")
    policy, assigned, version, is_forced = chosen(replace(SURFACE, **change), forced)
    assert assigned is not None
    assert (assigned.variant, policy.spec.key, version, is_forced) == ("control", "random", 1, True)


def test_a_unit_with_two_overrides_is_in_the_first_experiment_by_key() -> None:
    both = [replace(e, overrides={"qa": "control"}) for e in (SECOND, FIRST)]
    assigned = chosen(SURFACE, LAYER, *both, unit_id="qa").assigned
    assert assigned is not None
    assert assigned.key == "feed"


@pytest.mark.parametrize("key", BUILT_IN)
def test_built_in_policies_can_be_run(key: str) -> None:
    build(BUILT_IN[key])
