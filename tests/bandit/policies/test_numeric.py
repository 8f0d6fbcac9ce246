import math
import random
import statistics
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import BadSpec, RecordError, SnapshotCorrupt
from bandit.policies import Lesson, build, check_spec, with_floor
from bandit.policies.features import features_of
from bandit.policies.numeric import CANDIDATES, FIRST, Encoded, Numeric, quintiles
from bandit.policies.vw import VowpalWabbit
from bandit.records import Action
from bandit.specs import NumericFeature, PolicySpec

BUCKET, CENTRE = NumericFeature(encoding="bucket"), NumericFeature(encoding="centre")
AGES = NumericFeature(encoding="bucket", edges=[18.0, 65.0])


def encoded(numeric: Numeric, **features: object) -> dict[str, object]:
    return msgspec.json.decode(numeric.encode(msgspec.json.encode(features), "context"))


def lesson(context: dict[str, object], *actions: dict[str, object]) -> Lesson:
    return Lesson(
        context=msgspec.json.encode(context),
        actions=tuple(
            Action(id=f"a{i}", features=msgspec.Raw(msgspec.json.encode(each)))
            for i, each in enumerate(actions or ({},))
        ),
        drawn=0,
        propensity=0.5,
        reward=1.0,
    )


def frozen(declared: dict[str, NumericFeature], *contexts: dict[str, object]) -> Numeric:
    numeric = Numeric(declared)
    for turn in range(FIRST):
        numeric.look_at(lesson(contexts[turn % len(contexts)]))
    assert numeric.is_frozen
    return numeric


def test_a_bucket_is_a_text_by_the_place_between_the_edges():
    numeric = Numeric({"context.age": AGES})
    places = [encoded(numeric, age=age)["age"] for age in (-1, 17.9, 18, 64, 65, 1e9)]
    assert places == ["#0", "#0", "#1", "#1", "#2", "#2"]
    assert numeric.is_frozen  # its edges are given


def test_only_numbers_that_are_declared_are_touched():
    features = {
        "age": 3,
        "new": True,
        "topic": "7",
        "none": None,
        "of": {"age": 3, "size": 2},
        "tags": ["x", 3, 4],
    }
    numeric = Numeric({"context.of.size": AGES, "context.tags.2": AGES, "action.age": AGES})
    found = features_of(numeric.encode(msgspec.json.encode(features), "context"))
    assert dict(zip(found.names, found.values, strict=True)) == {
        "age": 3.0,
        "new": 1.0,
        "topic=7": 1.0,
        "of.age": 3.0,
        "of.size=#0": 1.0,
        "tags=x": 1.0,
        "tags.1": 3.0,
        "tags.2=#0": 1.0,
    }


def test_a_star_stands_for_all_others_of_its_side():
    numeric = Numeric({"context.*": BUCKET, "context.age": AGES})
    assert encoded(numeric, age=20, size=20, deep={"x": 1}, new=False) == {
        "age": "#1",
        "size": "#",
        "deep": {"x": "#"},
        "new": False,
    }
    assert numeric.encode(b'{"age":20}', "action") == b'{"age":20.0}'


def test_until_the_numbers_are_known_they_are_only_there_or_not_at_all():
    numeric = Numeric({"context.x": BUCKET, "context.y": CENTRE})
    for turn in range(FIRST - 1):
        assert not numeric.look_at(lesson({"x": turn, "y": turn}))
        assert encoded(numeric, x=turn, y=turn) == {"x": "#", "y": None}
    assert numeric.look_at(lesson({"x": FIRST, "y": FIRST}))
    assert encoded(numeric, x=0)["x"] == "#0"
    assert not numeric.look_at(lesson({"x": 1e6, "y": 1e6}))
    assert encoded(numeric, x=FIRST)["x"] == "#4"


def test_buckets_hold_a_fifth_each():
    values = [math.exp(turn / 20) for turn in range(FIRST)]
    numeric = frozen({"context.x": BUCKET}, *({"x": value} for value in values))
    places = [encoded(numeric, x=value)["x"] for value in values]
    assert [places.count(f"#{place}") for place in range(5)] == [FIRST // 5] * 5


def test_centred_numbers_have_mean_0_and_sd_1():
    values = [1e6 + turn**2 for turn in range(FIRST)]
    numeric = frozen({"context.x": CENTRE}, *({"x": value} for value in values))
    found = [encoded(numeric, x=value)["x"] for value in values]
    assert statistics.fmean(found) == pytest.approx(0.0, abs=1e-9)
    assert statistics.pstdev(found) == pytest.approx(1.0)


def test_a_number_that_never_changed_says_how_far_it_is_from_that():
    numeric = frozen({"context.x": CENTRE, "context.y": BUCKET}, {"x": 0.1, "y": 0.1})
    assert encoded(numeric, x=0.1, y=0.1) == {"x": 0.0, "y": "#0"}
    assert encoded(numeric, x=0.6)["x"] == 0.5


def test_a_feature_that_was_in_none_of_the_first_lessons_stays_unknown():
    numeric = frozen({"context.*": BUCKET, "action.*": CENTRE}, {"x": 1})
    assert encoded(numeric, z=3)["z"] == "#"
    assert numeric.encode(b'{"z":3}', "action") == b'{"z":null}'


def test_candidates_are_looked_at_evenly_and_no_more_than_some():
    numeric = Numeric({"action.x": BUCKET})
    offered = [{"x": x} for x in range(100)]
    numeric.look_at(lesson({}, *offered))
    assert numeric._values == {"action.x": [float(x) for x in range(0, 100, 10)]}
    assert len(numeric._values["action.x"]) == CANDIDATES


@given(st.lists(st.floats(-4e9, 4e9), min_size=1, max_size=60))
def test_every_edge_has_values_on_both_sides(values):
    edges = quintiles(values)
    assert edges == sorted(set(edges))
    assert len(edges) <= 4
    assert all(min(values) <= edge <= max(values) for edge in edges)
    assert bool(edges) == (len(set(values)) > 1)


def test_a_common_value_has_a_bucket_of_its_own():
    mostly_zero = [0.0] * 90 + [float(x) for x in range(1, 11)]
    assert quintiles(mostly_zero) == [0.5]
    mostly_most = [100.0] * 90 + [float(x) for x in range(1, 11)]
    assert quintiles(mostly_most) == [55.0]


WHOLE = {"context.*": BUCKET, "action.age": CENTRE}


def lessons(n: int) -> Iterator[Lesson]:
    rng = random.Random(4)
    for _ in range(n):
        offered = [{"age": rng.randrange(9), "topic": f"t{i % 2}"} for i in range(3)]
        yield lesson({"x": rng.random(), "user": f"u{rng.randrange(3)}"}, *offered)


def make(weights: bytes | None = None) -> VowpalWabbit:
    return VowpalWabbit("", weights)


def test_it_resumes_exactly_before_and_after_the_freeze():
    whole, resumed = Encoded(make, WHOLE), Encoded(make, WHOLE)
    for place, each in enumerate(lessons(FIRST + 40)):
        if place % 17 == 0 or abs(place - FIRST) < 3:
            resumed = Encoded(make, WHOLE, resumed.save())
        assert resumed.pmf(each.context, each.actions) == whole.pmf(each.context, each.actions)
        whole.learn(each)
        resumed.learn(each)
        assert resumed.digest() == whole.digest()


def test_the_digest_tells_what_was_learned_of_the_numbers():
    nothing, something = Encoded(make, WHOLE), Encoded(make, WHOLE)
    each = msgspec.structs.replace(next(lessons(1)), reward=0.0)  # weights stay 0
    something.learn(each)
    assert nothing.digest() != something.digest()


def test_weights_of_other_declarations_are_refused():
    saved = Encoded(make, {"context.x": AGES}).save()
    with pytest.raises(BadSpec, match="weights were learned with"):
        Encoded(make, {"context.x": NumericFeature(encoding="bucket", edges=[18.0, 66.0])}, saved)
    with pytest.raises(SnapshotCorrupt):
        Encoded(make, {"context.x": AGES}, saved[:-1])


@pytest.mark.parametrize(
    ("context", "features", "place"),
    [(b'{"x":1e10}', b"{}", "context.x"), (b"{}", b'{"age":1e39}', r"actions\['a'\].features.age")],
)
def test_a_number_that_no_policy_may_see_is_refused_though_it_would_have_a_bucket(
    context, features, place
):
    policy = Encoded(make, {"context.x": AGES, "action.age": AGES})
    with pytest.raises(RecordError, match=place):
        policy.pmf(context, [Action(id="a", features=msgspec.Raw(features))])


def test_examples_are_made_again_at_the_freeze_only(monkeypatch):
    policy, made = Encoded(make, {**WHOLE, "context.only-here": AGES}), []
    encode = policy._numeric.encode
    monkeypatch.setattr(
        policy._numeric, "encode", lambda raw, side: made.append(side) or encode(raw, side)
    )
    same = lesson({"x": 1.5}, {"age": 1}, {"age": 2})
    for turn in range(FIRST + 100):
        policy.pmf(same.context, same.actions)
        policy.learn(same)
        assert len(made) == (3 if turn < FIRST else 6)


def test_a_new_snapshot_starts_with_features_that_are_encoded_already(monkeypatch):
    policy = Encoded(make, WHOLE)
    for each in lessons(FIRST):
        policy.learn(each)
    each = next(lessons(1))
    expected = policy.pmf(each.context, each.actions)
    loaded = Encoded(make, WHOLE, policy.save())
    monkeypatch.setattr(loaded._numeric, "encode", None)
    assert loaded.pmf(each.context, each.actions) == expected


SPECS = [
    PolicySpec(key="p", type="vw", surface="s", numeric=WHOLE),
    PolicySpec(key="p", type="vw", surface="s", numeric=WHOLE, slot_model="ccb", window=20),
    PolicySpec(key="p", type="linear", surface="s", floor=0.01, numeric=WHOLE),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.type} {spec.slot_model}")
def test_any_learning_policy_may_see_numbers_otherwise(spec):
    check_spec(spec)
    assert isinstance(build(spec), Encoded)


@pytest.mark.parametrize(
    ("declared", "least"),
    [({"context.*": BUCKET}, 0.7), ({"context.*": CENTRE}, 0.6)],
    ids=["bucket", "centre"],
)
def test_an_offset_of_10_no_longer_hurts(declared, least):
    """Right is the action named by two numbers' places; both are 10 more than they need be."""

    def share(numeric: dict[str, NumericFeature], offset: float) -> float:
        spec = PolicySpec(key="p", type="vw", surface="s", numeric=numeric)
        policy, rng, hits = build(spec), random.Random(1), 0
        offered = tuple(Action.of(name) for name in "abc")
        for turn in range(3000):
            x, y = rng.random(), rng.random()
            right = 0 if x < 1 / 3 else 1 if y < 0.5 else 2
            context = msgspec.json.encode({"x": x + offset, "y": y + offset})
            pmf = with_floor(policy.pmf(context, offered), 0.01)
            drawn = rng.choices(range(3), pmf)[0]
            hits += turn >= 2000 and drawn == right
            policy.learn(  # type: ignore[attr-defined]
                Lesson(
                    context=context,
                    actions=offered,
                    drawn=drawn,
                    propensity=pmf[drawn],
                    reward=float(drawn == right),
                )
            )
        return hits / 1000

    raw, seen = share({}, 10.0), share(declared, 10.0)
    assert seen > least
    assert seen > raw + 0.15
    assert seen == pytest.approx(share(declared, 0.0), abs=0.05)


def test_an_action_that_is_seen_in_two_ways_is_kept_in_two_places() -> None:
    """Caches go by ids: a raw and a bucketed policy by turns made every action anew each time."""
    sent = build(PolicySpec(key="p", type="vw", surface="s"))
    seen = build(PolicySpec(key="q", type="vw", surface="s", numeric={"action.*": BUCKET}))
    assert isinstance(sent, VowpalWabbit)
    assert isinstance(seen, Encoded)
    assert isinstance(seen.inside, VowpalWabbit)
    assert sent.inside.examples is not seen.inside.inside.examples
