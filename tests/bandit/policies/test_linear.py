import math
import random
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from bandit.errors import BadSpec, RecordError, SnapshotCorrupt
from bandit.policies import Lesson, build, draw_ranking, seed_of, with_floor
from bandit.policies.argmax import normal_argmax
from bandit.policies.linear import Linear, LinearParameters
from bandit.policies.parameters import read_parameters
from bandit.specs import PolicySpec, PolicyType
from tests.bandit.policies.teaching import lesson, some


def taught(parameters: LinearParameters, n: int = 60) -> Linear:
    policy, rng = Linear(parameters), random.Random(5)
    for _ in range(n):
        context = {name: rng.uniform(-1, 1) for name in rng.sample(["x", "y", "z"], 2)}
        policy.learn(lesson(rng.choice("abc"), rng.random(), context))
    return policy


def test_posterior_is_that_of_the_regression():
    """Against the normal equations, solved here for each action."""
    parameters = LinearParameters(ridge=0.5, scale=0.7)
    policy, rng = Linear(parameters), np.random.default_rng(1)
    rows: dict[str, list[tuple[list[float], float]]] = {"a": [], "b": [], "new": []}
    for _ in range(50):
        x, y, reward = rng.normal(size=3).tolist()
        id_ = "a" if x > y else "b"
        policy.learn(lesson(id_, reward, {"x": x, "y": y}))
        rows[id_].append(([1.0, x, y], reward))
    asked = np.array([1.0, 0.3, -0.8])
    means, sds = [], []
    for lessons in rows.values():
        design = np.array([x for x, _ in lessons]).reshape(-1, 3)
        inverse = np.linalg.inv(0.5 * np.eye(3) + design.T @ design)
        means.append(asked @ inverse @ design.T @ np.array([r for _, r in lessons]))
        sds.append(0.7 * math.sqrt(asked @ inverse @ asked))
    assert policy.pmf(b'{"x":0.3,"y":-0.8}', some(*rows)) == pytest.approx(
        normal_argmax(np.array(means), np.array(sds)), abs=1e-7
    )


def test_forgetting_weighs_a_lesson_by_how_many_came_after_it():
    """Lessons of worth 0.25 … 1 with no features: mean Σ w·r / (ridge + Σ w), by hand."""
    policy = Linear(LinearParameters(forgetting=0.5, ridge=1.0, scale=1.0))
    for reward in (1.0, 0.0, 1.0):
        policy.learn(lesson("a", reward))
    weights = 0.25 + 0.5 + 1.0
    expected = normal_argmax(
        np.array([1.25 / (1 + weights), 0.0]), np.array([(1 + weights) ** -0.5, 1.0])
    )
    assert policy.pmf(b"{}", some("a", "b")) == pytest.approx(expected, abs=1e-7)


def test_it_learns_what_depends_on_the_context():
    policy, rng = Linear(LinearParameters()), random.Random(2)
    for _ in range(300):
        x = rng.uniform(-1, 1)
        id_ = rng.choice("ab")
        policy.learn(lesson(id_, 0.5 + (x if id_ == "a" else -x) / 2, {"x": x}))
    assert policy.pmf(b'{"x":0.8}', some("a", "b"))[0] > 0.99
    assert policy.pmf(b'{"x":-0.8}', some("a", "b"))[1] > 0.99
    assert 0.2 < policy.pmf(b'{"x":0}', some("a", "b"))[0] < 0.8


def test_a_new_action_is_explored():
    policy = taught(LinearParameters(scale=1.0), 300)
    assert policy.pmf(b'{"x":1}', some("a", "b", "new"))[2] > 0.1


@pytest.mark.parametrize(("prior_mean", "tried"), [(0.0, False), (0.8, True)])
def test_a_new_action_is_worth_what_was_declared(prior_mean, tried):
    """Rewards are about 0.8, so a new action that is thought to be worth 0 is hardly tried."""
    policy, rng = Linear(LinearParameters(prior_mean=prior_mean)), random.Random(6)
    for _ in range(200):
        policy.learn(lesson(rng.choice("abc"), 0.8 + rng.gauss(0, 0.1), {"x": rng.random()}))
    new = policy.pmf(b'{"x":0.5}', some("a", "b", "c", "new"))[3]
    assert (new > 0.2) is tried
    assert tried or new < 1e-6


def test_the_id_that_was_shown_the_longest_ago_is_forgotten_exactly():
    policy = Linear(LinearParameters(ids=2))
    for id_ in ("a", "b", "a", "c"):
        policy.learn(lesson(id_, 1.0, {"x": 1.0}))
    a, b, new = policy.pmf(b'{"x":1}', some("a", "b", "new"))
    assert b == new < a
    policy.learn(lesson("b", 1.0, {"x": 1.0}))
    assert b"aa" not in policy.save()
    assert policy.digest() == Linear(LinearParameters(ids=2), policy.save()).digest()


@pytest.mark.parametrize("dimensions", [2, 3, 64])
def test_a_saved_policy_goes_on_exactly_while_names_still_come(dimensions):
    parameters = LinearParameters(dimensions=dimensions, forgetting=0.9)
    policy, rng = Linear(parameters), random.Random(3)
    for turn in range(60):
        context = {f"f{rng.randrange(1 + turn // 6)}": rng.gauss(0, 1) for _ in range(3)}
        asked = msgspec.json.encode(context)
        saved = Linear(parameters, policy.save())
        assert saved.pmf(asked, some("a", "b", "c", "new")) == policy.pmf(
            asked, some("a", "b", "c", "new")
        )
        taught_ = lesson(rng.choice("abc"), rng.random(), context)
        policy.learn(taught_)
        saved.learn(taught_)
        assert saved.digest() == policy.digest()
        policy = saved


def test_features_of_any_size_leave_it_a_distribution():
    policy, rng = Linear(LinearParameters(ridge=1e-6)), random.Random(4)
    sizes = (4e9, 1e-9, 1.0, 1e4, 0.0)
    for turn in range(200):
        context = {f"f{i}": size * rng.uniform(-1, 1) for i, size in enumerate(sizes)}
        context["again"] = context["f0"]
        policy.learn(lesson("ab"[turn % 2], rng.uniform(-1e6, 1e6), context))
        pmf = policy.pmf(msgspec.json.encode(context), some("a", "b", "c"))
        assert with_floor(pmf, 0.01) == pytest.approx(pmf, abs=0.05)


def test_a_refused_lesson_changes_nothing():
    policy = taught(LinearParameters())
    before = policy.digest()
    for refused in (
        lesson("a", math.nan),
        lesson("a", 1.0, {"x": 1e12}),
        msgspec.structs.replace(lesson("a", 1.0, {"new": 1.0}), propensity=0.0),
    ):
        with pytest.raises(RecordError):
            policy.learn(refused)
    assert policy.digest() == before


def test_damaged_or_foreign_weights_are_told():
    saved = taught(LinearParameters()).save()
    for end in range(0, len(saved), 97):
        with pytest.raises(SnapshotCorrupt):
            Linear(LinearParameters(), saved[:end])
    with pytest.raises(BadSpec, match="weights were learned with"):
        Linear(LinearParameters(ridge=2.0), saved)


def test_memory_is_bounded_when_it_is_declared():
    with pytest.raises(BadSpec, match="with 512 dimensions, at most 32 ids"):
        read_parameters(LinearParameters, {"dimensions": 512})
    read_parameters(LinearParameters, {"dimensions": 512, "ids": 32})


CRISP = "--synthcover -l 2 --ignore_linear U --epsilon 0.02 -q UA"


class Example(NamedTuple):
    """A context and the one action of ten that is rewarded there."""

    context: bytes
    right: int


def blobs(seed: int, n: int = 1500) -> list[Example]:
    """Ten classes of 32 dense numbers around centres in [0, 1]."""
    rng = np.random.default_rng(seed)
    centres, kinds = rng.random((10, 32)), rng.integers(10, size=n)
    points = centres[kinds] + 0.4 * rng.normal(size=(n, 32))
    return examples(points, kinds)


def digits(seed: int) -> list[Example]:
    """All 1,797 of scikit-learn's, pixels in [0, 1], shuffled."""
    found = pytest.importorskip("sklearn.datasets").load_digits()
    order = np.random.default_rng(seed).permutation(len(found.target))
    return examples(found.data[order] / 16, found.target[order])


def examples(points: np.ndarray, kinds: np.ndarray) -> list[Example]:
    return [
        Example(msgspec.json.encode({f"x{i}": round(v, 4) for i, v in enumerate(row)}), kind)
        for row, kind in zip(points.tolist(), kinds.tolist(), strict=True)
    ]


def share_right(learned: list[Example], kind: PolicyType, arguments: str = "") -> float:
    """Share of right draws over one pass, learning from each at once."""
    policy = build(PolicySpec(key="p", surface="s", type=kind, arguments=arguments))
    actions, right_n = some(*map(str, range(10))), 0
    for turn, (context, right) in enumerate(learned):
        pmf = with_floor(policy.pmf(context, actions), 0.002)
        (drawn,), (propensity,) = draw_ranking(pmf, 1, seed_of(f"{turn}", b"salt"))
        right_n += drawn == right
        policy.learn(
            Lesson(
                context=context,
                actions=actions,
                drawn=drawn,
                propensity=propensity,
                reward=float(drawn == right),
            )
        )
    return right_n / len(learned)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_beats_vowpal_wabbit_on_small_dense_clean_contexts(seed):
    learned = blobs(seed)
    linear = share_right(learned, "linear")
    assert linear > share_right(learned, "vw") + 0.1
    assert linear > share_right(learned, "vw", CRISP) + 0.05


@pytest.mark.slow
def test_it_beats_vowpal_wabbit_on_real_digits():
    """The means over four seeds that `api/README.md` states; needs the `bench` extra."""
    means = {
        name: float(np.mean([share_right(digits(seed), *given) for seed in (1, 2, 3, 4)]))
        for name, given in {"linear": ("linear",), "vw": ("vw",), "crisp": ("vw", CRISP)}.items()
    }
    assert means == pytest.approx({"linear": 0.83, "vw": 0.53, "crisp": 0.69}, abs=0.03)


def test_pmf_is_the_same_whichever_actions_were_asked_for_before():
    policy, ids = taught(LinearParameters()), ["a", "b", "c", "d", "e"]
    first = policy.pmf(b'{"x":0.5}', some(*ids))
    for left, right in pairwise(ids):
        policy.pmf(b'{"y":1}', some(right, left))
    assert policy.pmf(b'{"x":0.5}', some(*ids)) == first
