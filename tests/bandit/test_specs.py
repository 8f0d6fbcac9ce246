import msgspec
import pytest

from bandit.errors import BadSpec, RecordError
from bandit.specs import SPECS, Experiment, Layer, Metric, PolicySpec, Surface, Variant


def variant(key: str, *ranges: tuple[int, int]) -> Variant:
    return Variant(key=key, policy="p", allocation=list(ranges))


def experiment(*variants: Variant, control: str = "a") -> Experiment:
    return Experiment(key="e", surface="s", salt="x", variants=list(variants), control=control)


def test_every_spec_travels_as_json_unchanged() -> None:
    specs = [
        Surface(key="home.feed", policy="p", shadows=["q"], reward_weights={"click": 1.0}),
        PolicySpec(key="p", type="vw", surface="home.feed", floor=0.001),
        experiment(variant("a", (0, 5000)), variant("b", (5000, 10000))),
        Layer(key="l", salt="x", holdout=[(0, 100)]),
        Metric(key="m", source="reward", name="click", per="decision"),
    ]
    assert {type(spec) for spec in specs} == set(SPECS.values())
    for spec in specs:
        assert msgspec.json.decode(msgspec.json.encode(spec), type=type(spec)) == spec


def test_a_bucket_belongs_to_one_variant() -> None:
    with pytest.raises(BadSpec, match="bucket 4999 belongs to two ranges"):
        experiment(variant("a", (0, 5000)), variant("b", (4999, 10000)))


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(BadSpec, match=r"\[10, 10\)"):
        experiment(variant("a", (10, 10)), variant("b", (11, 12)))


def test_control_is_one_of_the_variants() -> None:
    with pytest.raises(BadSpec, match="control is 'z', must be one of"):
        experiment(variant("a", (0, 1)), variant("b", (1, 2)), control="z")


def test_variants_have_different_keys() -> None:
    with pytest.raises(BadSpec, match="must have different keys"):
        experiment(variant("a", (0, 1)), variant("a", (1, 2)))


def test_a_default_reward_is_inside_its_bounds() -> None:
    with pytest.raises(BadSpec, match="default_reward is 2"):
        Surface(key="s", policy="p", default_reward=2.0)


def test_reward_bounds_are_in_order() -> None:
    with pytest.raises(BadSpec, match="the lower first"):
        Surface(key="s", policy="p", reward_low=1.0, reward_high=0.0)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "vw"}, "must name the surface it learns from"),
        ({"type": "fixed", "floor": 0.1}, "must be 0 for a fixed policy"),
        ({"type": "uniform", "arguments": "--epsilon 1"}, "must be empty for a uniform policy"),
    ],
)
def test_a_policy_that_could_never_serve_is_refused(spec: dict, reason: str) -> None:
    with pytest.raises(BadSpec, match=reason):
        PolicySpec(key="p", **spec)


def test_an_outcome_is_counted_per_unit() -> None:
    with pytest.raises(BadSpec, match="belongs to no decision"):
        Metric(key="m", source="outcome", per="decision")


@pytest.mark.parametrize("key", ["", "Home", "a b", "-x", "a" * 101, "a\n", "ü"])
def test_keys_are_plain(key: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"key": key, "policy": "p"}, Surface)


@pytest.mark.parametrize("nest", ["list", "object"])
def test_payload_that_is_too_deep_is_refused(nest: str) -> None:
    """900 deep was taken, which a thread with less stack left could not have read again."""

    def payload(depth: int) -> object:
        found: object = 1
        for _ in range(depth):
            found = [found, 2] if nest == "list" else {"a": found, "b": 2}
        return found

    assert Variant(key="a", payload=payload(32), allocation=[]).payload is not None
    with pytest.raises(RecordError, match="payload is over 32 deep, must be at most 32"):
        Variant(key="a", payload=payload(33), allocation=[])
