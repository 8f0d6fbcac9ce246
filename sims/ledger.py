"""What the service said yes to, kept by the client: the oracle that the log is judged by."""

from typing import NamedTuple


class Shown(NamedTuple):
    """A decision that the client got an answer to, and what it was worth."""

    event_id: str
    variant: str
    policy: str
    snapshot: int
    propensity: float
    reward: float

    @property
    def ts_ms(self) -> int:
        """The decision's time: the first 48 bits of a UUIDv7."""
        return int(self.event_id[:13].replace("-", ""), 16)


class Ledger:
    """Everything that was accepted, and how often nobody could know.

    Attributes:
        shown: Answered rankings in the order of their answers.
        reward_ids: Rewards that were answered with 202.
        unknown_n: Rank requests that broke after they were sent: a decision may or may not be
            in the log, and the client asked again.
        retries_n: Requests that were sent again, for whatever reason.
    """

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self.reward_ids: set[str] = set()
        self.unknown_n = 0
        self.retries_n = 0
        self._totals: dict[str, tuple[int, float]] = {}

    def show(self, shown: Shown) -> None:
        """Enter an answered ranking."""
        self.shown.append(shown)
        n, total = self._totals.get(shown.variant, (0, 0.0))
        self._totals[shown.variant] = (n + 1, total + shown.reward)

    def mean_reward(self, variant: str) -> float | None:
        """Mean reward of a variant's decisions so far; None before the first."""
        n, total = self._totals.get(variant, (0, 0.0))
        return total / n if n else None
