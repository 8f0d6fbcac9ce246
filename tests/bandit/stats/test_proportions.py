import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import chi2_contingency

from bandit.stats.proportions import (
    Share,
    contingency_p_value,
    difference_interval,
    share_interval,
)
from bandit.stats.share_ratios import odds_ratio_interval, ratio_interval
from tests.bandit.stats.peers import cases, dataset, same

ONE: dict[str, Any] = {"beta": "clopper_pearson", "jeffreys": "jeffreys", "wilson": "wilson"}
DIFFERENCE: dict[str, Any] = {
    "newcomb": "newcombe",
    "agresti-caffo": "agresti_caffo",
    "score": "score",
}
COUNTS = st.integers(1, 60).flatmap(lambda n: st.builds(Share, st.integers(0, n), st.just(n)))


@cases("proportion")
def test_intervals_of_shares_are_the_peers(case: dict[str, Any]):
    if "correction" in case["params"]:
        same(_contingency(case), case, {"pvalue": case["expected"]["pvalue"]})
        return
    inputs, params, alpha = case["inputs"], case["params"], case["params"]["alpha"]
    if "compare" not in params:
        kind = ONE[case["id"].split("_")[2]]
        share = Share(inputs["successes"], inputs["n"])
        low, high = share_interval(share, alpha=alpha, kind=kind)
    else:
        both = [Share(inputs[v]["successes"], inputs[v]["n"]) for v in ("control", "treatment")]
        if params["compare"] == "diff":
            low, high = difference_interval(*both, alpha=alpha, kind=DIFFERENCE[params["method"]])
        else:
            of = ratio_interval if params["compare"] == "ratio" else odds_ratio_interval
            low, high = of(*both, alpha=alpha)
    same({"ci_low": low, "ci_high": high}, case, case["expected"])


def _contingency(case: dict[str, Any]) -> dict[str, float]:
    rows = dataset(case)
    both = [Share(int(rows[v]["c"].sum()), len(rows[v]["c"])) for v in ("control", "treatment")]
    statistic: Any = case["params"]["method"].replace("-", "_")
    p_value = contingency_p_value(
        *both, statistic=statistic, continuity=case["params"]["correction"]
    )
    return {"pvalue": p_value}


@settings(deadline=None)
@given(COUNTS, COUNTS, st.booleans())
def test_tables_p_values_equal_scipys(control: Share, treatment: Share, continuity: bool):
    table = [[s.successes, s.n - s.successes] for s in (control, treatment)]
    if 0 in np.sum(table, axis=0):
        assert contingency_p_value(control, treatment, continuity=continuity) == 1.0
        return
    for name, theirs in (("pearson", "pearson"), ("log_likelihood", "log-likelihood")):
        kind: Any = name
        got = contingency_p_value(control, treatment, statistic=kind, continuity=continuity)
        want = chi2_contingency(table, correction=continuity, lambda_=theirs).pvalue
        assert got == pytest.approx(want, rel=1e-6, abs=1e-12)


def test_the_score_interval_of_many_units_ends_where_the_score_is_z():
    # statsmodels 0.15 gives 0.00299761 here, where the score is 1.95988: the likelihood by a root
    # finder instead of the cubic agrees with ours.
    control, treatment = Share(12_500, 250_000), Share(12_950, 250_100)

    def score(at: float) -> float:
        (x0, n0), (x1, n1) = control, treatment
        r0 = brentq(
            lambda r: x1 / (r + at) - (n1 - x1) / (1 - r - at) + x0 / r - (n0 - x0) / (1 - r),
            1e-6,
            0.99,
            xtol=1e-16,
        )
        r1 = r0 + at
        return (treatment.rate - control.rate - at) / math.sqrt(
            r1 * (1 - r1) / n1 + r0 * (1 - r0) / n0
        )

    low, high = difference_interval(control, treatment, kind="score")
    assert (score(low), score(high)) == pytest.approx((1.959963985, -1.959963985), abs=1e-7)
    assert low == pytest.approx(0.0005611147067406147, rel=1e-5)  # statsmodels 0.15.0


@settings(deadline=None, max_examples=150)
@given(COUNTS, COUNTS, st.sampled_from([0.01, 0.05, 0.3]))
def test_every_count_has_an_interval_around_its_estimate(
    control: Share, treatment: Share, alpha: float
):
    for kind in ("wilson", "clopper_pearson", "agresti_coull"):
        low, high = share_interval(control, alpha=alpha, kind=kind)
        assert 0.0 <= low <= control.rate + 1e-12
        assert control.rate - 1e-12 <= high <= 1.0
    gap = treatment.rate - control.rate
    for kind in ("newcombe", "score"):
        low, high = difference_interval(control, treatment, alpha=alpha, kind=kind)
        assert -1.0 - 1e-12 <= low <= gap + 1e-9
        assert gap - 1e-9 <= high <= 1.0 + 1e-12
    low, top = ratio_interval(control, treatment, alpha=alpha)
    assert math.isfinite(low)
    assert low >= 0.0
    assert top is None or top >= low
    if control.successes:
        assert low <= treatment.rate / control.rate * (1 + 1e-9)
        assert top is None or top >= treatment.rate / control.rate * (1 - 1e-9)


@settings(deadline=None, max_examples=60)
@given(COUNTS, COUNTS)
def test_swapping_the_variants_mirrors_the_interval(control: Share, treatment: Share):
    for kind in ("newcombe", "agresti_caffo", "score"):
        low, high = difference_interval(control, treatment, kind=kind)
        mirrored = difference_interval(treatment, control, kind=kind)
        assert (-mirrored[1], -mirrored[0]) == pytest.approx((low, high), abs=1e-7)


def test_clopper_and_pearson_cover_at_least_their_level_and_wilson_on_average():
    n = 25
    k = np.arange(n + 1)
    chance = np.array([math.comb(n, int(j)) for j in k], dtype=float)
    covers = {}
    for kind in ("clopper_pearson", "wilson"):
        ends = np.array([share_interval(Share(int(j), n), kind=kind) for j in k])
        shares = np.linspace(0.02, 0.98, 97)
        weight = chance * shares[:, None] ** k * (1 - shares[:, None]) ** (n - k)
        inside = (ends[:, 0] <= shares[:, None]) & (shares[:, None] <= ends[:, 1])
        covers[kind] = (weight * inside).sum(axis=1)
    assert covers["clopper_pearson"].min() >= 0.95
    assert covers["wilson"].mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("share", [Share(-1, 5), Share(6, 5), Share(0, 0)])
def test_impossible_counts_are_refused(share: Share):
    with pytest.raises(ValueError, match="must have 0 to n successes"):
        share_interval(share)
