"""The contract of every policy; a new one is covered by being listed in `SPECS`.

That VW's probabilities are those of its command line is held by `test_vw_command_line.py`.
"""

import functools
import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast, get_args

import msgspec
import pytest
from scipy import stats

from bandit.errors import BadSpec, RecordError, SnapshotCorrupt
from bandit.policies import (
    LearningPolicy,
    Lesson,
    Policy,
    build,
    check_spec,
    draw_ranking,
    propensities_of,
    seed_of,
    with_floor,
)
from bandit.policies.slots import asked_slot, learned_slot
from bandit.records import Action
from bandit.specs import NumericFeature, Part, PolicySpec, PolicyType

FLOOR = 0.002


def learns(kind: str, floor: float = FLOOR, **given: object) -> PolicySpec:
    fields = {"key": "learned", "type": kind, "surface": "home", "floor": floor, **given}
    return msgspec.convert(fields, PolicySpec)


def vw(arguments: str, floor: float = 0.0, **given: object) -> PolicySpec:
    return learns("vw", floor, arguments=arguments, **given)


NATIVE = [
    learns("thompson"),
    learns("thompson", parameters={"prior_mean": 0.02, "prior_strength": 50.0}),
    learns("thompson", parameters={"posterior": "gaussian", "ids": 12}),
    learns("ucb"),
    learns("popularity", parameters={"prior_mean": 0.1}),
    learns("popularity", parameters={"choice": "softmax", "temperature": 0.2}),
    learns("linear"),
    learns("linear", parameters={"dimensions": 4, "ids": 12, "forgetting": 0.95, "scale": 0.5}),
]
MIXTURE = learns(
    "mixture",
    0.0,
    parts=[
        {"weight": 0.4, "type": "linear"},
        {"weight": 0.3, "type": "vw", "arguments": "--epsilon 0.1 -q UA"},
        {"weight": 0.2, "type": "thompson"},
        {"weight": 0.1, "type": "uniform"},
    ],
)
AUTO = learns("auto", 0.0)
EXPLORERS = [
    vw(""),
    vw("--epsilon 0.1 -q UA"),
    vw("--softmax --lambda 5 -q UA", floor=FLOOR),
    vw("--regcb --mellowness 0.01 -q UA", floor=FLOOR),
    vw("--regcbopt --mellowness 0.01 -q UA", floor=FLOOR),
    vw("--synthcover -l 2 --ignore_linear U --epsilon 0.02 -q UA", floor=FLOOR),
    vw("--first 20 -q UA", floor=FLOOR),
    vw("--bag 4 -q UA", floor=FLOOR),
    vw("--cover 3 -q UA", floor=FLOOR),
    vw("--rnd 2 --epsilon 0.05 -q UA", floor=FLOOR),
]
# Explorers from above that learn in another way.
WAYS = [
    learns("auto", 0.0, parameters={"waves": 16, "ids": 5, "exploitation": 3.0}),
    vw("--squarecb --gamma_scale 10 --learning_rate 0.05 -q UA"),
    vw("--squarecb --epsilon 0.1 --gamma_exponent 0.6 --noconstant -q UA -b 12"),
    vw("--epsilon 0.1 --cb_type ips -q UA --clip_p 0.01"),
    vw("--epsilon 0.1 --cb_type dm -q UA --no_id"),
    vw("--epsilon 0.1 --cb_type dr -q UA"),
    vw("--epsilon 0.1 --coin -q UA"),
    vw("--epsilon 0.1 --l1 1e-6 --l2 1e-6 --power_t 0.3 --cubic UUA"),
]
NUMERIC = {
    "context.hour": NumericFeature(encoding="bucket", edges=[6.0, 12.0, 18.0]),
    "action.*": NumericFeature(encoding="centre"),
}
WRAPPED = [
    vw("", slot_model="position"),
    vw("", slot_model="ccb"),
    vw("", numeric=NUMERIC, window=40),
    learns("linear", numeric=NUMERIC),
    learns("thompson", window=40),
]
LEARNING = [*NATIVE, AUTO, MIXTURE, *EXPLORERS, *WAYS, *WRAPPED]
SPECS = [
    PolicySpec(key="theirs", type="fixed"),
    PolicySpec(key="random", type="uniform"),
    PolicySpec(key="floored", type="uniform", floor=0.005),
    PolicySpec(
        key="soft",
        type="mixture",
        parts=[Part(weight=0.9, type="fixed"), Part(weight=0.1, type="uniform")],
    ),
    *LEARNING,
]
SIZES = (1, 2, 17, 200)
LARGEST = 1000


def name_of(spec: PolicySpec) -> str:
    words = [spec.type, spec.arguments, *(f"{k}={v}" for k, v in spec.parameters.items())]
    words += [spec.slot_model * (spec.slot_model != "shared"), "numeric" * bool(spec.numeric)]
    words += [f"window={spec.window}" if spec.window else ""]
    return " ".join(word for word in words if word)


every_spec = pytest.mark.parametrize("spec", SPECS, ids=name_of)
every_learning_spec = pytest.mark.parametrize("spec", LEARNING, ids=name_of)


def actions(k: int) -> tuple[Action, ...]:
    return tuple(
        Action.of(f"a{i}", topic=f"t{i % 3}", age=i % 13, tags=[f"g{i % 5}"]) for i in range(k)
    )


def contexts() -> list[bytes]:
    return [msgspec.json.encode({"user": f"u{i}", "hour": 3 * i + 1}) for i in range(4)]


@functools.cache
def thousand() -> list[bytes]:
    """Random contexts: known and unknown words, numbers of all sizes, nothing at all, depth."""
    rng = random.Random(11)
    return [
        msgspec.json.encode(
            {
                "user": f"u{rng.randrange(8)}",
                "hour": rng.uniform(0, 24),
                **{
                    f"x{i}": rng.gauss(0, 10 ** rng.uniform(-6, 3)) for i in range(rng.randrange(4))
                },
                "deep": {"a": {"b": rng.random() < 0.5}},
                "tags": [f"t{rng.randrange(50)}" for _ in range(rng.randrange(3))],
            }
            if rng.random() < 0.95
            else {}
        )
        for turn in range(1000)
    ]


def lessons(spec: PolicySpec, n: int) -> Iterator[Lesson]:
    rng = random.Random(7)
    for _ in range(n):
        offered = tuple(rng.sample(actions(30), rng.choice([1, 2, 5, 9])))
        drawn = rng.randrange(len(offered))
        yield Lesson(
            context=rng.choice(contexts()),
            actions=offered,
            drawn=drawn,
            propensity=rng.choice([0.125, 0.25, 1.0]),
            reward=float(rng.random() < (0.8 if int(offered[drawn].id[1:]) % 3 == 0 else 0.1)),
            slot=learned_slot(spec, rng.randrange(3), ()),
        )


def ask(policy: Policy, spec: PolicySpec, context: bytes, offered: Sequence[Action]) -> list[float]:
    return policy.pmf(context, offered, asked_slot(spec, 0, ()))


def learner(spec: PolicySpec, weights: bytes | None = None) -> LearningPolicy:
    return cast("LearningPolicy", build(spec, weights))


def taught(spec: PolicySpec, n: int = 60) -> LearningPolicy:
    policy = learner(spec)
    for lesson in lessons(spec, n):
        policy.learn(lesson)
    return policy


def answers(policy: Policy, spec: PolicySpec, turn: int | None = None) -> list[list[float]]:
    """Of every context, or of one after the other."""
    asked = contexts() if turn is None else [contexts()[turn % len(contexts())]]
    return [ask(policy, spec, context, actions(k)) for context in asked for k in SIZES]


def test_every_type_is_listed():
    assert {spec.type for spec in SPECS} == set(get_args(PolicyType))


@every_spec
def test_spec_is_accepted(spec):
    check_spec(spec)


@pytest.mark.parametrize("spec", NATIVE, ids=name_of)
def test_a_floor_is_needed_where_an_action_could_be_left_without_probability(spec):
    with pytest.raises(BadSpec, match="must have a floor above 0"):
        check_spec(msgspec.structs.replace(spec, floor=0.0))


@pytest.mark.parametrize("k", SIZES)
@every_spec
def test_a_thousand_contexts_get_a_distribution_above_the_floor_equal_on_replay(spec, k):
    """Of 1,000 contexts (every tenth for `WAYS`), a taught policy and one from its save."""
    policy = taught(spec) if spec.learns else build(spec)
    again = learner(spec, cast("LearningPolicy", policy).save()) if spec.learns else build(spec)
    offered, floor = actions(k), min(spec.floor, 1 / k)
    for context in thousand()[:: 10 if spec in WAYS else 1]:
        raw = ask(policy, spec, context, offered)
        assert ask(again, spec, context, offered) == raw
        pmf = with_floor(raw, floor)
        assert len(pmf) == k
        assert all(map(math.isfinite, pmf))
        assert min(pmf) >= floor
        assert abs(math.fsum(pmf) - 1.0) <= 1e-9
        assert spec.type == "fixed" or min(pmf) > 0.0


@pytest.mark.parametrize("k", [*SIZES, LARGEST])
@every_spec
def test_an_untaught_policy_gives_every_action_a_chance(spec, k):
    policy = build(spec)
    for context in contexts():
        raw = ask(policy, spec, context, actions(k))
        assert type(raw) is list
        pmf = with_floor(raw, min(spec.floor, 1 / k))
        assert len(pmf) == k
        assert math.fsum(pmf) == pytest.approx(1.0, abs=1e-9)
        assert spec.type == "fixed" or min(pmf) > 0.0


@every_learning_spec
def test_a_thousand_actions_get_a_distribution(spec):
    pmf = with_floor(ask(taught(spec), spec, contexts()[0], actions(LARGEST)), 1e-4)
    assert min(pmf) >= 1e-4
    assert math.fsum(pmf) == pytest.approx(1.0, abs=1e-9)


@every_spec
def test_asking_again_gives_the_same_answer(spec):
    policy = taught(spec) if spec.learns else build(spec)
    first = ask(policy, spec, contexts()[0], actions(17))
    ask(policy, spec, contexts()[1], actions(200))
    assert ask(policy, spec, contexts()[0], actions(17)) == first


@every_spec
@pytest.mark.parametrize(
    ("context", "features"), [(b"[]", b"{}"), (b"{}", b'{"x":1e39}'), (b'{"x":[null]}', b"{}")]
)
def test_features_that_no_policy_may_see_are_refused_and_change_nothing(spec, context, features):
    policy = build(spec)
    before = ask(policy, spec, b"{}", actions(5))
    offered = (*actions(2), Action(id="x", features=msgspec.Raw(features)))
    with pytest.raises(RecordError, match=r"must be|not a JSON object"):
        ask(policy, spec, context, offered)
    assert ask(policy, spec, b"{}", actions(5)) == before
    if spec.learns:
        digest = learner(spec).digest()
        lesson = Lesson(context=context, actions=offered, drawn=0, propensity=0.5, reward=1.0)
        with pytest.raises(RecordError, match=r"must be|not a JSON object"):
            cast("LearningPolicy", policy).learn(lesson)
        assert cast("LearningPolicy", policy).digest() == digest


@every_learning_spec
def test_learning_raises_the_probability_of_what_was_rewarded(spec):
    policy, context = learner(spec), contexts()[0]
    for turn in range(60):
        drawn = turn % 4
        policy.learn(
            Lesson(
                context=context,
                actions=actions(4),
                drawn=drawn,
                propensity=0.25,
                reward=float(drawn == 2),
                slot=learned_slot(spec, 0, ()),
            )
        )
    pmf = with_floor(ask(policy, spec, context, actions(4)), spec.floor)
    assert pmf[2] > 0.26
    assert pmf[2] == max(pmf)


@every_learning_spec
def test_a_saved_policy_goes_on_exactly(spec):
    policy = taught(spec)
    for turn, lesson in enumerate(lessons(spec, 25)):
        saved = learner(spec, policy.save())
        assert saved.digest() == policy.digest()
        assert answers(saved, spec, turn) == answers(policy, spec, turn)
        policy.learn(lesson)
        saved.learn(lesson)
        assert saved.digest() == policy.digest()
        policy = saved
    assert answers(learner(spec, policy.save()), spec) == answers(policy, spec)


@every_learning_spec
def test_digest_tells_what_was_learned(spec):
    digests = {taught(spec, n).digest() for n in (0, 20, 40)}
    assert len(digests) == 3
    assert taught(spec, 40).digest() in digests


@every_learning_spec
def test_questions_leave_no_trace_in_what_is_learned(spec):
    asked = learner(spec)
    for turn, lesson in enumerate(lessons(spec, 40)):
        answers(asked, spec, turn)
        asked.learn(lesson)
    silent = taught(spec, 40)
    assert asked.digest() == silent.digest()
    assert answers(asked, spec) == answers(silent, spec)


@every_learning_spec
def test_damaged_weights_are_told(spec):
    """Truncated anywhere and one bit flipped anywhere, in 40 places each."""
    saved = taught(spec, 20).save()
    rng = random.Random(13)
    for place in rng.sample(range(len(saved)), 40):
        with pytest.raises(SnapshotCorrupt):
            build(spec, saved[:place])
        flipped = bytearray(saved)
        flipped[place] ^= 1 << rng.randrange(8)
        with pytest.raises(SnapshotCorrupt):
            build(spec, bytes(flipped))


@functools.cache
def seeds() -> list[int]:
    return [seed_of(f"event-{i}", b"salt") for i in range(100_000)]


# One of each shape of pmf: what is drawn depends on nothing else of a policy.
DRAWN = [
    SPECS[1],
    SPECS[3],
    NATIVE[0],
    NATIVE[3],
    NATIVE[5],
    NATIVE[6],
    MIXTURE,
    AUTO,
    EXPLORERS[0],
]


@pytest.mark.parametrize("spec", DRAWN, ids=name_of)
def test_what_is_drawn_is_distributed_as_what_is_logged(spec):
    """Every order of three slots: counts against products of logged propensities."""
    n, slots = 100_000, 3
    policy = taught(spec) if spec.learns else build(spec)
    pmf = with_floor(ask(policy, spec, contexts()[0], actions(5)), spec.floor)
    drawn, logged = Counter[tuple[int, ...]](), {}
    for seed in seeds():
        ranking, propensities = draw_ranking(pmf, slots, seed)
        drawn[tuple(ranking)] += 1
        logged[tuple(ranking)] = propensities
    orders = list(itertools.permutations(range(5), slots))
    shares = [math.prod(propensities_of(pmf, order)) for order in orders]
    assert math.fsum(shares) == pytest.approx(1.0)
    assert all(propensities_of(pmf, order) == given for order, given in logged.items())
    for slot in range(slots):
        observed, expected = Counter[int](), Counter[int]()
        for order, share in zip(orders, shares, strict=True):
            observed[order[slot]] += drawn[order]
            expected[order[slot]] += n * share
        assert (
            stats.chisquare([observed[a] for a in range(5)], [expected[a] for a in range(5)]).pvalue
            > 1e-4
        )
    often = [place for place, share in enumerate(shares) if n * share >= 5]
    counts = [drawn[orders[place]] for place in often]
    expect = [n * shares[place] for place in often]
    rest = n - sum(counts), n - math.fsum(expect)
    if rest[1] >= 5:
        counts, expect = [*counts, rest[0]], [*expect, rest[1]]
    scale = sum(counts) / math.fsum(expect)
    assert stats.chisquare(counts, [scale * x for x in expect]).pvalue > 1e-4
