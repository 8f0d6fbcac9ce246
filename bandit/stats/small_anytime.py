"""Two shares compared at any time, exactly: for counts too small for a normal approximation."""

import math
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlog1py, xlogy

from bandit.stats.effect import Alternative, Effect, Sequential
from bandit.stats.fixed import Margin
from bandit.stats.proportions import Share, check_share
from bandit.stats.sequential.checks import check_level
from bandit.stats.sequential.pair import one_side

Floats = NDArray[np.float64]

_POINTS = 161
_HALVINGS = 50
_ZOOMS = 3


def compare_shares_anytime(
    control: Share,
    treatment: Share,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> Effect:
    """Treatment − control of two shares at any look, exact for any counts.

    For each pair of true shares the product of both variants' beta-binomial martingales is one,
    too; the pairs where it is below 1/alpha are a confidence region at every look together. The
    intervals are the region's extent on either scale, p is 1 over the least value where the shares
    are equal: both scales and p decide alike, at every alpha.

    Args:
        control: Successes and units.
        treatment: The same.
        alpha: Chance that the region ever leaves out the truth.
        alternative: Which ends to give; each is that of the two-sided region.

    Source: Robbins (1970), "Statistical methods related to the law of the iterated logarithm",
    with Jeffreys' Beta(½, ½) as mixture; Howard, Ramdas, McAuliffe, Sekhon (2021), sec. 3.2.

    >>> r = compare_shares_anytime(Share(2, 1000), Share(40, 1000))
    >>> f"{r.effect:+.3f} [{r.effect_ci_low:.4f}, {r.effect_ci_high:.4f}], p = {r.p_value:.1e}"
    '+0.038 [0.0126, 0.0731], p = 7.8e-07'
    """
    region = _Region.of(control, treatment, alpha)
    low, high = one_side(*region.extent(relative=False), alternative)
    effect = treatment.rate - control.rate
    known = Effect(
        control=control.rate,
        treatment=treatment.rate,
        control_n=control.n,
        treatment_n=treatment.n,
        effect=effect,
        effect_ci_low=low,
        effect_ci_high=high,
        relative_effect=effect / control.rate if control.successes else None,
        relative_reason=None if control.successes else "control_is_zero",
        p_value=region.p_value(1.0, 0.0, alternative),
        method="beta_binomial_sequence",
        alpha=alpha,
        alternative=alternative,
        kind="proportion",
        sequential=Sequential(kind="confidence_sequence"),
    )
    if not control.successes:
        return known
    low, high = one_side(*region.extent(relative=True), alternative)
    return msgspec.structs.replace(known, relative_ci_low=low, relative_ci_high=high)


def shares_not_worse_anytime(
    control: Share,
    treatment: Share,
    margin: Margin,
    *,
    better: Literal["higher", "lower"] = "higher",
    alpha: float = 0.05,
) -> Effect:
    """Is the treatment's share not worse than the control's by `margin`? May be watched.

    p is 1 over the least value of the martingale where the treatment is worse by the margin.

    Args:
        control: Successes and units.
        treatment: The same.
        margin: In shares, or relative to the control's.
        better: Which direction is good.
        alpha: Chance that the answer is ever wrong.

    Source: as of `compare_shares_anytime`.

    >>> r = shares_not_worse_anytime(Share(2, 5000), Share(3, 5000), Margin(0.01), better="lower")
    >>> f"p = {r.p_value:.1e}, effect below {r.effect_ci_high:.4f}"
    'p = 3.1e-14, effect below 0.0039'
    """
    ahead = -1.0 if better == "higher" else 1.0
    side: Alternative = "greater" if better == "higher" else "less"
    slope, shift, size = 1.0, ahead * margin.value, margin.value
    if margin.scale == "relative":
        slope, shift, size = max(1.0 + ahead * margin.value, 0.0), 0.0, size * control.rate
    plain = compare_shares_anytime(control, treatment, alpha=alpha, alternative=side)
    return msgspec.structs.replace(
        plain,
        hypothesis="non_inferiority",
        margin=margin.value,
        margin_scale=margin.scale,
        null_value=ahead * size,
        p_value=_Region.of(control, treatment, alpha).p_value(slope, shift, side),
    )


class _Arm(NamedTuple):
    """A share's log martingale: log B(k + ½, n − k + ½) − log B(½, ½) − log likelihood."""

    k: int
    n: int
    start: float

    @classmethod
    def of(cls, share: Share) -> "_Arm":
        check_share(share)
        k, n = share
        return cls(k, n, float(betaln(k + 0.5, n - k + 0.5) - betaln(0.5, 0.5)))

    def log(self, share: Floats) -> Floats:
        fall = xlogy(self.k, share) + xlog1py(self.n - self.k, -share)
        return np.asarray(self.start - fall, dtype=np.float64)

    @property
    def least(self) -> float:
        return float(self.log(np.array(self.k / self.n)))

    def ends(self, budget: Floats) -> tuple[Floats, Floats]:
        """The lowest and highest share whose martingale is at most `budget`, by bisection."""
        seen = np.full_like(budget, self.k / self.n)
        return self._end(budget, seen, 0.0), self._end(budget, seen, 1.0)

    def _end(self, budget: Floats, inside: Floats, edge: float) -> Floats:
        outside = np.full_like(budget, edge)
        with np.errstate(divide="ignore"):
            within = self.log(outside) <= budget
            for _ in range(_HALVINGS):
                middle = (inside + outside) / 2.0
                kept = self.log(middle) <= budget
                inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
        return np.where(within, edge, inside)


class _Region(NamedTuple):
    """The pairs of shares that are not rejected."""

    control: _Arm
    treatment: _Arm
    budget: float

    @classmethod
    def of(cls, control: Share, treatment: Share, alpha: float) -> "_Region":
        check_level(alpha)
        return cls(_Arm.of(control), _Arm.of(treatment), -math.log(alpha))

    def extent(self, *, relative: bool) -> tuple[float, float]:
        """The least and the greatest effect of any pair."""
        left = np.array([self.budget - self.treatment.least])
        low, high = self.control.ends(left)
        ends = []
        for sign in (-1.0, 1.0):
            at, reach = (float(low[0]), float(high[0])), 0.0
            for _ in range(_ZOOMS):  # zoom in on the best of the grid
                grid = np.linspace(*at, _POINTS)
                values = self._effects(grid, sign, relative=relative)
                best = int(np.argmax(sign * values))
                reach = float(values[best])
                at = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, _POINTS - 1)])
            ends.append(reach)
        return ends[0], ends[1]

    def _effects(self, grid: Floats, sign: float, *, relative: bool) -> Floats:
        """The outermost effect to one side, for each share of the control."""
        low, high = self.treatment.ends(self.budget - self.control.log(grid))
        end = high if sign > 0.0 else low
        return end / grid - 1.0 if relative else end - grid

    def p_value(self, slope: float, shift: float, alternative: Alternative) -> float:
        """1 over the least value where treatment = slope·control + shift, or beyond it."""
        seen = self.treatment.k / self.treatment.n
        gap = seen - slope * self.control.k / self.control.n - shift
        if (alternative == "greater" and gap <= 0.0) or (alternative == "less" and gap >= 0.0):
            return 1.0
        low = max(0.0, -shift / slope) if slope else 0.0
        high = min(1.0, (1.0 - shift) / slope) if slope else 1.0
        if low >= high:
            return 1.0 if alternative == "two-sided" else 0.0
        for _ in range(_ZOOMS + 2):
            grid = np.linspace(low, high, _POINTS)
            with np.errstate(divide="ignore"):
                values = self.control.log(grid) + self.treatment.log(
                    np.clip(slope * grid + shift, 0.0, 1.0)
                )
            best = int(np.argmin(values))
            low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, _POINTS - 1)])
        return math.exp(-max(float(values[best]), 0.0))
