"""What is looked up to say how the store is; the SQL is in `queries/checkup.sql`."""

from collections.abc import Mapping
from typing import NamedTuple

from bandit.store import migrations
from bandit.store.client import Store

TABLES = ("decisions", "rewards", "exposures", "outcomes", "assignments")


class Server(NamedTuple):
    """Who answers."""

    version: str
    now_ms: int
    readonly: int
    """0: this session may write."""
    is_made: bool
    """Whether the database exists."""


class HostProgress(NamedTuple):
    """What a host's drain said last."""

    host: str
    drained_through_ms: int
    backlog_bytes: int
    updated_ms: int
    done: bool = False
    """It was shut down with nothing left."""


class Hole(NamedTuple):
    """Numbers that are missing in a stream and that nobody gave up."""

    table: str
    surface: str
    writer: str
    missing_n: int


class Traffic(NamedTuple):
    """What came in on a surface of late."""

    surface: str
    decisions_n: int
    newest_ms: int
    closed_n: int
    """Of them, those whose join window has ended."""
    rewarded_n: int
    """Of those, how many got a reward."""


class Propensities(NamedTuple):
    """What the log says of a policy's propensities."""

    policy: str
    decisions_n: int
    mismatches_n: int
    spread: float
    """Variance of the sum behind `inverse_z`; near 0 where nothing was left to chance."""
    inverse_z: float


class EndingKey(NamedTuple):
    """An API key that ends soon, or has ended."""

    key_id: str
    client: str
    expires_ms: int


class Migrations(NamedTuple):
    """How the tables compare to this program.

    Attributes:
        missing: To be applied; any process does it when it starts.
        changed: Applied in another form than this program has them.
        unknown: Of a newer program.
    """

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]


class Checkup:
    """Reads, and changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def server(self) -> Server:
        """Who answers. Raises `StoreUnavailable`."""
        [row] = self._store.rows("checkup_server", database=self._store.database)
        return Server(row[0], row[1], row[2], bool(row[3]))

    def migrations(self) -> Migrations:
        """Which migrations were applied. Raises `StoreUnavailable`."""
        applied: Mapping[str, str] = dict(self._store.rows("applied_migrations"))
        ours = migrations.digests()
        return Migrations(
            missing=tuple(sorted(ours.keys() - applied.keys())),
            changed=tuple(sorted(n for n in ours if applied.get(n, ours[n]) != ours[n])),
            unknown=tuple(sorted(applied.keys() - ours.keys())),
        )

    def progress(self) -> list[HostProgress]:
        """Every host's drain. Raises `StoreUnavailable`."""
        return [HostProgress(*row) for row in self._store.rows("checkup_progress")]

    def holes(self, since_ms: int, *, settled_ms: int = 60_000) -> list[Hole]:
        """Streams of a time with holes. Raises `StoreUnavailable`.

        Args:
            since_ms: Of rows accepted then or later.
            settled_ms: Later rows arrive in any order; only those that came so long ago count.
        """
        found = []
        for table in TABLES:
            given_up: dict[tuple[str, str], list[tuple[int, int]]] = {}
            rows = self._store.rows(
                "checkup_streams", table=table, since_ms=since_ms, settled_ms=settled_ms
            )
            if rows:
                for surface, writer, first, last in self._store.rows("checkup_gaps", table=table):
                    given_up.setdefault((surface, writer), []).append((first, last))
            for surface, writer, first, last, missing_n in rows:
                numbers = {
                    number
                    for start, end in given_up.get((surface, writer), ())
                    for number in range(max(start, first), min(end, last) + 1)
                }
                if missing_n > len(numbers):
                    found.append(Hole(table, surface, writer, missing_n - len(numbers)))
        return found

    def traffic(self, windows_ms: Mapping[str, int], since_ms: int, now_ms: int) -> list[Traffic]:
        """Decisions and rewards of surfaces since a time. Raises `StoreUnavailable`.

        Args:
            windows_ms: The surfaces, and how long their join windows are.
            since_ms: Of decisions made then or later.
            now_ms: The time now.
        """
        rows = self._store.rows(
            "checkup_traffic",
            surfaces=list(windows_ms),
            windows_ms=list(windows_ms.values()),
            since_ms=since_ms,
            now_ms=now_ms,
        )
        return [Traffic(*row) for row in rows]

    def propensities(self, since_ms: int, limit: int = 100_000) -> list[Propensities]:
        """Audit of the newest decisions. Raises `StoreUnavailable`."""
        rows = self._store.rows("checkup_propensities", since_ms=since_ms, limit=limit)
        return [Propensities(*row) for row in rows]

    def ending_keys(self, before_ms: int) -> list[EndingKey]:
        """API keys that are not revoked and end before a time. Raises `StoreUnavailable`."""
        rows = self._store.rows("checkup_keys", before_ms=before_ms)
        return [EndingKey(*row) for row in rows]
