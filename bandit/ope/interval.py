"""An interval and what it promises: one flat record."""

from bandit.records import Record


class Interval(Record, frozen=True, kw_only=True):
    """Where the value is, with probability at least 1 − alpha.

    Attributes:
        low, high: The bounds.
        alpha: 1 − the level.
        method: How it was made, such as `cressie_read`.
        anytime: Whether it also holds for whoever looks again and again.
    """

    low: float
    high: float
    alpha: float
    method: str
    anytime: bool = False

    @property
    def width(self) -> float:
        """How wide it is."""
        return self.high - self.low
