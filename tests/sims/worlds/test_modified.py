"""Laws that worlds are put under: each one's own, beside the world without it."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from bandit.errors import BadSpec, RecordError
from sims.worlds import MODIFIERS, WORLDS, open_world
from sims.worlds.arriving import DAY_S, Arrival, arriving
from sims.worlds.base import NEVER, Batch, BatchWorld, Following, World
from sims.worlds.formulas import FormulaWorld
from sims.worlds.modified import modified
from sims.worlds.modifiers import Change, Late, Lies, Lost, NewActions, Twice
from sims.worlds.synthetic import SyntheticWorld

N = 20_000
CHANGES = [Change("abrupt", 300), Change("drift", 400), Change("season", 200)]


def batch(world: World, n: int = N) -> Batch:
    assert isinstance(world, BatchWorld)
    return next(world.batches(np.random.default_rng(1), n))


def near(found: float, share: float, n: int) -> bool:
    return abs(found - share) < 4.4 * (share * (1 - share) / n) ** 0.5


@pytest.mark.parametrize("law", CHANGES, ids=lambda law: law.label)
def test_changed_truth_is_the_mixture_that_its_rewards_come_from(law: Change) -> None:
    world = modified(FormulaWorld("trees"), law)
    seen = [next(world.batches(np.random.default_rng(seed), 500)) for seed in range(150)]
    found, truth = (np.stack([getattr(b, name) for b in seen]) for name in ("rewards", "expected"))
    # By round over seeds, so that a change at a wrong time would show.
    errors = (found - truth).mean(axis=(0, 2))
    assert np.abs(errors).max() < 4.4 * 0.5 / (150 * 10) ** 0.5


def test_courses_are_at_the_old_and_at_the_new_truth_when_they_say() -> None:
    t = np.array([0.0, 100.0, 199.0, 200.0, 400.0])
    assert Change("abrupt", 200).share(t).tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert Change("drift", 200).share(t).tolist() == [0.0, 0.5, 0.995, 1.0, 1.0]
    np.testing.assert_allclose(
        Change("season", 200).share(t), [0.0, 1.0, 0.000247, 0.0, 0.0], atol=1e-6
    )


def test_after_a_change_an_action_is_worth_what_the_next_one_was_or_the_opposite() -> None:
    base = FormulaWorld(rewards="exact")
    one = next(modified(base, Change("abrupt", 1)).batches(np.random.default_rng(1), 2)).expected
    _, second = base.expected(
        next(modified(base, Change("abrupt", 1)).batches(np.random.default_rng(1), 2)).contexts
    )
    assert one[1].tolist() == np.roll(second, -1).tolist()
    other = modified(base, Change("abrupt", 1, "opposite"))
    found = next(other.batches(np.random.default_rng(1), 2)).expected
    assert found[1].tolist() == (1.0 - second).tolist()


def test_delays_are_geometric_with_the_mean_that_they_are_given() -> None:
    delays = batch(modified(FormulaWorld(), Late(4.0))).delays[:, 0]
    for d in (1, 2, 5, 10):
        assert near(float((delays >= d).mean()), 0.8**d, N)


def test_lost_rewards_are_lost_and_second_copies_come_ten_rounds_later() -> None:
    lost = batch(modified(FormulaWorld(), Lost(0.05))).delays
    assert near(float((lost == NEVER).mean()), 0.05, N)
    twice = batch(modified(modified(FormulaWorld(), Twice(0.2)), Lost(0.1))).delays
    gone = twice[:, 0] == NEVER
    assert near(float(gone.mean()), 0.1, N)
    assert (twice[gone] == NEVER).all()
    assert near(float((twice[~gone, 1] == 10).mean()), 0.2, int((~gone).sum()))
    assert set(np.unique(twice[:, 1])) == {NEVER, 10}


def test_lies_change_what_is_told_and_not_what_is_earned() -> None:
    plain, lied = batch(FormulaWorld()), batch(modified(FormulaWorld(), Lies(0.3)))
    assert plain.told is plain.rewards
    told_wrong = (lied.told != lied.rewards).any(axis=1)
    assert near(float(told_wrong.mean()), 0.3, N)
    assert np.array_equal(lied.told[told_wrong], 1.0 - lied.rewards[told_wrong])
    assert abs(float((lied.rewards - lied.expected).mean())) < 4.4 * 0.5 / N**0.5


def test_new_actions_are_offered_from_their_round_on() -> None:
    cold = batch(modified(FormulaWorld(actions_n=4), NewActions("cold", 50)), 100).offered
    assert cold[:50].sum(axis=1).tolist() == [3] * 50
    assert cold[50:].all()
    growing = batch(modified(FormulaWorld(actions_n=4), NewActions("growing", 30)), 100).offered
    assert [row.sum() for row in growing[[0, 29, 30, 59, 60, 99]]] == [2, 2, 3, 3, 4, 4]
    world = modified(FormulaWorld(actions_n=4), NewActions("growing", 3))
    rounds = list(islice(world.rounds(np.random.default_rng(1)), 7))
    assert [[a.id for a in this.actions] for this in rounds[2:4]] == [
        ["a0", "a1"],
        ["a0", "a1", "a2"],
    ]
    assert all(len(this.rewards) == len(this.expected) == len(this.actions) for this in rounds)


def test_law_over_a_world_without_batches_is_the_same_law() -> None:
    world = modified(modified(SyntheticWorld(), Change("abrupt", 5, "opposite")), Lies(1.0))
    plain = SyntheticWorld()
    rounds = list(islice(world.rounds(np.random.default_rng(1)), 300))
    first = {this.unit_id for this in islice(plain.rounds(np.random.default_rng(1)), 300)}
    assert len(first) > 100
    assert all(t.told == tuple(1.0 - r for r in t.rewards) for t in rounds)
    before = np.mean([np.mean(t.expected) for t in rounds[:5]])
    after = np.mean([np.mean(t.expected) for t in rounds[5:]])
    errors = [np.mean(np.subtract(t.rewards, t.expected)) for t in rounds]
    assert before < 0.5 < after  # a film is liked by 42 % of users
    assert abs(np.mean(errors)) < 4.4 * 0.5 / (300 * 20) ** 0.5


def test_law_of_places_needs_a_catalogue() -> None:
    with pytest.raises(BadSpec, match="cold:5 needs a fixed catalogue, which synthetic has not"):
        modified(SyntheticWorld(), NewActions("cold", 5))


def test_rush_hours_and_heavy_users_come_as_the_law_says() -> None:
    law = Arrival(per_s=N / (4 * DAY_S), heavy=3.0)
    found = batch(arriving(FormulaWorld(), law))
    assert found.at_s is not None
    hours = (found.at_s % DAY_S) / DAY_S
    # ∫ of 1 − 0.9·cos over a quarter round noon: 1/4 + 0.9·√2/(2π).
    noon = float(((hours > 0.375) & (hours < 0.625)).mean())
    assert abs(noon - (0.25 + 0.9 * 2**0.5 / (2 * np.pi))) < 0.02
    assert (np.diff(found.at_s) > 0.0).all()
    counts = np.bincount(found.units, minlength=500)
    weights = np.array([law.weight(f"unit-{unit}") for unit in range(500)])
    expected = N * weights / weights.sum()
    heavy = expected > 20
    spread = ((counts - expected)[heavy] ** 2 / expected[heavy]).mean()
    assert 0.7 < spread < 1.3  # chi-square over its degrees of freedom, some 200 of them


def test_arrivals_over_any_world_leave_its_rounds_as_they_are() -> None:
    world = arriving(SyntheticWorld(), Arrival(per_s=2.0, heavy=0.0))
    rounds = list(islice(world.rounds(np.random.default_rng(1)), 400))
    times = np.array([this.at_s for this in rounds], dtype=float)
    assert (np.diff(times) > 0.0).all()
    # At night the rate is a tenth of its mean: 0.2 a second.
    assert abs(400 / times[-1] / 0.2 - 1.0) < 4.4 / 400**0.5


def test_every_world_and_law_is_opened_by_its_name() -> None:
    numbers = {"lost": ":0.1", "twice": ":0.1", "lies": ":0.1", "tired": "", "rush": ""}
    for name in WORLDS.keys() - {"movielens", "obd"}:
        for law in MODIFIERS:
            text = f"{name}+{law}{numbers.get(law, ':50')}"
            if not isinstance(open_world(name, Path()), BatchWorld):
                if law in ("cold", "growing"):
                    continue
                text += ":opposite" * (law in ("abrupt", "drift", "season"))
            following = Following(open_world(text, Path()), np.random.default_rng(1))
            assert following.next_round(None).actions
            assert following.next_round(0).actions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere", "world is 'nowhere', must be one of"),
        ("linear+luck", "law is 'luck', must be one of"),
        ("linear+late", "missing required field `mean_n`"),
        ("linear+late:0", "> 0.0"),
        ("linear+late:1e300", "<= 1000000000.0"),
        ("linear+late:1:2", "it takes 1, and 2 are given"),
        ("linear+lost:2", "<= 1.0"),
        ("linear+drift:1.5", "Expected `int`"),
        ("linear+rush:fast", "law 'rush:fast' has other numbers"),
        ("linear+tired:3", "must be in"),
        ("synthetic+abrupt:10", "needs a fixed catalogue"),
    ],
)
def test_name_that_makes_no_world_is_refused_with_what_there_is(text: str, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        open_world(text, Path())
