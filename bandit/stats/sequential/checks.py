"""What every sequential method asks of its arguments."""

import math

from bandit.stats.effect import Alternative

__all__ = ["Alternative", "check_above_zero", "check_finite", "check_level", "check_spread"]


def check_level(alpha: float) -> None:
    """Refuse an error rate outside (0, 1)."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha!r}, must be in (0, 1)")


def check_above_zero(name: str, value: float) -> None:
    """Refuse what must be a finite number above 0."""
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}, must be finite and above 0")


def check_spread(name: str, value: float) -> None:
    """Refuse what must be a finite number of at least 0."""
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}, must be finite and at least 0")


def check_finite(name: str, value: float) -> None:
    """Refuse NaN and infinities."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}, must be finite")
