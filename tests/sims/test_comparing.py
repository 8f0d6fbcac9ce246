import numpy as np
import pytest
from scipy import stats

from sims.comparing import (
    Sums,
    curves_of,
    finals_of,
    interval,
    paired,
    pairs_of,
    wins_of,
)
from sims.running.plan import Plan, plan_of
from sims.running.playing import marks_of
from sims.worlds.base import Round
from sims.worlds.formulas import FormulaWorld

ALPHA = 0.05


class Named:
    """A contender that is never run."""

    def __init__(self, key: str) -> None:
        self.key = key

    def learner(self, world: object, seed: int) -> "Named":
        return self

    def pmf(self, this: Round) -> list[float]:
        raise AssertionError

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        raise AssertionError


def plan(policies_n: int = 3, seeds_n: int = 8, rounds_n: int = 100) -> Plan:
    contenders = [Named(f"p{n}") for n in range(policies_n)]
    return plan_of([FormulaWorld()], contenders, rounds_n=rounds_n, seeds=range(seeds_n))


def sums(of: Plan, means: list[float], noise: float = 0.01) -> Sums:
    """Each policy's mean reward, with noise that a seed's policies share."""
    rng = np.random.default_rng(1)
    marks = np.array(marks_of(of.rounds_n))
    shared = rng.normal(size=(1, len(of.seeds), 1)) * 0.1
    own = rng.normal(size=(len(means), len(of.seeds), 1)) * noise
    rate = np.array(means)[:, None, None] + shared + own
    return Sums((rate * marks)[None], ((1.0 - rate) * marks)[None], marks.tolist())


def test_paired_comparison_is_the_t_test_of_the_differences() -> None:
    rng = np.random.default_rng(3)
    control, treatment = rng.normal(size=(2, 12))
    found = paired(control, treatment, ALPHA)
    theirs = stats.ttest_rel(treatment, control)
    low, high = theirs.confidence_interval(1 - ALPHA)
    assert found.effect == pytest.approx(np.mean(treatment - control))
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.effect_ci_low, found.effect_ci_high) == (
        pytest.approx(low),
        pytest.approx(high),
    )


def test_interval_of_one_seed_is_none_and_says_why() -> None:
    one = plan(seeds_n=1)
    [*finals] = finals_of(one, sums(one, [0.1, 0.2, 0.3]), {}, ALPHA)
    assert {(f.reward_low, f.regret_high, f.reason) for f in finals} == {(None, None, "one_unit")}
    [pair, *_] = pairs_of(one, sums(one, [0.1, 0.2, 0.3]), ALPHA, "holm")
    assert (pair.effect.reason, pair.effect.p_value, pair.verdict) == ("one_unit", None, "open")


def test_interval_is_students() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0])
    mean, low, high = interval(values, ALPHA)
    assert low is not None
    assert high is not None
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(1 - ALPHA)
    assert (mean, low, high) == (3.5, pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_finals_are_ranked_within_each_seed_and_the_best_comes_first() -> None:
    of = plan()
    found = finals_of(of, sums(of, [0.1, 0.3, 0.2]), {}, ALPHA)
    assert [(final.policy, final.rank) for final in found] == [
        ("p1", 1.0),
        ("p2", 2.0),
        ("p0", 3.0),
    ]
    assert all(final.reward + final.regret == pytest.approx(1.0) for final in found)
    assert all(final.late == pytest.approx(final.reward) for final in found)


def test_ties_share_their_rank() -> None:
    of = plan(policies_n=2)
    same = sums(of, [0.2, 0.2], noise=0.0)
    assert [final.rank for final in finals_of(of, same, {}, ALPHA)] == [1.5, 1.5]
    assert {pair.verdict for pair in pairs_of(of, same, ALPHA, "holm")} == {"open"}


def test_wins_are_sure_after_the_correction_and_losses_are_their_mirror() -> None:
    of = plan()
    pairs = pairs_of(of, sums(of, [0.10, 0.30, 0.3001]), ALPHA, "holm")
    verdicts = {(pair.policy, pair.other): pair.verdict for pair in pairs}
    assert verdicts["p1", "p0"] == "wins"
    assert verdicts["p0", "p1"] == "loses"
    assert verdicts["p1", "p2"] == verdicts["p2", "p1"] == "open"
    by_pair = {(pair.policy, pair.other): pair.effect for pair in pairs}
    raw = sorted(by_pair[key].p_value or 1.0 for key in (("p0", "p1"), ("p0", "p2"), ("p1", "p2")))
    smallest = min(effect.p_value_adjusted or 1.0 for effect in by_pair.values())
    assert smallest == pytest.approx(3 * raw[0])  # Holm by hand: three pairs, each counted once
    counts = {(one.policy, one.other): (one.wins_n, one.losses_n) for one in wins_of(pairs)}
    assert counts["p1", "p0"] == (1, 0)
    assert counts["p0", "p1"] == (0, 1)


def test_curves_are_means_per_round_so_far() -> None:
    of = plan(policies_n=1)
    [curve] = curves_of(of, sums(of, [0.25], noise=0.0), ALPHA)
    assert curve.rounds_n[-1] == 100
    assert curve.reward == pytest.approx([curve.reward[0]] * 100)
    assert all(
        low is not None and high is not None and low < mean < high
        for low, mean, high in zip(curve.reward_low, curve.reward, curve.reward_high, strict=True)
    )
