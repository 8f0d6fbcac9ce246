"""Scores of an adaptive log, averaged at any look."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from bandit.records import Record
from bandit.stats.sequential.asymptotic import (
    TUNED_FOR,
    always_valid_p_value,
    critical_value,
    mixture_precision,
)
from bandit.stats.sequential.checks import check_above_zero, check_level

FIRST_DRAWS = 10.0
"""Draws that a mean of scores rests on before it has an interval. From 1 on, a sequence of what
Thompson sampling logged held in 78 % of runs at nominal 95 %: the variance that it goes by is still
to come. From 10 on it held in 97 %."""


class AnytimeMean(Record, frozen=True, kw_only=True):
    """A mean of scores with an interval that holds at every look.

    Attributes:
        n: Scores.
        effect: Their mean.
        effect_ci_low, effect_ci_high: None with a reason.
        std_error: Of the mean.
        p_value: Always valid, of a mean of 0.
        alpha: 1 − the level.
        reason: `few_units`, `no_variance`.
    """

    n: int
    effect: float
    effect_ci_low: float | None = None
    effect_ci_high: float | None = None
    std_error: float | None = None
    p_value: float | None = None
    alpha: float
    reason: Literal["few_units", "no_variance"] | None = None


def anytime_mean(
    scores: npt.ArrayLike,
    *,
    alpha: float = 0.05,
    tuned_for: float = TUNED_FOR,
    score_variance: float | None = None,
    first_look: int = 50,
    draws: float | None = None,
    exact: bool = True,
) -> AnytimeMean:
    """Mean of scores (one action's, or a difference of two) at a look that nobody planned.

    Scores need not be alike: it is enough that each has the wanted mean given the past.

    Args:
        scores: Column or difference of columns of `aipw_scores`, so far, `(n,)`.
        alpha: Chance that any interval of the sequence leaves out the mean.
        tuned_for: Decisions at which it is tightest.
        score_variance: A guess of one score's variance, made before the first look; the sequence
            then runs on variance instead of decisions, as an allocation that moves requires. None
            takes the variance so far.
        first_look: Looks before this many decisions answer `few_units`.
        draws: What the scores rest on: `effective_draws` of the action, the lesser of two actions'.
            Looks with fewer than `FIRST_DRAWS` answer `few_units`. None where every decision tells
            as much as another.
        exact: Exact tuning; False for the approximation.

    Source: Waudby-Smith et al. (2103.06476), eq. 9, and its Lyapunov form for scores that are not
    alike.

    >>> found = anytime_mean(np.resize([0.0, 1.0, 0.5, 0.2, 0.8], 1000), tuned_for=1000)
    >>> f"{found.effect:.2f} [{found.effect_ci_low:.3f}, {found.effect_ci_high:.3f}]"
    '0.50 [0.465, 0.535]'
    """
    check_level(alpha)
    s = np.asarray(scores, dtype=float)
    effect = float(s.mean()) if s.size else 0.0
    few = draws is not None and draws < FIRST_DRAWS
    if s.size < max(first_look, 2) or few:
        return AnytimeMean(n=s.size, effect=effect, alpha=alpha, reason="few_units")
    variance = float(s.var(ddof=1))
    if variance == 0.0:
        return AnytimeMean(n=s.size, effect=effect, alpha=alpha, reason="no_variance")
    if score_variance is not None:
        check_above_zero("score_variance", score_variance)
    units = s.size if score_variance is None else s.size * variance / score_variance
    precision = mixture_precision(tuned_for, alpha, exact=exact)
    std_error = math.sqrt(variance / s.size)
    reach = critical_value(units, alpha, precision) * std_error
    return AnytimeMean(
        n=s.size,
        effect=effect,
        effect_ci_low=effect - reach,
        effect_ci_high=effect + reach,
        std_error=std_error,
        p_value=always_valid_p_value(effect / std_error, units, precision),
        alpha=alpha,
    )
