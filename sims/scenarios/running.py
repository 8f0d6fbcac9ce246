"""Two variants watched unit by unit: where a study has to look, and what our functions say there.

Thousands of paths times thousands of looks are too many calls. So running means and variances tell,
for all looks at once, at which a path is most extreme; there, and only there, the path's own rows
become `JointMoments` and the functions that reports use decide. If they found another statistic
than the one that chose the look, the study stops: the short cut would be no short cut.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.stats import Effect, Estimate, JointMoments, mean_of
from sims.scenarios.populations import Floats

MEAN = mean_of()


class Paths(NamedTuple):
    """Means and variances of the means after each pair of units, `(paths, looks)`.

    Attributes:
        first: Pairs at the first look; the others follow pair by pair.
        control, treatment: Running means.
        control_variance, treatment_variance: Of the running *means*.
    """

    first: int
    control: Floats
    treatment: Floats
    control_variance: Floats
    treatment_variance: Floats

    @classmethod
    def of(cls, control: Floats, treatment: Floats, first: int) -> "Paths":
        """Running means of units that arrive in pairs, `(paths, pairs)` each."""
        (mean_c, variance_c), (mean_t, variance_t) = (
            _running(rows, first) for rows in (control, treatment)
        )
        return cls(first, mean_c, mean_t, variance_c, variance_t)

    @property
    def statistic(self) -> Floats:
        """|treatment − control| in standard errors; 0 where nothing varies yet."""
        return _over(
            np.abs(self.treatment - self.control), self.control_variance + self.treatment_variance
        )

    @property
    def delta_statistic(self) -> Floats:
        """|treatment ÷ control − 1| in standard errors of the ratio by the delta method."""
        ratio = np.divide(
            self.treatment,
            self.control,
            out=np.full_like(self.control, np.inf),
            where=self.control != 0.0,
        )
        # Where the control is 0 there is no ratio, so no statistic: its variance is taken as inf.
        with np.errstate(invalid="ignore"):
            variance = self.treatment_variance + np.nan_to_num(
                self.control_variance * ratio**2, nan=np.inf
            )
        return _over(np.abs(self.treatment - self.control), variance)


def most_extreme(statistic: Floats, critical: Floats) -> NDArray[np.int_]:
    """The look of each path at which its statistic is farthest beyond the critical values."""
    found: NDArray[np.int_] = np.argmax(statistic / critical, axis=1)
    return found


def estimate_at(control: Floats, treatment: Floats, pairs: int) -> Estimate:
    """What an estimator gives of the first pairs of one path: from rows to moments to estimate."""
    return MEAN.estimate(
        JointMoments.of_columns(control[:pairs]), JointMoments.of_columns(treatment[:pairs])
    )


def judged_at(
    control: Floats,
    treatment: Floats,
    paths: Paths,
    looks: NDArray[np.int_],
    compare: Callable[[Estimate], Effect],
) -> list[Effect]:
    """What `compare` says of every path at the look chosen for it.

    Raises:
        ArithmeticError: Its statistic is not the one that the look was chosen by.
    """
    statistic, effects = paths.statistic, []
    for path, look in enumerate(looks):
        effect = compare(estimate_at(control[path], treatment[path], paths.first + int(look)))
        check_statistic(effect, float(statistic[path, look]))
        effects.append(effect)
    return effects


def check_statistic(effect: Effect, expected: float) -> None:
    """Refuse a statistic that a running sum did not foresee."""
    seen = abs(effect.statistic or 0.0)
    if effect.reason is None and not math.isclose(seen, expected, rel_tol=1e-6, abs_tol=1e-6):
        raise ArithmeticError(f"statistic is {seen!r}, must be {expected!r}, as its running sums")


def leaves_out(low: float | None, high: float | None, value: float = 0.0) -> bool:
    """Whether an interval does not hold `value`; one that was not given holds everything."""
    return (low is not None and low > value) or (high is not None and high < value)


def _running(rows: Floats, first: int) -> tuple[Floats, Floats]:
    # Around each path's first value, so that few digits are lost.
    start = rows[:, :1]
    n = np.arange(first, rows.shape[1] + 1, dtype=np.float64)
    moved = rows - start
    means = np.cumsum(moved, axis=1)[:, first - 1 :] / n
    squares = np.cumsum(moved**2, axis=1)[:, first - 1 :] / n
    return start + means, np.maximum(squares - means**2, 0.0) / (n - 1.0)


def _over(difference: Floats, square: Floats) -> Floats:
    """Difference ÷ √square, 0 where the square is 0."""
    root = np.sqrt(square)
    return np.divide(difference, root, out=np.zeros_like(difference), where=root > 0.0)
