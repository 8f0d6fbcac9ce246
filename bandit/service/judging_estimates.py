"""One metric of two variants: kept numbers → what every test takes; pure."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bandit.specs import Metric
from bandit.stats import (
    Estimate,
    Estimator,
    JointMoments,
    Linear,
    Share,
    adjust,
    capped,
    estimate_of,
    mean_of,
    proportion_of,
    quantile_of,
    ratio_of,
)
from bandit.stats.linear import Part
from bandit.store.numbers import MetricNumbers

SHARES = ("proportion", "retention")
"""Types whose unit number is 0 or 1."""


class Comparison(NamedTuple):
    """One metric of a treatment and the control.

    Attributes:
        metric: Its declaration.
        numbers: Of all variants.
        control, treatment: Keys of the two.
    """

    metric: Metric
    numbers: MetricNumbers
    control: str
    treatment: str

    @property
    def keys(self) -> tuple[str, str]:
        """Control and treatment."""
        return self.control, self.treatment

    def moments(self) -> list[JointMoments]:
        """Of the two variants; of no rows where one has nothing."""
        none = JointMoments.none(len(self.numbers.columns))
        return [self.numbers.by_variant.get(key, none) for key in self.keys]

    def count(self, field: str) -> int:
        """A count of both variants: `unripe_n`, say."""
        counts: dict[str, int] = getattr(self.numbers, field)
        return sum(counts.get(key, 0) for key in self.keys)

    def shares(self) -> tuple[Share, Share] | None:
        """Successes and units, of a metric that has them; None if a variant has no unit."""
        moments = self.moments()
        if self.metric.type not in SHARES or not all(found.n for found in moments):
            return None
        at = self.numbers.columns.index("value")
        control, treatment = (Share(round(m.means[at] * m.n), m.n) for m in moments)
        return control, treatment

    def estimate(self) -> Estimate:
        """With covariates and cap, and beside it what it was without each.

        A comparison depends on its two variants only: another treatment, or its lack of units,
        changes nothing.
        """
        if self.metric.type == "quantile":
            return estimate_of(*(self._quantile(key) for key in self.keys))
        moments = self.moments()
        covariates, left_out = self._covariates(moments)
        estimator = self._estimator("value", covariates)
        estimate = estimator.estimate(*moments)
        if covariates:
            whole = moments[0] + moments[1]
            estimate = adjust([estimator.linear(m) for m in moments], estimator.linear(whole))
        if left_out:
            warnings = (*estimate.warnings, "covariates_do_not_vary")
            estimate = msgspec.structs.replace(estimate, warnings=tuple(dict.fromkeys(warnings)))
        return self._with_cap(estimate, moments)

    def _estimator(self, column: str, covariates: Sequence[Part] = ()) -> Estimator:
        """Of the metric's type, with the covariates."""
        at = self.numbers.columns.index
        if self.metric.type == "ratio":
            estimator = ratio_of(at(column), at("denominator"))
        elif self.metric.type in SHARES:
            estimator = proportion_of(at(column))
        else:
            estimator = mean_of(at(column))
        return msgspec.structs.replace(estimator, covariates=tuple(covariates))

    def _covariates(self, moments: Sequence[JointMoments]) -> tuple[list[Part], bool]:
        """The covariates' columns, and whether one had to be left out: nothing came before."""
        columns = self.numbers.columns
        over = None
        if "covariate_denominator" in columns:
            over = columns.index("covariate_denominator")
        parts, left_out = [], False
        for place, name in enumerate(columns):
            if name == "covariate" and over is not None:
                if any(found.n and not found.means[over] for found in moments):
                    left_out = True
                    continue
                parts.append(Part(column=place, over=over))
            elif name == "covariate" or name.startswith("covariate:"):
                parts.append(Part(column=place))
        return parts, left_out

    def _with_cap(self, estimate: Estimate, moments: Sequence[JointMoments]) -> Estimate:
        """The cap, and the uncapped estimate beside it, below the one without covariates."""
        cap = self.numbers.cap
        if cap is None or "uncapped" not in self.numbers.columns:
            return estimate
        uncapped = self._estimator("uncapped").estimate(*moments)
        if estimate.unadjusted is None:
            return capped(estimate, uncapped, cap)
        plain = capped(estimate.unadjusted, uncapped, cap)
        return msgspec.structs.replace(estimate, cap=cap, unadjusted=plain)

    def _quantile(self, key: str) -> Linear:
        sample = self.numbers.orders.get(key)
        if sample is None:
            return Linear(
                n=0, value=None, covariance=None, df=0.0, kind="quantile", reason="empty_variant"
            )
        return quantile_of(sample)
