import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import RecordError
from bandit.stats.effect import Effect
from bandit.stats.estimate import Estimate
from bandit.stats.fixed import Margin, compare, non_inferiority
from bandit.stats.multiple import Correction, adjusted, corrected, e_bh, weighted_primary

ALL: list[Correction] = [
    "bonferroni",
    "sidak",
    "holm",
    "holm_sidak",
    "hochberg",
    "hochberg_sidak",
    "hommel",
    "bh",
    "by",
    "bh_two_stage",
    "bky",
]
# statsmodels 0.15.0, multipletests
P = [0.0004, 0.011, 0.019, 0.03, 0.0405, 0.31, 0.62, 0.98]
P_VALUES = st.lists(st.floats(0.0, 1.0), max_size=12)


def values(p: list[float | None], correction: Correction) -> list[float]:
    return [one.p_value for one in adjusted(p, correction) if one is not None]


@pytest.mark.parametrize("correction", ALL)
@settings(deadline=None)
@given(P_VALUES)
def test_adjusted_values_keep_the_order_and_are_never_smaller(correction, p):
    got = values(p, correction)
    for raw, value in zip(p, got, strict=True):
        # The two-stage ones may halve a value when half of the nulls have gone.
        least = 0.0 if correction in ("bh_two_stage", "bky") else raw - 1e-12
        assert least <= value <= 1.0
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(np.array(got)[order]) >= -1e-12)


@pytest.mark.parametrize("correction", ALL)
@settings(deadline=None)
@given(P_VALUES, st.floats(0.01, 0.2))
def test_a_level_and_an_adjusted_value_decide_alike(correction, p, alpha):
    for raw, one in zip(p, adjusted(p, correction, alpha=alpha), strict=True):
        if abs(one.p_value - alpha) < 1e-9 or correction == "hommel":
            continue
        assert one.rejected == (raw <= one.level)


def test_two_stages_with_the_proof_are_statsmodels():
    # statsmodels 0.15.0, multipletests(p, 0.05, 'fdr_tsbky')
    expected = [0.00252, 0.03465, 0.0399, 0.04725, 0.05103, 0.3255, 0.558, 0.77175]
    assert values(P, "bky") == pytest.approx(expected, rel=1e-9)
    assert values([0.001, 0.002, 0.003], "bky") == pytest.approx([0.00315] * 3)
    assert values([0.4, 0.5], "bky") == pytest.approx([0.525] * 2)


@settings(deadline=None)
@given(P_VALUES)
def test_sharper_corrections_reject_no_less(p: list[float]):
    chain: list[Correction] = ["bonferroni", "holm", "hochberg", "hommel", "bh"]
    for blunt, sharp in itertools.pairwise(chain):
        pairs = zip(values(p, blunt), values(p, sharp), strict=True)
        assert all(b >= s - 1e-12 for b, s in pairs), (blunt, sharp)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=6))
def test_hommel_is_the_closed_simes_test(p: list[float]):
    # The definition: the largest Simes p over all intersections that hold the hypothesis.
    m = len(p)
    subsets = [[j for j in range(m) if mask >> j & 1] for mask in range(1, 2**m)]
    simes = {
        tuple(s): min(len(s) * x / (r + 1) for r, x in enumerate(sorted(p[j] for j in s)))
        for s in subsets
    }
    for j, got in enumerate(values(p, "hommel")):
        assert got == pytest.approx(max(v for s, v in simes.items() if j in s))


def test_tiny_p_values_survive_sidak():
    # 1 − (1 − p)^8 ≈ 8p; the formula as written gives 0.
    assert values([1e-300, *P[1:]], "sidak")[0] == pytest.approx(8e-300)


def test_what_has_no_p_value_does_not_count():
    assert adjusted([0.01, None, 0.02], "bonferroni")[1] is None
    assert values([0.01, None, 0.02], "bonferroni") == pytest.approx([0.02, 0.04])
    assert adjusted([], "hommel") == []
    assert adjusted([None], "bh") == [None]


def test_dependent_discoveries_cost_the_harmonic_sum():
    # By hand: 8·(1 + 1/2 + … + 1/8) · 0.0004.
    assert values(P, "by")[0] == pytest.approx(0.0004 * 8 * sum(1 / j for j in range(1, 9)))


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(bad: float):
    with pytest.raises(RecordError, match=r"must be in \[0, 1\]"):
        adjusted([bad], "holm")
    with pytest.raises(RecordError, match=r"must be in \(0, 1\)"):
        adjusted([0.1], "holm", alpha=0.0)


def estimate(effect: float) -> Estimate:
    return Estimate(
        n=(500, 500),
        values=(10.0, 10.0 + effect),
        covariance=((0.005, 0.0), (0.0, 0.005)),
        dfs=(499.0, 499.0),
        kind="mean",
    )


def run_of(effect: float):
    return partial(_compare, estimate(effect))


def _compare(e: Estimate, alpha: float) -> Effect:
    return compare(e, alpha=alpha)


@pytest.mark.parametrize(
    ("correction", "level"),
    [
        ("bonferroni", 0.05 / 3),
        ("holm", 0.05 / 3),
        ("sidak", 1 - 0.95 ** (1 / 3)),
        ("bh", 0.05 * 2 / 3),
        ("by", 0.05 * 2 / 3 / (1 + 1 / 2 + 1 / 3)),
    ],
)
def test_adjusted_intervals_are_those_of_their_level(correction: Correction, level: float):
    effects = [0.4, 0.0, 0.35]
    got = corrected([run_of(x) for x in effects], correction)
    for x, effect in zip(effects, got, strict=True):
        at = compare(estimate(x), alpha=level)
        assert effect.alpha_adjusted == pytest.approx(level)
        assert effect.adjusted_ci_low == pytest.approx(at.effect_ci_low)
        assert effect.relative_adjusted_ci_high == pytest.approx(at.relative_ci_high)
        plain = compare(estimate(x))
        assert (effect.effect_ci_low, effect.p_value) == (plain.effect_ci_low, plain.p_value)
        assert effect.correction == correction


@pytest.mark.parametrize("correction", ["bonferroni", "sidak"])
def test_single_step_intervals_and_values_decide_alike(correction: Correction):
    for effect in corrected([run_of(x / 20) for x in range(10)], correction):
        assert (effect.adjusted_ci_low > 0) == (effect.p_value_adjusted < 0.05)


def test_a_family_may_mix_kinds_of_tests():
    guardrail = partial(_guardrail, estimate(-0.05))
    got = corrected([run_of(0.4), guardrail], "holm")
    assert got[1].hypothesis == "non_inferiority"
    assert got[1].adjusted_ci_high is None
    assert got[1].p_value_adjusted == pytest.approx(max(got[1].p_value, 2 * got[0].p_value))


def _guardrail(e: Estimate, alpha: float) -> Effect:
    return non_inferiority(e, Margin(0.03, "relative"), alpha=alpha)


def test_a_test_without_an_answer_is_left_as_it_is():
    flat = Estimate(
        n=(2, 2), values=(1.0, 1.0), covariance=None, dfs=(1, 1), kind="mean", reason="no_variance"
    )
    got = corrected([partial(_compare, flat), run_of(0.4)], "bonferroni")
    assert (got[0].p_value_adjusted, got[0].correction) == (None, None)
    assert got[1].p_value_adjusted == pytest.approx(got[1].p_value)


def test_the_primary_keeps_its_share_however_many_others_there_are():
    # Eppo: γα/k for the primary, (1 − γ)α/(k(m − 1)) for the others; k = 2 treatments, m = 4.
    primary, others = weighted_primary([run_of(0.2)] * 2, [run_of(0.2)] * 6, weight=0.6)
    assert {e.alpha_adjusted for e in primary} == {0.6 * 0.05 / 2}
    assert [e.alpha_adjusted for e in others] == pytest.approx([0.4 * 0.05 / (2 * 3)] * 6)
    assert primary[0].p_value_adjusted == pytest.approx(primary[0].p_value * 2 / 0.6)
    alone, none = weighted_primary([run_of(0.2)], [], weight=0.6)
    assert (alone[0].alpha_adjusted, none) == (0.05, [])


@pytest.mark.parametrize("weight", [0.0, 1.0, 1.5])
def test_a_weight_that_leaves_nothing_is_refused(weight: float):
    with pytest.raises(RecordError, match="weight is"):
        weighted_primary([run_of(0.2)], [run_of(0.2)], weight=weight)


def test_e_values_are_rejected_by_their_own_rule():
    # By hand, m = 4, α = .05: needed 80, 40, 26.7, 20 for k = 1 … 4.
    got = e_bh([120.0, 2.0, 45.0, 26.0])
    assert [one.rejected for one in got] == [True, False, True, False]
    assert got[0].p_value == pytest.approx(min(4 / 120, 4 / 90))
    assert got[2].level == pytest.approx(40.0)
    assert e_bh([None, 100.0])[0] is None
    with pytest.raises(RecordError, match="at least 0"):
        e_bh([-1.0])


def test_family_wise_error_is_held():
    # 20 true nulls: at least one rejection in at most 5 % of families, 4.4 Monte Carlo errors.
    runs = 3000
    p = np.random.default_rng(2).uniform(size=(runs, 20))
    for correction in ("holm", "hommel"):
        hits = sum(min(values(row.tolist(), correction)) <= 0.05 for row in p)
        assert hits / runs <= 0.05 + 4.4 * math.sqrt(0.05 * 0.95 / runs)
