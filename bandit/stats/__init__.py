"""Moments in, estimate and interval out; pure.

>>> from bandit.stats import Moments, welch
>>> control = Moments.of([1.0, 0.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0])
>>> treatment = Moments.of([3.0, 2.0, 2.0, 3.0, 1.0, 2.0, 4.0, 3.0])
>>> result = welch(control, treatment)
>>> f"{result.effect:+.2f} [{result.effect_ci_low:.2f}, {result.effect_ci_high:.2f}]"
'+1.50 [0.59, 2.41]'
>>> f"{result.relative_effect:+.0%} [{result.relative_ci_low:.0%}, {result.relative_ci_high:.0%}]"
'+150% [42%, 505%]'
>>> f"p = {result.p_value:.4f}, df = {result.df:.1f}"
'p = 0.0034, df = 13.5'
"""

from bandit.stats.effect import Effect
from bandit.stats.fieller import relative_interval
from bandit.stats.moments import Moments
from bandit.stats.srm import Srm, srm
from bandit.stats.welch import welch

__all__ = ["Effect", "Moments", "Srm", "relative_interval", "srm", "welch"]
