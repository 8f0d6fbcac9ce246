"""The contract of every policy; a new one is covered by being listed in `SPECS`."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator
from typing import cast

import msgspec
import pytest
from scipy import stats

from bandit.errors import RecordError
from bandit.policies import (
    LearningPolicy,
    Lesson,
    build,
    check_spec,
    draw_ranking,
    propensities_of,
    seed_of,
    with_floor,
)
from bandit.records import Action
from bandit.specs import PolicySpec


def vw(arguments: str, floor: float = 0.0) -> PolicySpec:
    return PolicySpec(key="learned", type="vw", surface="home", arguments=arguments, floor=floor)


LEARNING = [
    vw(""),
    vw("--squarecb --gamma_scale 10 --learning_rate 0.05 -q UA"),
    vw("--squarecb --epsilon 0.1 --gamma_exponent 0.6 --noconstant -q UA -b 12"),
    vw("--epsilon 0.1 -q UA"),
    vw("--epsilon 0.1 --cb_type ips -q UA --clip_p 0.01"),
    vw("--epsilon 0.1 --cb_type dm -q UA --no_id"),
    vw("--epsilon 0.1 --coin -q UA"),
    vw("--epsilon 0.1 --l1 1e-6 --l2 1e-6 --power_t 0.3 --cubic UUA"),
    vw("--softmax --lambda 5 -q UA", floor=0.002),
    vw("--regcb --mellowness 0.01 -q UA", floor=0.002),
    vw("--regcbopt --mellowness 0.01 -q UA", floor=0.002),
    vw("--synthcover -l 2 --ignore_linear U --epsilon 0.02 -q UA", floor=0.002),
    vw("--first 30 -q UA", floor=0.002),
    vw("--bag 5 -q UA", floor=0.002),
    vw("--cover 4 -q UA", floor=0.002),
    vw("--rnd 2 -q UA", floor=0.002),
    vw("--softmax --lambda 5 --cb_type dr -q UA", floor=0.002),
]
SPECS = [
    PolicySpec(key="theirs", type="fixed"),
    PolicySpec(key="random", type="uniform"),
    PolicySpec(key="floored", type="uniform", floor=0.005),
    *LEARNING,
]
SIZES = (1, 2, 17, 200)
LARGEST = 1000


def name_of(spec: PolicySpec) -> str:
    return f"{spec.type} {spec.arguments} {spec.floor or ''}".strip()


def actions(k: int) -> tuple[Action, ...]:
    return tuple(
        Action.of(f"a{i}", topic=f"t{i % 3}", age=i % 13, tags=[f"g{i % 5}"]) for i in range(k)
    )


def contexts() -> list[bytes]:
    return [msgspec.json.encode({"user": f"u{i}", "hour": 3 * i + 1}) for i in range(4)]


def lessons(n: int) -> Iterator[Lesson]:
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
        )


def learner(spec: PolicySpec, weights: bytes | None = None) -> LearningPolicy:
    return cast(LearningPolicy, build(spec, weights))


def trained(spec: PolicySpec, n: int = 60) -> LearningPolicy:
    policy = learner(spec)
    for lesson in lessons(n):
        policy.learn(lesson)
    return policy


def answers(policy: LearningPolicy) -> list[list[float]]:
    return [policy.pmf(context, actions(k)) for context in contexts() for k in SIZES]


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_spec_is_accepted(spec):
    check_spec(spec)


@pytest.mark.parametrize("k", [*SIZES, LARGEST])
@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_pmf_is_a_distribution_that_keeps_its_floor(spec, k):
    policies = [build(spec), trained(spec)] if spec.learns else [build(spec)]
    for policy, context in itertools.product(policies, contexts()):
        raw = policy.pmf(context, actions(k))
        assert type(raw) is list
        floor = min(spec.floor, 1 / k)
        pmf = with_floor(raw, floor)
        assert len(pmf) == k
        assert all(math.isfinite(p) and p >= floor for p in pmf)
        assert math.fsum(pmf) == pytest.approx(1.0, abs=1e-9)
        assert spec.type == "fixed" or min(pmf) > 0.0


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_asking_again_gives_the_same_answer(spec):
    policy = trained(spec) if spec.learns else build(spec)
    first = policy.pmf(contexts()[0], actions(17))
    policy.pmf(contexts()[1], actions(200))
    assert policy.pmf(contexts()[0], actions(17)) == first


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
@pytest.mark.parametrize(
    ("context", "features"), [(b"[]", b"{}"), (b"{}", b'{"x":1e39}'), (b'{"x":[null]}', b"{}")]
)
def test_features_that_no_policy_may_see_are_refused_and_change_nothing(spec, context, features):
    policy = build(spec)
    before = policy.pmf(b"{}", actions(5))
    with pytest.raises(RecordError, match=r"must be|not a JSON object"):
        policy.pmf(context, (*actions(2), Action(id="x", features=msgspec.Raw(features))))
    assert policy.pmf(b"{}", actions(5)) == before


@pytest.mark.parametrize("spec", LEARNING, ids=name_of)
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
            )
        )
    pmf = with_floor(policy.pmf(context, actions(4)), spec.floor)
    assert pmf[2] > 0.3
    assert pmf[2] == max(pmf)


@pytest.mark.parametrize("spec", LEARNING, ids=name_of)
def test_a_saved_policy_goes_on_exactly(spec):
    policy = trained(spec)
    for lesson in lessons(25):
        saved = learner(spec, policy.save())
        assert saved.digest() == policy.digest()
        assert answers(saved) == answers(policy)
        policy.learn(lesson)
        saved.learn(lesson)
        assert saved.digest() == policy.digest()
        policy = saved
    whole = trained(spec)  # and never read back, but saved in the same places
    for lesson in lessons(25):
        whole.save()
        whole.learn(lesson)
    assert policy.digest() == whole.digest()
    assert answers(policy) == answers(whole)


@pytest.mark.parametrize("spec", LEARNING, ids=name_of)
def test_digest_tells_what_was_learned(spec):
    digests = {trained(spec, n).digest() for n in (0, 20, 40)}
    assert len(digests) == 3
    assert trained(spec, 40).digest() in digests


@pytest.mark.parametrize("spec", LEARNING, ids=name_of)
def test_questions_leave_no_trace_in_what_is_learned(spec):
    asked = learner(spec)
    for lesson in lessons(40):
        answers(asked)
        asked.learn(lesson)
    assert asked.digest() == trained(spec, 40).digest()
    assert answers(asked) == answers(trained(spec, 40))


@pytest.mark.parametrize("spec", [SPECS[1], LEARNING[0], LEARNING[3], LEARNING[-1]], ids=name_of)
def test_what_is_drawn_is_distributed_as_what_is_logged(spec):
    """Every order of three slots: counts against products of logged propensities."""
    n, slots = 100_000, 3
    policy = trained(spec) if spec.learns else build(spec)
    pmf = with_floor(policy.pmf(contexts()[0], actions(5)), spec.floor)
    drawn, logged = Counter[tuple[int, ...]](), {}
    for i in range(n):
        ranking, propensities = draw_ranking(pmf, slots, seed_of(f"event-{i}", b"salt"))
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
