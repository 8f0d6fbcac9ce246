"""Regression adjustment from unit rows, with standard errors that need more than moments."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.errors import RecordError
from bandit.stats.effect import Reason
from bandit.stats.estimate import Estimate, beside
from bandit.stats.joint import JointMoments, to_matrix
from bandit.stats.linear import mean_of

Floats = npt.NDArray[np.float64]
Errors = Literal["classical", "HC0", "HC1", "HC2", "HC3"]
"""How the squares of residuals e become an error; h is a unit's leverage, p the coefficients.

* `classical`: one variance for all units, Σe²/(n − p).
* `HC0`: each unit's own e²; too small in small samples.
* `HC1`: HC0 · n/(n − p).
* `HC2`: e²/(1 − h); without covariates it is Welch's variance, digit for digit.
* `HC3`: e²/(1 − h)²; the widest, near the jackknife.
"""
_RANK = 1e-10
"""Directions of the covariates with less than this share of the largest are taken as none."""
_NOTHING = 1e-24
"""Share of the metric's squares below which residuals are rounding."""


def regression_of(
    *variants: npt.ArrayLike, errors: Errors = "HC2", interacted: bool = False
) -> Estimate:
    """Means of the variants at one common value of the covariates, by least squares over units.

    y = mean_variant + θ'(x − x̄) (or θ_variant with `interacted`), x̄ over all units. The estimates
    are `cuped`'s with slopes `within` (`per_arm`), which needs moments only; its robust errors
    need every unit's residual and leverage, that is, rows.

    Args:
        *variants: Rows of units, the control's first, each `(n, 1 + d)`: metric, then covariates.
        errors: Which standard errors.
        interacted: Each variant its own slopes (Lin).

    Returns:
        What every test takes, with the plain means beside it as `unadjusted`; its df are n − p
        (statsmodels judges robust errors by the normal distribution: `method="z"`).

    Raises:
        RecordError: Rows are not alike in shape, or not finite.

    Source: White (1980), "A heteroskedasticity-consistent covariance matrix estimator", eq. 6;
    MacKinnon, White (1985), "Some heteroskedasticity-consistent covariance matrix estimators with
    improved finite sample properties"; interacted: Lin (2013), "Agnostic notes on regression
    adjustments to experimental data", sec. 4.

    >>> from bandit.stats.fixed import compare
    >>> control = [[3.0, 1.0], [5.0, 2.0], [4.0, 2.0], [8.0, 4.0]]
    >>> treated = [[5.0, 2.0], [6.0, 1.0], [9.0, 4.0], [7.0, 3.0]]
    >>> r = compare(regression_of(control, treated, errors="HC3"))
    >>> f"{r.effect:.3f} ± {r.std_error:.3f}, p = {r.p_value:.3f}, df = {r.df:.0f}"
    '1.404 ± 0.968, p = 0.207, df = 5'
    """
    tables = _tables(variants)
    plain = mean_of().estimate(*(JointMoments.of_columns(table[:, 0]) for table in tables))
    if any(not len(table) for table in tables):
        return plain
    fit = _fit(tables, interacted)
    n, k = sum(map(len, tables)), len(tables)
    reason = _reason(fit, n, k, errors)
    if reason is not None:
        return _without(plain, reason)
    done = Estimate(
        n=plain.n,
        values=tuple((fit.center + fit.values).tolist()),
        covariance=to_matrix(_covariance(fit, n, errors)),
        dfs=tuple(float(max(size - 1, 1)) for size in plain.n),
        df=float(n - fit.rank),
        kind="regression",
    )
    return done if tables[0].shape[1] == 1 else beside(done, plain)


class _Fit(NamedTuple):
    """Least squares: coefficients of the variants, and what their errors are made of.

    Attributes:
        center: What was taken off the metric.
        values: Of the variants at the covariates' mean, less `center`, `(k,)`.
        residuals: `(n,)`.
        leverage: `(n,)`, in [0, 1].
        influence: How each unit's metric moves the values, `(n, k)`.
        rank: Coefficients that the rows tell.
        known: Whether the values are among them.
    """

    center: float
    values: Floats
    residuals: Floats
    leverage: Floats
    influence: Floats
    rank: int
    known: bool


def _tables(variants: Sequence[npt.ArrayLike]) -> list[Floats]:
    tables = [np.asarray(rows, dtype=np.float64) for rows in variants]
    if len(tables) < 2 or any(
        table.ndim != 2 or table.shape[1:] != tables[0].shape[1:] or not table.shape[1]
        for table in tables
    ):
        shapes = [table.shape for table in tables]
        raise RecordError(f"rows have shapes {shapes}, must be two or more of (n, 1 + d), alike")
    if not all(np.isfinite(table).all() for table in tables):
        raise RecordError("rows hold what is not finite, must be finite")
    return tables


def _fit(tables: Sequence[Floats], interacted: bool) -> _Fit:
    """By singular values of the centred, scaled columns, so that means of 1e9 cost no digits."""
    rows, k = np.concatenate(tables), len(tables)
    own = np.repeat(np.eye(k), [len(table) for table in tables], axis=0)
    center = float(rows[0, 0])
    y = rows[:, 0] - center
    x = rows[:, 1:] - rows[0, 1:]
    x = x - x.mean(axis=0)
    spread = np.sqrt((x**2).mean(axis=0))
    x = x / np.where(spread > 0.0, spread, 1.0)
    if interacted:
        x = np.concatenate([own[:, [j]] * x for j in range(k)], axis=1)
    left, sizes, right = np.linalg.svd(np.concatenate([own, x], axis=1), full_matrices=False)
    rank = int((sizes > _RANK * sizes[0]).sum())
    left, sizes, right = left[:, :rank], sizes[:rank], right[:rank]
    influence = (left / sizes) @ right[:, :k]
    residuals = y - left @ (left.T @ y)
    if residuals @ residuals <= _NOTHING * (y @ y):
        residuals = np.zeros_like(y)
    return _Fit(
        center=center,
        values=influence.T @ y,
        residuals=residuals,
        leverage=(left**2).sum(axis=1),
        influence=influence,
        rank=rank,
        known=bool(np.allclose(right[:, :k].T @ right, np.eye(k, right.shape[1]), atol=1e-6)),
    )


def _reason(fit: _Fit, n: int, k: int, errors: Errors) -> Reason | None:
    """Why there is no covariance."""
    if n <= k:
        return "one_unit"
    if not fit.known or n <= fit.rank:
        return "not_identified"
    if (fit.residuals == 0.0).all():
        return "no_variance"
    # A unit that alone decides a coefficient has no residual to tell its error by.
    if errors in ("HC2", "HC3") and fit.leverage.max() > 1.0 - 1e-9:
        return "not_identified"
    return None


def _without(plain: Estimate, reason: Reason) -> Estimate:
    return Estimate(
        n=plain.n,
        values=plain.values,
        covariance=None,
        dfs=plain.dfs,
        kind="regression",
        reason=plain.reason or reason,
    )


def _covariance(fit: _Fit, n: int, errors: Errors) -> Floats:
    """Σ e²·a a' over units, a a unit's influence; corrected as `errors` says."""
    squares = fit.residuals**2
    if errors == "classical":
        squares = np.full(n, squares.sum() / (n - fit.rank))
    elif errors == "HC1":
        squares = squares * (n / (n - fit.rank))
    elif errors == "HC2":
        squares = squares / (1.0 - fit.leverage)
    elif errors == "HC3":
        squares = squares / (1.0 - fit.leverage) ** 2
    covariance: Floats = (fit.influence.T * squares) @ fit.influence
    return covariance
