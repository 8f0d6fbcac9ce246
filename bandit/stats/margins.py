"""Not worse by a margin, by any test: the null value moves to the margin, the intervals stay."""

import math
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from bandit.stats.effect import Alternative, Effect
from bandit.stats.estimate import Estimate
from bandit.stats.fixed import Margin
from bandit.stats.joint import to_matrix

Better = Literal["higher", "lower"]
OneSided = Callable[[Estimate, Alternative], Effect]
"""A test that looks to one side: `compare`, `compare_anytime` or `compare_planned`, say."""


def shifted(estimate: Estimate, margin: Margin, better: Better = "higher") -> Estimate:
    """The estimate with the control at the worst value that still counts as alike.

    Its effect is treatment − (control ∓ margin); of a relative margin treatment − ρ·control, with
    the control's error in it, so a test of 0 is the test of the margin.

    Args:
        estimate: Of a pair.
        margin: How much worse still counts as alike.
        better: Which direction of the metric is good.

    Source: Wellek (2010), "Testing statistical hypotheses of equivalence and noninferiority",
    ch. 2; relative margins: Hasler (2012), "Multiple comparisons to both a negative and a positive
    control", eq. 3.

    >>> e = Estimate(n=(900, 900), values=(10.0, 9.9), covariance=((0.004, 0.0), (0.0, 0.004)),
    ...              dfs=(899.0, 899.0), kind="mean")
    >>> moved = shifted(e, Margin(0.03, "relative"))
    >>> f"{moved.effect:.2f} ± {moved.std_error:.4f}"
    '0.20 ± 0.0881'
    """
    control, *others = estimate.values
    if control is None:
        return estimate
    ahead = -1.0 if better == "higher" else 1.0
    ratio, step = 1.0, ahead * margin.value
    if margin.scale == "relative":
        ratio, step = 1.0 + math.copysign(1.0, control) * ahead * margin.value, 0.0
    covariance, own = estimate.covariance, estimate.own
    if covariance is not None:
        table = np.array(covariance)
        table[0, :] *= ratio
        table[:, 0] *= ratio
        covariance = to_matrix(table)
    return msgspec.structs.replace(
        estimate,
        values=(ratio * control + step, *others),
        covariance=covariance,
        own=None if own is None else (ratio**2 * own[0], *own[1:]),
        unadjusted=None,
    )


def not_worse(
    test: OneSided, estimate: Estimate, margin: Margin, better: Better = "higher"
) -> Effect:
    """Is the treatment not worse than the control by `margin`? As `test` judges it.

    `non_inferiority` for tests that may be looked at early: with `compare_anytime` the answer may
    be watched. It is not inferior where the bad end of the one-sided interval is inside the margin,
    which is where p is at most alpha.

    Args:
        test: Looks to the side it is told.
        estimate: Of a pair.
        margin: How much worse still counts as alike.
        better: Which direction of the metric is good.

    >>> from functools import partial
    >>> from bandit.stats.sequential import compare_anytime
    >>> e = Estimate(n=(9000, 9000), values=(10.0, 9.98), dfs=(8999.0, 8999.0), kind="mean",
    ...              covariance=((0.004, 0.0), (0.0, 0.004)))
    >>> r = not_worse(lambda e, side: compare_anytime(e, alternative=side), e,
    ...               Margin(0.03, "relative"))
    >>> f"p = {r.p_value:.4f}, relative effect above {r.relative_ci_low:.2%}"
    'p = 0.0198, relative effect above -2.72%'
    """
    side: Alternative = "greater" if better == "higher" else "less"
    plain, moved = test(estimate, side), test(shifted(estimate, margin, better), side)
    size = margin.value
    if margin.scale == "relative":
        size *= abs(estimate.values[0] or 0.0)
    return msgspec.structs.replace(
        plain,
        hypothesis="non_inferiority",
        margin=margin.value,
        margin_scale=margin.scale,
        null_value=-size if better == "higher" else size,
        statistic=moved.statistic,
        df=moved.df,
        p_value=moved.p_value,
    )
