import math

import msgspec
import pytest

from bandit.event_id import surface_tag
from bandit.policies import check_spec
from bandit.specs import Experiment, PolicySpec, Surface
from sims.closed.plan import Plan, declared


def test_what_is_declared_names_only_what_was_declared_before() -> None:
    seen: set[str] = set()
    for kind, spec in declared(Plan(repetitions=3, learning=2)):
        if isinstance(spec, Surface):
            assert {spec.policy, *spec.shadows} <= seen
        if isinstance(spec, Experiment):
            assert {f"{spec.surface}/surface"} <= seen
            assert {variant.policy for variant in spec.variants} <= seen
            assert set(spec.metrics) <= seen
        if isinstance(spec, PolicySpec):
            check_spec(spec)
        seen.add(f"{spec.key}/surface" if kind == "surfaces" else spec.key)


def test_rounds_are_shared_out_among_all_surfaces() -> None:
    plan = Plan(repetitions=3, learning=2, learning_share=0.4)
    chances = plan.chances()
    assert len(chances) == len(plan.surfaces) == len(set(plan.surfaces)) == 5
    assert math.fsum(chances) == pytest.approx(1.0)
    assert chances[-1] == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["loop", "a"])
def test_every_surface_has_an_event_id_tag_of_its_own(name: str) -> None:
    surfaces = Plan(name=name, repetitions=1000, learning=100, learning_share=0.1).surfaces
    assert len(surfaces) == 1100
    assert len(set(map(surface_tag, surfaces))) == 1100


@pytest.mark.parametrize("fields", [{"learning": 0}, {"learning_share": 0.0}, {"lost": 1.0}])
def test_plan_that_contradicts_itself_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Plan)
