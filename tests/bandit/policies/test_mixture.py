import msgspec
import pytest

from bandit.errors import BadSpec, RecordError, SnapshotCorrupt
from bandit.policies import build, check_spec
from bandit.specs import Part, PolicySpec
from tests.bandit.policies.teaching import lesson, some

PARTS = [
    Part(weight=0.5, type="thompson"),
    Part(weight=0.25, type="vw", arguments="--epsilon 0.2"),
    Part(weight=0.125, type="popularity", parameters={"prior_mean": 0.5}),
    Part(weight=0.125, type="uniform"),
]


def mixed(parts: list[Part] = PARTS) -> PolicySpec:
    return PolicySpec(key="mixed", type="mixture", parts=parts, surface="home")


def test_pmf_is_the_weighted_sum_of_parts_taught_alike():
    whole = build(mixed())
    parts = [
        build(
            PolicySpec(
                key="p",
                type=part.type,
                surface="home",
                arguments=part.arguments,
                parameters=part.parameters,
            )
        )
        for part in PARTS
    ]
    for turn in range(20):
        taught = lesson("ab"[turn % 2], float(turn % 2), {"hour": turn})
        whole.learn(taught)
        for part in parts[:3]:
            part.learn(taught)
    question = b'{"hour":3}', some("a", "b", "c")
    columns = zip(*(part.pmf(*question) for part in parts), strict=True)
    expected = [
        sum(part.weight * p for part, p in zip(PARTS, column, strict=True)) for column in columns
    ]
    assert whole.pmf(*question) == pytest.approx(expected, abs=1e-15)


def test_a_lesson_that_one_part_refuses_is_learned_by_none():
    whole = build(mixed([PARTS[1], *PARTS[2:], PARTS[0]]))
    before = whole.digest()
    with pytest.raises(RecordError, match="for a Beta posterior"):
        whole.learn(lesson("a", -1.0))
    with pytest.raises(RecordError, match="feature is"):
        whole.learn(lesson("a", 1.0, {"x": 1e12}))
    assert whole.digest() == before


def test_what_was_saved_by_another_mixture_is_told():
    saved = build(mixed()).save()
    fewer = [Part(weight=0.5, type="thompson"), Part(weight=0.5, type="uniform")]
    with pytest.raises(SnapshotCorrupt, match="holds 3 parts that learn, must 1"):
        build(mixed(fewer), saved)
    order = [PARTS[1], PARTS[2], PARTS[3], PARTS[3], PARTS[0]]
    swapped = [msgspec.structs.replace(part, weight=0.2) for part in order]
    with pytest.raises(SnapshotCorrupt, match="must begin with"):
        build(mixed(swapped), saved)
    with pytest.raises(SnapshotCorrupt):
        build(mixed(), saved[:-1])


def test_a_mixture_of_policies_that_learn_nothing_learns_nothing():
    parts = [Part(weight=0.75, type="fixed"), Part(weight=0.25, type="uniform")]
    spec = PolicySpec(key="mixed", type="mixture", parts=parts)
    check_spec(spec)
    assert build(spec).pmf(b"{}", some("a", "b")) == [0.875, 0.125]
    with pytest.raises(BadSpec, match="does not learn"):
        build(spec, b"weights")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(weight=1, type="ucb", parameters={"x": 1}), r"at `\$\.parts\[0\]\.parameters`"),
        (Part(weight=1, type="uniform", parameters={"x": 1}), r"at `\$\.parts\[0\]\.parameters`"),
        (Part(weight=1, type="ucb", arguments="-q UA"), r"at `\$\.parts\[0\]\.arguments`"),
        (Part(weight=1, type="ucb"), "floor is 0 and a mixture policy can leave an action"),
        (Part(weight=1, type="fixed"), "floor is 0 and a mixture policy can leave an action"),
    ],
)
def test_a_part_that_could_not_be_served_is_refused_with_its_place(part, message):
    with pytest.raises(BadSpec, match=message):
        check_spec(mixed([part]))
