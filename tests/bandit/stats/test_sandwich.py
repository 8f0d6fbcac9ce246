import itertools

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.stats.covariates import Cuped, cuped
from bandit.stats.estimate import Estimate
from bandit.stats.fixed import compare
from bandit.stats.joint import JointMoments
from bandit.stats.linear import mean_of
from bandit.stats.sandwich import Errors, regression_of
from tests.bandit.stats.test_peers import PEERS

ALL: list[Errors] = ["classical", "HC0", "HC1", "HC2", "HC3"]


def rows_of(seed: int, *sizes: int, d: int = 2, offset: float = 0.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    tables = [rng.normal(size=(n, 1 + d)) * (1.0 + 0.5 * j) for j, n in enumerate(sizes)]
    for j, table in enumerate(tables):
        table[:, 0] += table[:, 1:].sum(axis=1) + 0.3 * j + offset
    return tables


def textbook(rows: list[np.ndarray], errors: Errors) -> tuple[float, float]:
    """Coefficient of the treatment and its error by (X'X)^-1 alone."""
    y = np.concatenate([table[:, 0] for table in rows])
    arm = np.repeat([0.0, 1.0], [len(table) for table in rows])
    x = np.column_stack([np.ones_like(y), arm, np.concatenate(rows)[:, 1:]])
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    e, h = y - x @ beta, np.einsum("ij,jk,ik->i", x, inverse, x)
    n, p = x.shape
    weight = {
        "classical": np.full(n, e @ e / (n - p)),
        "HC0": e**2,
        "HC1": e**2 * n / (n - p),
        "HC2": e**2 / (1 - h),
        "HC3": e**2 / (1 - h) ** 2,
    }[errors]
    covariance = inverse @ (x.T * weight) @ x @ inverse
    return float(beta[1]), float(np.sqrt(covariance[1, 1]))


@pytest.mark.parametrize("errors", ALL)
def test_it_is_the_textbooks_regression(errors: Errors):
    for seed, sizes in enumerate([(4, 5), (30, 8), (200, 300)]):
        rows = rows_of(seed, *sizes)
        found = regression_of(*rows, errors=errors)
        assert (found.effect, found.std_error) == pytest.approx(textbook(rows, errors), rel=1e-9)


def test_without_covariates_hc2_is_welchs_variance():
    rows = rows_of(1, 12, 40, d=0)
    moments = [JointMoments.of_columns(table[:, 0]) for table in rows]
    plain = mean_of().estimate(*moments)
    assert regression_of(*rows, errors="HC2").std_error == pytest.approx(plain.std_error, rel=1e-12)


@pytest.mark.parametrize(("slopes", "interacted"), [("within", False), ("per_arm", True)])
def test_its_classical_errors_are_those_from_moments(slopes, interacted):
    rows = rows_of(2, 80, 60, 70, offset=20.0)
    how = Cuped(slopes=slopes, variance="common", keep_worse=True)
    moments = [JointMoments.of_columns(*table.T) for table in rows]
    of_moments = cuped(mean_of(0, covariates=[1, 2]), *moments, how=how)
    of_rows = regression_of(*rows, errors="classical", interacted=interacted)
    for a, b in itertools.pairwise([0, 1, 2]):
        one, other = compare(of_moments.pair(a, b)), compare(of_rows.pair(a, b))
        for name in ("effect", "effect_ci_low", "p_value", "df", "relative_ci_high"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9), name
        assert one.variance_reduction == pytest.approx(other.variance_reduction, rel=1e-9)


def test_hc3_is_statsmodels():
    # regadj_ancova1_HC3_sm: statsmodels 0.15.0, ols('y ~ w + x1').fit(cov_type='HC3')
    data = PEERS["datasets"]["multicov"]["data"]
    rows = [np.column_stack([data[arm]["y"], data[arm]["x1"]]) for arm in ("control", "treatment")]
    found = compare(regression_of(*rows, errors="HC3"), method="z")
    assert found.effect == pytest.approx(0.8941833391369658, rel=1e-8)
    assert found.std_error == pytest.approx(0.2062793602042853, rel=1e-8)
    assert found.p_value == pytest.approx(1.458812301628525e-05, rel=1e-8)
    assert found.effect_ci_low == pytest.approx(0.48988322238260174, rel=1e-8)
    assert found.effect_ci_high == pytest.approx(1.2984834558913299, rel=1e-8)


@pytest.mark.parametrize("errors", ALL)
def test_a_huge_mean_and_covariates_of_any_scale_cost_no_digits(errors: Errors):
    rows = rows_of(3, 50, 60)
    far = [table * [1.0, 1e-6, 1e7] + [1e9, 1e9, -1e12] for table in rows]
    # What is left of the rows at 1e9 is exact to 1e-7.
    near = [(table - [1e9, 1e9, -1e12]) / [1.0, 1e-6, 1e7] for table in far]
    assert regression_of(*far, errors=errors).std_error == pytest.approx(
        regression_of(*near, errors=errors).std_error, rel=1e-6
    )


def why(*rows: object, errors: Errors = "HC2") -> str | None:
    found: Estimate = regression_of(*rows, errors=errors)
    assert found.usable == (found.reason is None)
    return found.reason


def test_what_can_not_be_given_has_a_reason():
    some = [[1.0, 2.0], [2.0, 1.0], [4.0, 5.0]]
    assert why(np.empty((0, 2)), some) == "empty_variant"
    assert why([[1.0, 2.0]], [[2.0, 3.0]]) == "one_unit"
    assert why([[1.0, 0.0], [2.0, 0.0]], [[3.0, 1.0], [5.0, 1.0]]) == "not_identified"
    assert why([[1.0, 2.0]], some) == "one_unit"
    assert why([[1.0, 2.0], [1.0, 3.0]], [[1.0, 5.0], [1.0, 9.0]]) == "no_variance"
    assert why([[2.0, 2.0], [3.0, 3.0]], [[5.0, 5.0], [9.0, 9.0]]) == "no_variance"


def test_a_variant_of_one_unit_borrows_the_others_spread_where_the_errors_allow_it():
    some = [[1.0, 2.0], [2.0, 1.0], [4.0, 5.0], [3.0, 3.5]]
    assert why([[1.0, 2.0]], some, errors="classical") is None


def test_a_covariate_that_says_nothing_new_changes_nothing():
    rows = rows_of(4, 20, 30, d=1)
    copied = [
        np.column_stack([table, 3.0 * table[:, 1], np.full(len(table), 7.0)]) for table in rows
    ]
    one, other = regression_of(*rows), regression_of(*copied)
    assert (one.effect, one.std_error, one.df) == pytest.approx(
        (other.effect, other.std_error, other.df), rel=1e-9
    )


@pytest.mark.parametrize("rows", [([[1.0]],), ([1.0], [2.0]), ([[1.0]], [[1.0, 2.0]])])
def test_rows_of_other_shapes_are_refused(rows):
    with pytest.raises(RecordError, match="must be two or more of"):
        regression_of(*rows)


def test_rows_that_are_no_numbers_are_refused():
    with pytest.raises(RecordError, match="must be finite"):
        regression_of([[1.0], [float("nan")]], [[1.0], [2.0]])
