"""Whether the logged propensities can be those the actions were drawn with."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from scipy.special import ndtr

from bandit.errors import RecordError
from bandit.ope.arrays import Floats
from bandit.ope.batch import LoggedBatch
from bandit.ope.terms import spread_of
from bandit.records import Record


class PropensityTest(Record, frozen=True, kw_only=True):
    """One identity of a correct log, and how far this log is from it.

    Attributes:
        name: `mean_weight` (E[w] = 1, less the mass without support), `inverse_propensity`
            (mean(1 ÷ p) = eligible actions), `arithmetic` (times an action was drawn = Σ of its
            probabilities), `harmonic` (Σ 1 ÷ p over the draws of an action = n).
        observed: What the log has; for the last two, of the worst action, as a ratio to expected.
        expected: What it should have.
        z: Standard errors between them.
        p_value: Two-sided; for the last two corrected for the number of actions.
        worst_action: Index, for the last two.
    """

    name: str
    observed: float
    expected: float
    z: float
    p_value: float
    worst_action: int | None = None


def propensity_tests(batch: LoggedBatch) -> tuple[PropensityTest, ...]:
    """The tests that this batch has the columns for.

    Normal approximations, so where few rows carry the sums they see little: `mean_weight` is off
    by 3 in the Open Bandit women's log without a low p-value, for one row is all of it.

    Source: Li et al. (2015), "Toward predicting the outcome of an A/B experiment for search
    relevance", section 3.4 (arithmetic and harmonic mean tests); London & Joachims (2022),
    "Control variate diagnostics for detecting problems in logged bandit feedback".
    """
    found = []
    if batch.n < 2 or batch.units_n < 2:
        return ()
    if batch.weights.any():
        found.append(_mean_test("mean_weight", batch.weights, _reachable(batch), batch))
    eligible = _eligible(batch)
    if eligible is not None:
        found.append(_mean_test("inverse_propensity", 1.0 / batch.propensity, eligible, batch))
    if batch.action is not None and batch.logged_pmf is not None:
        found += _action_tests(batch)
    return tuple(found)


def calibration_by(batch: LoggedBatch, label: Sequence[Any]) -> dict[Any, PropensityTest]:
    """The worst test of each part of the log, such as each snapshot's decisions.

    A whole log can look right while one snapshot logged what it did not draw from.

    Args:
        batch: The log.
        label: `(n,)` what each decision was drawn with: a policy's snapshot, a host …

    Returns:
        Label → the test with the least p-value, corrected for all tests of all parts; parts too
        small to test are not there.

    >>> draws = [0] * 90 + [1] * 110 + [0] * 190 + [1] * 10
    >>> log = LoggedBatch.of(propensity=[0.5] * 400, reward=[0] * 400, action=draws,
    ...     logged_pmf=[[0.5, 0.5]] * 400, target_pmf=[[0.5, 0.5]] * 400)
    >>> found = calibration_by(log, [7] * 200 + [8] * 200)
    >>> {snapshot: test.p_value < 0.001 for snapshot, test in found.items()}
    {7: False, 8: True}
    """
    names = np.asarray(label)
    if names.shape != (batch.n,):
        raise RecordError(f"label has shape {names.shape}, must be ({batch.n},)")
    tested = {
        name: tests
        for name in np.unique(names).tolist()
        if (tests := propensity_tests(batch.take(names == name)))
    }
    tests_n = sum(len(tests) for tests in tested.values())
    found = {}
    for name, tests in tested.items():
        worst = min(tests, key=lambda test: test.p_value)
        found[name] = msgspec.structs.replace(worst, p_value=min(1.0, worst.p_value * tests_n))
    return found


def _reachable(batch: LoggedBatch) -> float:
    """E[w]: the target's mean mass on actions that could be logged; 1 where that is unknown."""
    if batch.target_pmf is None or batch.logged_pmf is None:
        return 1.0
    if batch.logged_pmf.min() > 0.0:
        return 1.0
    missed = np.where(batch.logged_pmf > 0.0, 0.0, batch.target_pmf).sum(axis=1)
    return 1.0 - float(np.average(missed, weights=batch.sampling))


def _eligible(batch: LoggedBatch) -> float | None:
    """E[1 ÷ p]: the mean number of actions that could be drawn; None if unknown."""
    if batch.actions_n is not None:
        return float(np.average(batch.actions_n, weights=batch.sampling))
    if batch.logged_pmf is None:
        return None
    return float(np.average((batch.logged_pmf > 0.0).sum(axis=1), weights=batch.sampling))


def _mean_test(name: str, values: Floats, expected: float, batch: LoggedBatch) -> PropensityTest:
    mean = float(np.average(values, weights=batch.sampling))
    error = spread_of(values - mean, batch.sampling, batch.unit_code)
    z = _z(mean - expected, error, expected)
    return PropensityTest(
        name=name, observed=mean, expected=expected, z=z, p_value=2.0 * float(ndtr(-abs(z)))
    )


def _action_tests(batch: LoggedBatch) -> list[PropensityTest]:
    """Arithmetic and harmonic tests, each for the action that is worst off."""
    assert batch.action is not None
    assert batch.logged_pmf is not None
    pmf, k = batch.logged_pmf, batch.logged_pmf.shape[1]
    offered: Floats = (pmf > 0.0).sum(axis=0).astype(np.float64)
    drawn = np.bincount(batch.action, minlength=k).astype(np.float64)
    expected = pmf.sum(axis=0)
    variance = expected - np.einsum("nk,nk->k", pmf, pmf)
    inverse = np.bincount(batch.action, 1.0 / batch.propensity, minlength=k).astype(np.float64)
    inverse_variance = np.divide(1.0, pmf, out=np.ones_like(pmf), where=pmf > 0.0).sum(axis=0)
    inverse_variance -= len(pmf)
    return [
        _worst("arithmetic", drawn, expected, variance),
        _worst("harmonic", inverse, offered, inverse_variance),
    ]


def _worst(name: str, have: Floats, expected: Floats, variance: Floats) -> PropensityTest:
    z = np.divide(
        have - expected, np.sqrt(variance), out=np.zeros_like(have), where=variance > 1e-9
    )
    worst = int(np.argmax(np.abs(z)))
    ratio = float(have[worst] / expected[worst]) if expected[worst] > 0.0 else 1.0
    tests_n = max(1, int((variance > 1e-9).sum()))
    p_value = min(1.0, tests_n * 2.0 * float(ndtr(-abs(z[worst]))))
    return PropensityTest(
        name=name,
        observed=ratio,
        expected=1.0,
        z=float(z[worst]),
        p_value=p_value,
        worst_action=worst,
    )


def _z(gap: float, error: float, scale: float) -> float:
    """Gap ÷ error; rounding is no gap, and a gap without error is as far as a z goes."""
    if abs(gap) <= 1e-6 * abs(scale):
        return 0.0
    return gap / error if error > abs(gap) * 1e-3 else math.copysign(1e3, gap)
