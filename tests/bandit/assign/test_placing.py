"""Where units are: golden values, layers, holdouts, targeting, overrides, ramps."""

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from bandit.assign import Facts, Placing, bucket, placement_of
from bandit.specs import Experiment, Layer, Ranges, Variant

UNITS = [f"user-{i}" for i in range(20_000)]
LAYER = Layer(key="page", salt="layer-1")


def experiment(*allocations: Ranges, **changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "key": "feed",
        "salt": "exp-7",
        "status": "running",
        "control": "v0",
        "variants": [
            Variant(key=f"v{i}", allocation=allocation) for i, allocation in enumerate(allocations)
        ],
    }
    return Experiment(**(fields | changes))


HALVES = experiment([(0, 5000)], [(5000, 10_000)])


def keys_of(what: Experiment, layer: Layer | None = None) -> dict[str, str]:
    """The variant of every unit that is in one."""
    placing = Placing(what, layer)
    found = {}
    for unit in UNITS:
        placed = placing.place(unit, Facts(unit, b"{}"))
        if placed is not None:
            found[unit] = placed.variant.key
    return found


def key_of(
    what: Experiment, unit_id: str, context: bytes = b"{}", layer: Layer | None = None
) -> str | None:
    placed = placement_of(what, layer, unit_id, context)
    return placed.variant.key if placed else None


def test_variant_owns_the_bucket_of_the_unit() -> None:
    # user-0, user-1, user-2 have the buckets 7655, 3369, 6366.
    assert [key_of(HALVES, f"user-{i}") for i in range(3)] == ["v1", "v0", "v1"]


def test_places_in_a_layer_have_their_published_values() -> None:
    # By hand, as in: python3 -c "int(sha256(b'layer-1:user-0').hexdigest()[:16], 16) % 10000"
    assert [bucket("layer-1", f"user-{i}") for i in range(5)] == [6680, 9629, 7788, 5446, 7096]
    assert [bucket("exp-7", f"user-{i}") for i in range(5)] == [7655, 3369, 6366, 1846, 2972]
    inside = replace(HALVES, layer="page", layer_buckets=[(6000, 8000)])
    keys = [key_of(inside, f"user-{i}", layer=LAYER) for i in range(5)]
    assert keys == ["v1", None, "v1", None, "v0"]


@pytest.mark.parametrize(("low", "high", "inside"), [(7655, 7656, True), (7654, 7655, False)])
def test_ranges_are_half_open(low: int, high: int, inside: bool) -> None:
    assert (key_of(experiment([(low, high)], [(0, 1)]), "user-0") == "v0") is inside


def test_a_variant_may_own_several_ranges() -> None:
    assert key_of(experiment([(0, 100), (7600, 7700)], [(100, 200)]), "user-0") == "v0"


def test_nobody_is_placed_where_no_range_holds_the_bucket() -> None:
    assert key_of(experiment([(0, 1)], [(1, 2)]), "user-0") is None


@pytest.mark.parametrize("status", ["draft", "stopped", "archived"])
def test_only_a_running_experiment_places(status: Any) -> None:
    stopped = replace(HALVES, status=status, overrides={"user-1": "v0"})
    assert key_of(stopped, "user-0") is None
    assert key_of(stopped, "user-1") is None
    assert not Placing(stopped, None).overridden


def test_a_ramp_takes_units_in_and_moves_none() -> None:
    steps = [
        experiment([(0, share // 2)], [(10_000 - share // 2, 10_000)])
        for share in (1000, 5000, 10_000)
    ]
    before: dict[str, str] = {}
    for step, share in zip(steps, (0.1, 0.5, 1.0), strict=True):
        now = keys_of(step)
        assert before.items() <= now.items()
        assert len(now) / len(UNITS) == pytest.approx(share, abs=0.02)
        before = now


def test_a_ramp_of_the_layers_buckets_moves_none_either() -> None:
    before: dict[str, str] = {}
    for high in (1000, 5000, 10_000):
        now = keys_of(replace(HALVES, layer="page", layer_buckets=[(0, high)]), LAYER)
        assert before.items() <= now.items()
        assert len(now) / len(UNITS) == pytest.approx(high / 10_000, abs=0.02)
        before = now


def test_experiments_of_a_layer_share_no_unit_and_split_theirs_evenly() -> None:
    one = keys_of(replace(HALVES, layer="page", layer_buckets=[(0, 5000)]), LAYER)
    other = keys_of(replace(HALVES, layer="page", layer_buckets=[(5000, 10_000)]), LAYER)
    assert not one.keys() & other.keys()
    assert len(one) + len(other) == len(UNITS)
    for keys in (one, other):  # a fair coin: sd of the share is 0.005
        assert Counter(keys.values())["v0"] / len(keys) == pytest.approx(0.5, abs=0.025)


def test_a_holdout_is_kept_out() -> None:
    layer = replace(LAYER, holdout=[(0, 1000)])
    inside = keys_of(replace(HALVES, layer="page"), layer)
    held = {unit for unit in UNITS if bucket("layer-1", unit) < 1000}
    assert inside.keys() == set(UNITS) - held
    assert held


def test_an_override_wins_over_layer_targeting_and_hash() -> None:
    forced = replace(
        experiment([(0, 1)], [(1, 2)]),
        layer="page",
        layer_buckets=[(0, 1)],
        targeting="false",
        overrides={"qa": "v1"},
    )
    layer = replace(LAYER, holdout=[(0, 10_000)])
    placed = placement_of(forced, layer, "qa", b"{}")
    assert placed is not None
    assert (placed.variant.key, placed.reason, placed.forced) == ("v1", "override", True)
    assert key_of(forced, "user-0", layer=layer) is None


def test_targeting_chooses_among_the_units_without_moving_them() -> None:
    targeted = replace(HALVES, targeting="context.country == 'US'")
    for unit in UNITS[:200]:
        assert key_of(targeted, unit, b'{"country":"US"}') == key_of(HALVES, unit)
        assert key_of(targeted, unit, b'{"country":"FR"}') is None


def test_placing_agrees_with_the_bucket_for_every_unit() -> None:
    thirds = experiment([(0, 3333)], [(3333, 6666)], [(6666, 10_000)])
    for unit, key in keys_of(thirds).items():
        place = bucket("exp-7", unit)
        assert key == f"v{(place >= 3333) + (place >= 6666)}"


def test_fifty_variants_are_told_apart() -> None:
    fiftieths = experiment(*([(low, low + 200)] for low in range(0, 10_000, 200)))
    for unit, key in keys_of(fiftieths).items():
        assert key == f"v{bucket('exp-7', unit) // 200}"
