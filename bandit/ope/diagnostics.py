"""Whether the log can tell what the target would earn, and why not."""

import math
from collections.abc import Mapping

import numpy as np

from bandit.ope.arrays import Floats
from bandit.ope.batch import LoggedBatch
from bandit.ope.contrast import disagreement
from bandit.ope.doubly import Dr
from bandit.ope.pareto import pareto_k
from bandit.ope.propensity_tests import PropensityTest, propensity_tests
from bandit.ope.value import CAUTION_ESS, CAUTION_SHARE, CAUTION_UNITS, LEAST_ESS, Verdict
from bandit.ope.weighting import Ips, Snips
from bandit.records import Record

LEAST_ESS_BOUNDED = 3.0
"""What is needed where the weight's bound is known: the interval then tells how little it is."""
REFUSE_SHARE = 0.5
CAUTION_K, REFUSE_K = 0.5, 0.7
CAUTION_DEFICIT, REFUSE_DEFICIT = 0.001, 0.1
CAUTION_P = 1e-3
REFUSE_P, REFUSE_GAP = 1e-9, 0.02
"""Ten million rows make any rounding significant: a refusal needs a gap of 2 % as well."""
CAUTION_SIGMAS = 2.0

REASONS: Mapping[str, str] = {
    "no_decisions": "no decision is left to judge by",
    "no_overlap": "the target would never have done what was logged",
    "one_unit": "all decisions are of one unit, so nothing tells how units vary",
    "low_ess": "the log is worth fewer than 30 decisions of the target's own (3 if bounded)",
    "one_decision_decides": "one decision holds half of the weight",
    "no_support": "the target puts over 10 % on actions that were never possible",
    "propensities_wrong": "the propensities can not be those the actions were drawn with",
    "thin_ess": "the log is worth fewer than 200 decisions of the target's own",
    "few_units": "fewer than 30 units",
    "heavy_weight": "one decision holds over a tenth of the weight",
    "heavy_tail": "the weights' tail index is above 0.5: errors are understated",
    "very_heavy_tail": "the weights' tail index is above 0.7: only bounded intervals hold",
    "thin_support": "the target puts weight on actions that were never possible",
    "propensities_off": "the propensities fit the draws badly",
    "clipping_matters": "the value moves by over 2 standard errors if the largest weights are cut",
    "estimators_disagree": "DR and SNIPS differ by over 2 standard errors of their difference",
    "weight_bound_unknown": "the greatest possible weight is not known: intervals are wider",
    "reward_range_unknown": "the possible rewards are not known: what was seen may be too narrow",
    "no_variance": "all rewards are equal, and no range says what else could have been",
}
"""What each code says."""


class Diagnostics(Record, frozen=True, kw_only=True):
    """What the log is worth for this target.

    Attributes:
        n, units_n: Decisions and units used.
        excluded: Rows left out, by reason.
        matched_n: Decisions where the target could have done the same.
        ess, ess_share: Effective sample size, and ÷ n.
        mean_weight: 1 for a correct log that covers the target.
        max_weight, max_weight_share: The greatest weight, and the greatest share that one decision
            has in all of it, as sampled.
        weight_bound: The greatest that could have been; None if unknown.
        tail_mass: Share of all weight in the largest 1 % of decisions.
        pareto_k: Tail index of the weights; None without a tail (ties).
        least_propensity: The least logged propensity.
        reward_range: As declared; None if unknown.
        support_deficit: The target's mean mass on actions of logged probability 0; None if unknown.
        overlap: Mean of Σ_a min(target, logged); None if unknown.
        clipping_z: Standard errors by which the value moves when the largest 1 % of the weights
            are cut to the next.
        disagreement_z: DR − SNIPS in their paired standard errors; None without a model.
        tests: Of the propensities.
        verdict: `ok`, `caution` or `refuse`.
        reasons: Codes of `REASONS`.
    """

    n: int
    units_n: int
    excluded: dict[str, int]
    matched_n: int
    ess: float
    ess_share: float
    mean_weight: float | None
    max_weight: float
    max_weight_share: float
    weight_bound: float | None
    tail_mass: float
    pareto_k: float | None
    least_propensity: float | None
    reward_range: tuple[float, float] | None
    support_deficit: float | None
    overlap: float | None
    clipping_z: float | None
    disagreement_z: float | None
    tests: tuple[PropensityTest, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


def diagnose(batch: LoggedBatch) -> Diagnostics:
    """Diagnostics and verdict of a batch.

    Source: effective sample size: Owen (2013), "Monte Carlo theory, methods and examples", eq.
    9.13; support: Sachdeva, Su, Joachims (2020), "Off-policy bandits with deficient support".

    >>> log = LoggedBatch.of(propensity=[0.5, 0.001] * 50, target=[0.01, 1.0] * 50,
    ...     reward=[0.0, 1.0] * 50, unit=["u1"] * 100)
    >>> found = diagnose(log)
    >>> found.verdict, found.reasons[:1]
    ('refuse', ('one_unit',))
    """
    weights, n = batch.weights, batch.n
    counted = weights if batch.sampling is None else weights * batch.sampling
    total = float(counted.sum())
    ess = effective_n(counted)
    deficit, overlap = support_of(batch)
    enough = n > 1 and total > 0.0 and batch.units_n > 1
    bound = batch.greatest_weight
    top = max(1, n // 100)
    parts = {
        "n": n,
        "units_n": batch.units_n if n else 0,
        "matched_n": int((weights > 0.0).sum()),
        "ess": ess,
        "ess_share": ess / n if n else 0.0,
        "mean_weight": float(np.average(weights, weights=batch.sampling)) if n else None,
        "max_weight": float(weights.max(initial=0.0)),
        "max_weight_share": float(counted.max(initial=0.0)) / total if total else 0.0,
        "weight_bound": bound if math.isfinite(bound) else None,
        "tail_mass": float(np.partition(counted, n - top)[-top:].sum()) / total if total else 0.0,
        "pareto_k": pareto_k(weights),
        "least_propensity": float(batch.propensity.min()) if n else None,
        "reward_range": batch.reward_range,
        "support_deficit": deficit,
        "overlap": overlap,
        "clipping_z": _clipping(batch) if enough else None,
        "disagreement_z": (
            disagreement(Dr().terms(batch), Snips().terms(batch), batch)
            if enough and batch.has_model
            else None
        ),
        "tests": propensity_tests(batch),
    }
    refusals, cautions = _refusals(parts), _cautions(parts, batch)
    verdict: Verdict = "refuse" if refusals else "caution" if cautions else "ok"
    return Diagnostics(
        excluded=dict(batch.excluded),
        verdict=verdict,
        reasons=(*refusals, *cautions),
        **parts,  # type: ignore[arg-type]
    )


def effective_n(weights: Floats) -> float:
    """(Σw)² ÷ Σw²: as many decisions of the target's own would tell as much."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def support_of(batch: LoggedBatch) -> tuple[float | None, float | None]:
    """The target's mean mass where nothing was logged, and mean Σ_a min(target, logged)."""
    if batch.target_pmf is None or batch.logged_pmf is None or not batch.n:
        return batch.support or (None, None)
    overlap = float(np.minimum(batch.target_pmf, batch.logged_pmf).sum()) / batch.n
    if batch.logged_pmf.min() > 0.0:
        return 0.0, overlap
    return float(batch.target_pmf[batch.logged_pmf == 0.0].sum()) / batch.n, overlap


def _clipping(batch: LoggedBatch) -> float:
    """By how many of its standard errors IPS moves if the largest 1 % of the weights are cut."""
    terms = Ips().terms(batch)
    error = terms.std_error
    clipped = Ips(clip=float(np.quantile(batch.weights, 0.99))).terms(batch)
    return abs(clipped.value - terms.value) / error if error > 0.0 else 0.0


def _refusals(parts: Mapping[str, object]) -> list[str]:
    """Codes for which no number is given."""
    if not parts["n"]:
        return ["no_decisions"]
    if not parts["matched_n"]:
        return ["no_overlap"]
    bounded = parts["weight_bound"] is not None
    checks = {
        "one_unit": _number(parts, "units_n") < 2,
        "low_ess": _number(parts, "ess") < (LEAST_ESS_BOUNDED if bounded else LEAST_ESS),
        "one_decision_decides": _number(parts, "n") > 2
        and _number(parts, "max_weight_share") >= REFUSE_SHARE,
        "no_support": _number(parts, "support_deficit") > REFUSE_DEFICIT,
        "propensities_wrong": _least_p(parts, REFUSE_GAP) < REFUSE_P,
    }
    return [code for code, found in checks.items() if found]


def _cautions(parts: Mapping[str, object], batch: LoggedBatch) -> list[str]:
    """Codes to read beside the number."""
    if not parts["matched_n"]:
        return []
    k, least_p = _number(parts, "pareto_k"), _least_p(parts)
    checks = {
        "thin_ess": _number(parts, "ess") < CAUTION_ESS,
        "few_units": _number(parts, "units_n") < CAUTION_UNITS,
        "heavy_weight": _number(parts, "max_weight_share") > CAUTION_SHARE,
        "heavy_tail": CAUTION_K < k <= REFUSE_K,
        "very_heavy_tail": k > REFUSE_K,
        "thin_support": _number(parts, "support_deficit") > CAUTION_DEFICIT,
        "propensities_off": least_p < CAUTION_P and _least_p(parts, REFUSE_GAP) >= REFUSE_P,
        "clipping_matters": _number(parts, "clipping_z") > CAUTION_SIGMAS,
        "estimators_disagree": _number(parts, "disagreement_z") > CAUTION_SIGMAS,
        "weight_bound_unknown": parts["weight_bound"] is None,
        "reward_range_unknown": parts["reward_range"] is None,
        "no_variance": parts["reward_range"] is None and not np.ptp(batch.reward),
    }
    return [code for code, found in checks.items() if found]


def _number(parts: Mapping[str, object], name: str) -> float:
    """A part as a number; 0 where it is not known."""
    value = parts[name]
    return float(value) if isinstance(value, int | float) else 0.0


def _least_p(parts: Mapping[str, object], gap: float = 0.0) -> float:
    """The least p-value of the propensity tests that are off by more than a share."""
    tests = parts["tests"]
    assert isinstance(tests, tuple)
    off = [t for t in tests if abs(t.observed - t.expected) > gap * abs(t.expected)]
    return min((test.p_value for test in off), default=1.0)
