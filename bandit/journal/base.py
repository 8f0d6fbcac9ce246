"""What the journal needs of whoever keeps the records for good."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from bandit.records import AnyLogRecord


class Entry(NamedTuple):
    """A record with its place: `seq` counts 1, 2, 3 … per writer, table and surface."""

    seq: int
    record: AnyLogRecord


class Numbers(NamedTuple):
    """Places `first ≤ seq ≤ last` of a stream."""

    table: str
    surface: str
    writer: str
    first: int
    last: int


class Progress(NamedTuple):
    """How far a host's drain has come."""

    host: str
    drained_through_ms: int
    """Every record accepted on this host before this time is in the store."""
    backlog_bytes: int
    segments_n: int
    done: bool = False
    """The drain was shut down and nothing is left: nobody waits for this host."""


class Sink(Protocol):
    """Keeps records for good; `bandit.store.sink` is the real one."""

    def insert(self, table: str, writer: str, entries: Sequence[Entry], token: str) -> None:
        """Store a block of one table and one month.

        Args:
            token: The same for the same block however often it is tried.

        Raises:
            StoreUnavailable: The outcome is unknown: try the same block and token again.
            StoreRejected: The block can never be stored as it is.
        """
        ...

    def missing(self, table: str, writer: str, entries: Sequence[Entry]) -> list[Entry]:
        """Those of `entries` that are not in the store now.

        Raises:
            StoreUnavailable: Nobody knows.
        """
        ...

    def preceding(self, table: str, writer: str, firsts: Mapping[str, int]) -> Mapping[str, int]:
        """The highest number in the store before one of each surface; those without are left out.

        Raises:
            StoreUnavailable: Nobody knows.
        """
        ...

    def give_up(
        self, numbers: Sequence[Numbers], *, reason: Literal["rejected", "lost"]
    ) -> list[Numbers]:
        """Let learners go on over those numbers that are not in the store; which they are.

        Raises:
            StoreUnavailable: The outcome is unknown: give up the same again.
        """
        ...

    def report(self, progress: Progress) -> None:
        """Publish how far the drain has come; learners wait for it before they close a window.

        Raises:
            StoreUnavailable: Not published.
        """
        ...
