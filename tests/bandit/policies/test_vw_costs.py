"""Costs read from the weights, against Vowpal Wabbit's own predictions."""

import random
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.policies.arguments import CLICKS, CRISP, DEFAULT_OF_SLOTS, read_arguments
from bandit.policies.base import Lesson
from bandit.policies.vw import VowpalWabbit
from bandit.policies.vw_costs import FEWEST, WIDEST, Arrays, Explorer, Offered, costs_of_all
from bandit.policies.vw_examples import Examples
from bandit.records import Action

SUPPORTED = [
    "",
    CLICKS,
    DEFAULT_OF_SLOTS,
    "--squarecb",
    "--squarecb --gamma_scale 3 --gamma_exponent 0.7 -q UA -q UU -b 10",
    "--squarecb -q UA --ignore_linear A --ignore_linear U --noconstant",
    "--squarecb -q SA --no_id --power_t 0",
    "-q UA",
    "--epsilon 0.2 -q UA -q SA --cb_type mtr",
]
LEFT_TO_VW = [
    *(CRISP, "--bag 3 -q UA", "--regcb -q UA", "--softmax -q UA", "--first 10 -q UA"),
    *("--epsilon 0.1 --cb_type dr -q UA", "--epsilon 0.1 --cb_type ips", "--epsilon 0.1 --coin"),
    *("-q AU", "-q AA", "--cubic UUA", "--interactions USA", "--l1 1e-6", "--l2 1e-6"),
    "--squarecb --epsilon 0.1 -q UA",
]
CATALOGUE = [
    Action.of(f"a{i}", topic=f"t{i % 3}", age=i % 13, tags=[f"g{j}" for j in range(i % 4)])
    for i in range(300)
]
SLOT = b'{"position":"2"}'


def contexts(n: int, seed: int = 5) -> list[bytes]:
    rng = random.Random(seed)
    return [
        msgspec.json.encode(
            {f"f{j}": rng.uniform(-2, 2) for j in range(rng.choice([0, 3, 40]))}
            | {"user": f"u{rng.randrange(4)}"}
        )
        for _ in range(n)
    ]


def trained(arguments: str, n: int = 400) -> VowpalWabbit:
    policy, rng = VowpalWabbit(arguments), random.Random(3)
    for context in contexts(n):
        offered = tuple(rng.sample(CATALOGUE, 5))
        drawn = rng.randrange(5)
        likes = int(offered[drawn].id[1:]) % 3 == context[-3] % 3
        policy.learn(
            Lesson(
                context=context,
                actions=offered,
                drawn=drawn,
                propensity=0.2,
                reward=float(rng.random() < (0.8 if likes else 0.1)),
                slot=SLOT,
            )
        )
    return policy


def by_vw(
    policy: VowpalWabbit, context: bytes, actions: Sequence[Action], slot: bytes = b""
) -> list[float]:
    """What Vowpal Wabbit itself predicts."""
    pmf = [0.0] * len(actions)
    for index, p in policy._predict(policy._examples.of(context, actions, slot)):  # type: ignore[misc]
        pmf[index] = p
    return pmf


def is_read(policy: VowpalWabbit) -> bool:
    return policy._explorer is not None and policy._weights is not None


@pytest.mark.parametrize("arguments", SUPPORTED)
def test_probabilities_are_those_that_vw_predicts(arguments: str) -> None:
    policy, rng = trained(arguments), random.Random(9)
    assert is_read(policy)
    for context in contexts(30, seed=11):
        for k in (FEWEST, 100, 200):
            actions = rng.sample(CATALOGUE, k)
            pmf = policy.pmf(context, actions, SLOT)
            assert pmf == pytest.approx(by_vw(policy, context, actions, SLOT), abs=1e-5)
            assert max(pmf) > 1.5 / k, "a model that has learned prefers something"


@pytest.mark.parametrize("arguments", LEFT_TO_VW)
def test_other_arguments_are_left_to_vw(arguments: str) -> None:
    assert Explorer.of(read_arguments(arguments)) is None


@pytest.mark.parametrize("arguments", ["--squarecb -q UA --no_id", "-q UA --no_id"])
def test_tied_actions_are_treated_as_vw_does(arguments: str) -> None:
    alike = [Action.of(f"b{i}", topic=f"t{i % 3}") for i in range(60)]
    for policy in (VowpalWabbit(arguments), trained(arguments)):
        for context in contexts(5):
            pmf = policy.pmf(context, alike)
            assert pmf == pytest.approx(by_vw(policy, context, alike), abs=1e-5)


def test_bits_are_the_same_whoever_asked_before_and_after_saving() -> None:
    policy, actions = trained(""), tuple(CATALOGUE[:200])
    loaded = VowpalWabbit("", policy.save())
    for context in contexts(10):
        pmf = policy.pmf(context, actions)
        assert policy.pmf(context, list(actions)) == pmf
        backwards = policy.pmf(context, actions[::-1])
        assert np.isclose(backwards[::-1], pmf, rtol=1e-12, atol=0.0).all()
        loaded._examples = Examples(with_id=True, bits=64)
        assert loaded.pmf(context, actions) == pmf


def test_learning_shows_at_once() -> None:
    policy, actions = trained(""), tuple(CATALOGUE[:60])
    before = policy.pmf(b"{}", actions)
    for _ in range(20):
        policy.learn(Lesson(context=b"{}", actions=actions, drawn=7, propensity=0.5, reward=1.0))
    after = policy.pmf(b"{}", actions)
    assert after[7] > before[7]
    assert after == pytest.approx(by_vw(policy, b"{}", actions), abs=1e-5)


def test_an_action_with_more_features_than_fit_is_left_to_vw() -> None:
    policy = trained("")
    wide = Action.of("wide", **{f"f{i}": 1.0 for i in range(WIDEST)})
    actions = [*CATALOGUE[:60], wide]
    assert policy.pmf(b"{}", actions) == by_vw(policy, b"{}", actions)


def test_one_id_may_come_with_other_features_and_the_table_may_fill_up() -> None:
    policy = trained("")
    for start in range(0, 6_000, 1_000):
        actions = [Action.of(f"n{start + i}", topic=f"t{i % 3}") for i in range(1_000)]
        changed = [Action.of(f"n{start + i}", topic=f"t{(i + 1) % 3}", x=2.0) for i in range(100)]
        for offered in (actions, changed, actions[:100]):
            pmf = policy.pmf(b'{"user":"u1"}', offered)
            assert pmf == pytest.approx(by_vw(policy, b'{"user":"u1"}', offered), abs=1e-5)


def test_an_action_offered_twice_is_refused() -> None:
    twice = [*CATALOGUE[:60], CATALOGUE[3]]
    for offered in (twice, [*CATALOGUE[:60], Action.of("a3", other=1.0)]):
        with pytest.raises(RecordError, match="hold an id twice"):
            VowpalWabbit("").pmf(b"{}", offered)


@pytest.mark.parametrize("features_n", [0, 1, 15, 16, 17, 33, 64])
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 10), (3, 7), (6, 60)])
def test_models_together_have_the_bits_of_sums_of_16_features_at_a_time(
    features_n: int, shape: tuple[int, int]
) -> None:
    """However many are taken in one go: what was learned must come out of the log again."""
    rng = np.random.default_rng(features_n)
    models = [rng.normal(size=1 << 12).astype(np.float32) for _ in range(2)]
    offered = Offered(
        rng.integers(0, 1 << 30, shape) << 2, rng.normal(size=shape).astype(np.float32)
    )
    shared = Arrays(
        rng.integers(0, 1 << 30, features_n).astype(np.uint64),
        rng.normal(size=features_n).astype(np.float32),
    )
    found = costs_of_all(models, offered, [shared], linear=True)
    hashes = ((shared.indices * np.uint64(16_777_619)) << np.uint64(2)).astype(np.int64)
    for weights, costs in zip(models, found, strict=True):
        worth = weights[offered.indices & 4095]
        for start in range(0, features_n, 16):
            some = slice(start, start + 16)
            products = weights[(hashes[some, None, None] ^ offered.indices) & 4095]
            worth += (products * shared.values[some, None, None]).sum(axis=0)
        assert costs.tolist() == (worth * offered.values).sum(axis=0).tolist()
