import hashlib
import math
import random
from typing import cast

import msgspec
import numpy as np
import pytest

from bandit.errors import BadPropensity, BadSpec, RecordError, SnapshotCorrupt
from bandit.policies import build, with_floor
from bandit.policies.slots import asked_slot, learned_slot
from bandit.policies.vw import VowpalWabbit
from bandit.records import Action
from bandit.specs import PolicySpec
from tests.bandit.policies.vw_lessons import lesson, lessons

GREEDY = "--epsilon 0.1 -q UA"
CCB = PolicySpec(key="p", type="vw", surface="s", slot_model="ccb")


def test_an_actions_worth_may_depend_on_the_slot():
    policy, offered = VowpalWabbit(f"{GREEDY} -q SA"), (Action.of("a"), Action.of("b"))
    top, below = (learned_slot(CCB, slot, []) for slot in (0, 1))
    for turn in range(60):
        drawn, slot = turn % 2, [top, below][turn // 2 % 2]
        reward = float((drawn == 0) == (slot == top))
        policy.learn(lesson(*offered, drawn=drawn, reward=reward, slot=slot))
    assert policy.pmf(b"{}", offered, top) == pytest.approx([0.95, 0.05])
    assert policy.pmf(b"{}", offered, below) == pytest.approx([0.05, 0.95])


def test_what_is_seen_less_further_down_is_not_taken_for_worse():
    """b is better, but was mostly shown where half the clicks are lost."""

    def learned(spec: PolicySpec) -> list[float]:
        policy, rng = cast(VowpalWabbit, build(spec)), random.Random(3)
        offered = (Action.of("a"), Action.of("b"))
        for _ in range(3000):
            drawn = rng.randrange(2)
            slot = drawn if rng.random() < 0.9 else 1 - drawn
            reward = float(rng.random() < (0.5, 0.7)[drawn] * (1.0, 0.5)[slot])
            policy.learn(
                lesson(*offered, drawn=drawn, reward=reward, slot=learned_slot(spec, slot, []))
            )
        return policy.pmf(b"{}", offered, asked_slot(spec, 0, []))

    shared = PolicySpec(key="p", type="vw", surface="s")
    assert learned(shared)[0] > 0.6
    assert learned(msgspec.structs.replace(shared, slot_model="position"))[1] > 0.6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"reward": math.nan}, RecordError, "reward is nan"),
        ({"reward": 1e39}, RecordError, "reward is 1e"),
        ({"propensity": 0.0}, BadPropensity, "propensity is 0.0"),
        ({"propensity": math.nan}, BadPropensity, "propensity is nan"),
        ({"propensity": 1.1}, BadPropensity, "propensity is 1.1"),
        ({"drawn": -1}, RecordError, "drawn is -1"),
        ({"drawn": 2}, RecordError, "drawn is 2"),
        ({"context": b"[]"}, RecordError, "not a JSON object"),
    ],
)
def test_a_lesson_that_could_harm_is_refused_and_changes_nothing(change, error, message):
    policy = VowpalWabbit("")
    policy.learn(lesson(Action.of("a"), Action.of("b")))
    before = policy.digest()
    with pytest.raises(error, match=message):
        policy.learn(lesson(Action.of("a"), Action.of("b"), **change))
    assert policy.digest() == before


@pytest.mark.parametrize("arguments", ["", "--coin -q UA", "--l1 1e-6 --l2 1e-6 -q UA"])
def test_extreme_numbers_do_not_keep_a_policy_from_learning(arguments):
    # With features of 1e25, or propensities of 1e-20 under --l2, it never learned again.
    policy, rng = VowpalWabbit(arguments), random.Random(2)
    names = ("a", "b", "c")
    hits = 0.0
    for turn in range(600):
        extreme = turn < 200 and turn % 10 == 0
        offered = tuple(Action.of(name, y=4e9 if extreme else 1) for name in names)
        user = rng.randrange(3)
        context = b'{"user":"u%d","x":%d}' % (user, 4_000_000_000 if extreme else 1)
        pmf = with_floor(policy.pmf(context, offered), 0.01)
        drawn = rng.choices(range(3), pmf)[0]
        propensity = 1e-38 if extreme else pmf[drawn]
        reward = float(drawn == user)
        hits += reward if turn >= 400 else 0.0
        policy.learn(
            lesson(*offered, drawn=drawn, reward=reward, propensity=propensity, context=context)
        )
    assert hits / 200 > 0.7  # 1/3 by chance


@pytest.fixture(scope="module")
def saved() -> bytes:
    policy = VowpalWabbit("")
    for each in lessons(30):
        policy.learn(each)
    return policy.save()


def test_every_truncation_is_told(saved):
    for length in {0, 1, 20, 60, len(saved) // 2, len(saved) - 1}:
        with pytest.raises(SnapshotCorrupt, match=r"snapshot has \d+ bytes, must have"):
            VowpalWabbit("", saved[:length])
    with pytest.raises(SnapshotCorrupt, match="must have"):
        VowpalWabbit("", saved + b"\x00")


def test_every_flipped_bit_is_told(saved):
    for place in {*range(60), *range(60, len(saved), 97), len(saved) - 1}:
        flipped = bytearray(saved)
        flipped[place] ^= 1 << (place % 8)
        with pytest.raises(SnapshotCorrupt):
            VowpalWabbit("", bytes(flipped))


def test_weights_learned_with_other_arguments_are_refused(saved):
    assert VowpalWabbit("--squarecb --gamma_scale=10 -q UA", saved).save()
    with pytest.raises(BadSpec, match="weights were learned with '--cb_explore_adf --squarecb"):
        VowpalWabbit("--squarecb --gamma_scale 11 -q UA", saved)
    with pytest.raises(BadSpec, match="weights were learned with"):
        VowpalWabbit("--squarecb --gamma_scale 10 -q UA --no_id", saved)


def test_digest_is_over_the_rows_that_were_learned(saved):
    """A second implementation, row by row."""
    policy = VowpalWabbit("", saved)
    table = np.asarray(policy._workspace.weights())
    rows = [index for index in range(len(table)) if table[index, 0, :3].any()]
    assert 20 < len(rows) < 1000
    digest = hashlib.sha256(b"".join(index.to_bytes(8, "little") for index in rows))
    for index in rows:
        digest.update(table[index, 0, :3].astype("<f4").tobytes())
    assert policy.digest() == digest.hexdigest()


def test_digest_leaves_out_what_no_snapshot_keeps(saved):
    policy = VowpalWabbit("", saved)
    table = np.asarray(policy._workspace.weights())
    unused = np.flatnonzero(~table[:, 0].any(axis=1))[:2]
    before = policy.digest()
    table[unused[0], 0, 3] = 0.5  # VW's scratch column
    table[unused[1], 0, 0] = -0.0
    assert policy.digest() == before
    table[unused[1], 0, 0] = 1e-30
    assert policy.digest() != before


def test_an_untrained_policy_has_the_digest_of_nothing():
    # printf '' | sha256sum
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert VowpalWabbit("").digest() == VowpalWabbit("-b 10").digest() == nothing
