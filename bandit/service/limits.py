"""What reports may be asked for; clients get what is wrong in the words of `RecordError`."""

from bandit.errors import RecordError


def check_level(alpha: float) -> None:
    """Raise where no interval has the level 1 − alpha."""
    if not 0.0 < alpha < 1.0:
        raise RecordError(f"alpha is {alpha!r}, must be in (0, 1)")


def check_count(name: str, n: int, most: int) -> None:
    """Raise where so many can not be shown."""
    if not 1 <= n <= most:
        raise RecordError(f"{name} is {n}, must be in 1 to {most}")
