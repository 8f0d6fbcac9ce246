"""Post-stratification: compare like with like, then average over the mix of units."""

from collections.abc import Sequence

import numpy as np

from bandit.errors import RecordError
from bandit.stats.effect import Reason
from bandit.stats.estimate import Estimate, beside
from bandit.stats.joint import to_matrix


def post_stratify(
    strata: Sequence[Estimate],
    *,
    weights: Sequence[float] | None = None,
    unadjusted: Estimate | None = None,
) -> Estimate:
    """Estimates of the variants at one common mix of strata.

    value = Σ_s w_s·value_s,  V = Σ_s w_s²·V_s [+ (Σ_s w_s·a_s a_s' − āā')/N],  a_s the stratum's
    values. The bracket is the mix's own sampling error and is there when the weights are estimated
    (w_s = n_s/N, the default); a known population mix has none. Units must have been in their
    stratum before they were exposed.

    Args:
        strata: An estimate per stratum, of the same variants; each may have its covariates.
        weights: Known share of each stratum; left out: its share of the units.
        unadjusted: The same metric over all units, to be shown beside it.

    Returns:
        The combined estimate; `not_identified` if a stratum that counts lacks a variant or has
        a single unit in one.

    Raises:
        RecordError: There are no strata, or weights that do not fit or are negative.

    Source: Miratrix, Sekhon, Yu (2013), "Adjusting treatment effect estimates by
    post-stratification in randomized experiments", eq. 2-3; weights' variance: Xie, Aurisset
    (2016), "Improving the sensitivity of online controlled experiments", eq. 6.

    >>> young = Estimate(n=(60, 40), values=(1.0, 2.0), covariance=((0.02, 0.0), (0.0, 0.03)),
    ...                  dfs=(59.0, 39.0), kind="mean")
    >>> old = Estimate(n=(40, 60), values=(5.0, 5.5), covariance=((0.03, 0.0), (0.0, 0.02)),
    ...                dfs=(39.0, 59.0), kind="mean")
    >>> both = post_stratify([young, old])
    >>> round(both.effect, 2), round(both.std_error, 4)
    (0.75, 0.1591)
    """
    shares = _shares(strata, weights)
    used = [(w, s) for w, s in zip(shares, strata, strict=True) if w > 0.0]
    k = len(strata[0].n)
    n = tuple(sum(s.n[j] for s in strata) for j in range(k))
    warnings = tuple(sorted({code for s in strata for code in s.warnings}))
    tables = [_values_and_covariance(s) for _, s in used]
    if any(table is None for table in tables) or not used:
        return _nothing(n, warnings, unadjusted)
    known = [table for table in tables if table is not None]
    w = np.array([weight for weight, _ in used])
    values = np.array([value for value, _ in known])
    average = w @ values
    within = np.einsum("s,sij->ij", w**2, np.array([c for _, c in known]))
    total = within
    if weights is None:
        off = values - average
        total = within + (off.T * w) @ off / sum(n)
    done = Estimate(
        n=n,
        values=tuple(average.tolist()),
        covariance=to_matrix(total) if total.any() else None,
        dfs=tuple(_df(used, known, j) for j in range(k)),
        kind="post_stratified",
        reason=None if total.any() else "no_variance",
        warnings=warnings,
    )
    return done if unadjusted is None else beside(done, unadjusted)


def _nothing(
    n: tuple[int, ...], warnings: tuple[str, ...], unadjusted: Estimate | None
) -> Estimate:
    reason: Reason = "empty_variant" if 0 in n else "not_identified"
    return Estimate(
        n=n,
        values=(None,) * len(n),
        covariance=None,
        dfs=tuple(float(size - 1) for size in n),
        kind="post_stratified",
        reason=reason,
        warnings=warnings,
        unadjusted=unadjusted,
    )


def _shares(strata: Sequence[Estimate], weights: Sequence[float] | None) -> list[float]:
    if not strata or any(len(s.n) != len(strata[0].n) for s in strata):
        raise RecordError("strata must be at least one, all of the same variants")
    raw = [float(sum(s.n)) for s in strata] if weights is None else [float(w) for w in weights]
    total = sum(raw)
    if len(raw) != len(strata) or min(raw) < 0.0 or (weights is not None and total <= 0.0):
        raise RecordError(f"weights are {raw}, must be {len(strata)} numbers ≥ 0, not all 0")
    return [w / total if total > 0.0 else 0.0 for w in raw]


def _values_and_covariance(
    stratum: Estimate,
) -> tuple[list[float], list[list[float]]] | None:
    """None if the stratum says nothing; a stratum without any spread is certain of its values."""
    values = [value for value in stratum.values if value is not None]
    k = len(stratum.n)
    if len(values) < k:
        return None
    if stratum.covariance is not None:
        return values, [list(row) for row in stratum.covariance]
    return (values, [[0.0] * k for _ in range(k)]) if stratum.reason == "no_variance" else None


def _df(
    used: Sequence[tuple[float, Estimate]],
    known: Sequence[tuple[list[float], list[list[float]]]],
    j: int,
) -> float:
    """Satterthwaite over the strata's own variances of variant j."""
    own = np.array([w**2 * c[j][j] for (w, _), (_, c) in zip(used, known, strict=True)])
    if own.sum() == 0.0:
        return float(sum(s.n[j] for _, s in used) - len(used))
    share = own / own.sum()
    terms = [a**2 / s.dfs[j] for a, (_, s) in zip(share, used, strict=True) if a > 0.0]
    return float(1.0 / sum(terms))
