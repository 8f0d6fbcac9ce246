"""Sample-ratio mismatch: did as many units arrive in each variant as were sent there?"""

from collections.abc import Mapping
from typing import Literal

from scipy.special import chdtrc

from bandit.errors import RecordError
from bandit.records import Record

ALARM = 0.001
"""Checked daily for four weeks, p < .001 alarms in 0.9 % of healthy experiments; .05 in 28 %."""


class Srm(Record, frozen=True, kw_only=True):
    """Units seen per variant against units expected.

    Attributes:
        observed: Units per variant.
        expected: What the allocation says of the same total.
        statistic: Chi-square; None where nothing could be tested.
        df: Variants with a share above 0, less one.
        p_value: Of the split being as allocated.
        verdict: `fine`, `mismatch` (do not trust the effects), or `unknown` with a reason.
        reason: `no_units`, `few_units` (an expected count is below 5), `one_variant`, or
            `unallocated_units` (units in a variant that owns no bucket).
    """

    observed: dict[str, int]
    expected: dict[str, float]
    statistic: float | None = None
    df: int | None = None
    p_value: float | None = None
    verdict: Literal["fine", "mismatch", "unknown"]
    reason: str | None = None


def srm(observed: Mapping[str, int], shares: Mapping[str, float]) -> Srm:
    """Pearson's chi-square of unit counts against the allocation.

    The counts are of *units*, whose variant a bandit can not touch: of decisions or exposures, the
    same test would alarm in every healthy run.

    Args:
        observed: Units per variant; a variant that is missing has 0, and is still tested.
        shares: Weight of each variant's allocation, ≥ 0, in any scale. A variant with share 0
            gives no degree of freedom, and units in it are a mismatch for certain.

    Raises:
        RecordError: A share is negative, or all are 0.

    Source: Pearson (1900); Fabijan et al. (2019), "Diagnosing sample ratio mismatch in online
    controlled experiments".

    >>> srm({"control": 5300, "treatment": 4700}, {"control": 1, "treatment": 1}).p_value
    1.97317529...e-09
    """
    weight = sum(shares.values())
    if weight <= 0.0 or min(shares.values()) < 0.0:
        raise RecordError(f"shares are {dict(shares)}, must be at least 0 and not all 0")
    counts = {key: observed.get(key, 0) for key in [*shares, *(set(observed) - set(shares))]}
    total = sum(counts.values())
    expected = {key: total * shares.get(key, 0.0) / weight for key in counts}
    known = Srm(observed=counts, expected=expected, verdict="unknown")
    tested = [key for key, count in expected.items() if shares.get(key, 0.0) > 0.0]
    if any(counts[key] for key in counts if key not in tested):
        return _answer(known, verdict="mismatch", reason="unallocated_units")
    if total == 0:
        return _answer(known, reason="no_units")
    if len(tested) < 2:
        return _answer(known, reason="one_variant")
    if min(expected[key] for key in tested) < 5.0:
        return _answer(known, reason="few_units")
    statistic = sum((counts[key] - expected[key]) ** 2 / expected[key] for key in tested)
    df = len(tested) - 1
    p_value = float(chdtrc(df, statistic))
    return Srm(
        observed=counts,
        expected=expected,
        statistic=statistic,
        df=df,
        p_value=p_value,
        verdict="mismatch" if p_value < ALARM else "fine",
    )


def _answer(known: Srm, *, verdict: Literal["mismatch", "unknown"] = "unknown", reason: str) -> Srm:
    return Srm(observed=known.observed, expected=known.expected, verdict=verdict, reason=reason)
