from typing import Literal

import pytest

from bandit.assign import bucket, variant_of
from bandit.specs import Experiment, Variant

UNITS = [f"user-{i}" for i in range(20_000)]


def experiment(
    *allocations: list[tuple[int, int]],
    status: Literal["draft", "running", "stopped"] = "running",
) -> Experiment:
    return Experiment(
        key="feed",
        surface="home.feed",
        salt="exp-7",
        status=status,
        control="v0",
        variants=[
            Variant(key=f"v{i}", policy=f"p{i}", allocation=allocation)
            for i, allocation in enumerate(allocations)
        ],
    )


def key_of(what: Experiment, unit_id: str) -> str | None:
    variant = variant_of(what, unit_id)
    return variant.key if variant else None


def test_variant_owns_the_bucket_of_the_unit():
    # user-0, user-1, user-2 have the buckets 7655, 3369, 6366.
    halves = experiment([(0, 5000)], [(5000, 10_000)])
    assert [key_of(halves, f"user-{i}") for i in range(3)] == ["v1", "v0", "v1"]


@pytest.mark.parametrize(("low", "high", "inside"), [(7655, 7656, True), (7654, 7655, False)])
def test_ranges_are_half_open(low, high, inside):
    assert (key_of(experiment([(low, high)], [(0, 1)]), "user-0") == "v0") is inside


def test_a_variant_may_own_several_ranges():
    scattered = experiment([(0, 100), (7600, 7700)], [(100, 200)])
    assert key_of(scattered, "user-0") == "v0"


def test_nobody_is_assigned_where_no_range_holds_the_bucket():
    assert key_of(experiment([(0, 1)], [(1, 2)]), "user-0") is None


@pytest.mark.parametrize("status", ["draft", "stopped"])
def test_only_a_running_experiment_assigns(status):
    halves = experiment([(0, 5000)], [(5000, 10_000)], status=status)
    assert key_of(halves, "user-0") is None


def test_a_ramp_takes_units_in_and_moves_none():
    before = experiment([(0, 1000)], [(9000, 10_000)])
    after = experiment([(0, 5000)], [(5000, 10_000)])
    was = {unit: key_of(before, unit) for unit in UNITS}
    now = {unit: key_of(after, unit) for unit in UNITS}
    assert all(now[unit] == key for unit, key in was.items() if key)
    assert sum(key is None for key in was.values()) > len(UNITS) // 2
    assert None not in now.values()


def test_variant_agrees_with_the_bucket_for_every_unit():
    thirds = experiment([(0, 3333)], [(3333, 6666)], [(6666, 10_000)])
    for unit in UNITS[:2000]:
        place = bucket("exp-7", unit)
        assert key_of(thirds, unit) == f"v{(place >= 3333) + (place >= 6666)}"
