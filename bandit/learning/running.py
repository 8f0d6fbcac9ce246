"""What a learner has in its hands between two snapshots."""

from typing import NamedTuple

from bandit.learning.counts import Counts
from bandit.learning.reading import Reader
from bandit.learning.training import Training

BEHIND_MS = 300_000
"""So long decisions that come late are kept open for their rewards, which come late, too."""


class Pace(NamedTuple):
    """How often a learner publishes and how much it takes on at once.

    Attributes:
        interval_s: From one snapshot to the next, at least, unless there is more to learn than
            fits into one.
        rows_n: Of each table in one read, and decisions in one snapshot, about.
    """

    interval_s: float
    rows_n: int = 10_000


class Descent(NamedTuple):
    """Where the next snapshot goes."""

    number: int
    parent: int


class Running:
    """What is lost with the process and found again in the newest snapshot."""

    def __init__(self, training: Training, reader: Reader, lineage: Descent) -> None:
        """Begin with everything published."""
        self.training = training
        self.reader = reader
        self.lineage = lineage
        self.published: Counts | None = training.joiner.counts.copy()
        """None: whatever it is, publish it, for what serves must not go on."""
        self.published_ms = 0
        self.looked_ms = 0  # when there was a snapshot, or nothing worth one
        self.closable_ms = training.joiner.watermark_ms
        self.decisions_n = 0  # read since the last snapshot
        self.behind_since_ms: int | None = None

    def is_behind(self, now_ms: int) -> bool:
        """Whether what is being read is of hosts that were away: its rewards are still to come."""
        since_ms = self.behind_since_ms
        return since_ms is not None and 0 <= now_ms - since_ms < BEHIND_MS

    def is_full(self, pace: Pace) -> bool:
        """Whether there are enough decisions to close that none should be read before that."""
        joiner = self.training.joiner
        return self.decisions_n >= pace.rows_n and joiner.can_close(self.closable_ms)
