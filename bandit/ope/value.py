"""What a policy would have earned, and whether the log can tell: one flat record."""

from typing import Literal

from bandit.records import Record

Verdict = Literal["ok", "caution", "refuse"]

LEAST_ESS = 30.0
CAUTION_ESS = 200.0
"""Below it "95 %" intervals have covered 28 to 80 % (ε-greedy log, deterministic target)."""
CAUTION_UNITS = 30
CAUTION_SHARE = 0.1
CAUTION_SIGMAS = 3.0


class Value(Record, frozen=True, kw_only=True):
    """The reward per decision that a policy would have earned on logged traffic.

    Attributes:
        policy: Whose value it is, the target policy.
        estimator: `ips` = Σwr ÷ n, `snips` = Σwr ÷ Σw.
        value: None when refused: no number is better than one that reads like an answer.
        ci_low, ci_high: Its 1 − alpha interval, t over units.
        anytime_ci_low, anytime_ci_high: The same for whoever looks again and again; None where
            nobody made it, or there are too few units.
        std_error: Of `value`, by the delta method over units.
        df: Degrees of freedom of the interval.
        alpha: 1 − the level.
        n, units_n: Decisions and units used.
        matched_n: Decisions where the target could have shown the same action.
        ess: Effective sample size.
        mean_weight: Σw ÷ n; 1 for a correct log that covers the target.
        max_weight: The greatest weight.
        verdict: `ok`, `caution` (read the reasons), `refuse` (the log can not tell).
        reasons: Codes. Refusals: `no_decisions`, `no_overlap` (every weight is 0), `low_ess`
            (below 30), `one_unit`. Cautions: `thin_ess` (below 200), `few_units` (below 30),
            `heavy_weight` (one decision has over 10 % of the weight), `weights_off_one` (the mean
            weight is over 3 standard errors from 1: wrong propensities, or actions that only the
            target would show), `no_variance` (nothing varies, so there is no interval).
    """

    policy: str
    estimator: Literal["ips", "snips"]
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    std_error: float | None = None
    df: float | None = None
    alpha: float
    n: int
    units_n: int
    matched_n: int
    ess: float
    mean_weight: float | None
    max_weight: float
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    anytime_ci_low: float | None = None
    anytime_ci_high: float | None = None
