"""ClickHouse and what is in it: server, tables, drains, streams, keys."""

from collections.abc import Iterator

from bandit.service.findings import Finding, fine, problem, warning
from bandit.service.reporting_words import duration
from bandit.store.checkup import Checkup, HostProgress
from bandit.store.drained import GONE_AFTER_MS

OLDEST_VERSION = (25, 3)
"""Of ClickHouse: the statements were never run on an older one."""
SKEW_MS = 1_000
BAD_SKEW_MS = 30_000
FORGOTTEN_MS = 30 * 86_400_000
"""A host that was last heard of so long ago is not told of any more."""
LAG_MS = 60_000
BAD_LAG_MS = 600_000
LOOK_BACK_MS = 6 * 3_600_000
"""Streams are looked through for holes so far back."""
KEYS_MS = 14 * 86_400_000
"""Keys that end so soon are told of."""
SHOWN = 5
"""Of many things of one kind so many are named."""


def server_findings(checkup: Checkup, now_ms: int) -> Iterator[Finding]:
    """Who answers, whether its clock is right, and whether the tables are as this program has them.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    server = checkup.server()
    version = tuple(int(part) for part in server.version.split(".")[:2])
    if version < OLDEST_VERSION:
        yield warning(
            "clickhouse", "old_version", f"ClickHouse is {server.version}.",
            f"{'.'.join(map(str, OLDEST_VERSION))} or newer", "Upgrade ClickHouse.",
        )  # fmt: skip
    else:
        yield fine("clickhouse", f"ClickHouse {server.version} answers.")
    skew_ms = server.now_ms - now_ms
    if abs(skew_ms) > SKEW_MS:
        make = problem if abs(skew_ms) > BAD_SKEW_MS else warning
        yield make(
            "clickhouse", "clock_skew",
            f"Its clock is {duration(abs(skew_ms))} {'ahead' if skew_ms > 0 else 'behind'}.",
            "within a second of this host's: join windows and silent hosts go by the clock",
            "Run NTP (chrony) on both machines.",
        )  # fmt: skip
    if not server.is_made:
        yield warning(
            "clickhouse", "no_database", "Its database is not made yet.", "made at the first start",
            "Start `bandit up`; if it ran before, look at BANDIT_CLICKHOUSE_DATABASE.",
        )  # fmt: skip
        return
    yield from _migration_findings(checkup)


def _migration_findings(checkup: Checkup) -> Iterator[Finding]:
    found = checkup.migrations()
    if found.changed:
        yield problem(
            "clickhouse", "migration_changed",
            f"{', '.join(found.changed)} was applied in another form: no process starts.",
            "as this program has it",
            "Run the program that made these tables; an applied migration never changes.",
        )  # fmt: skip
    if found.unknown:
        yield warning(
            "clickhouse", "newer_tables",
            f"The tables were made by a newer program ({', '.join(found.unknown)}).",
            "as old as the oldest program that uses them",
            "Upgrade this host, too.",
        )  # fmt: skip
    if found.missing:
        yield warning(
            "clickhouse", "migration_missing", f"{', '.join(found.missing)} is not applied yet.",
            "all of them",
            "Start any process of this program: whoever comes first applies them.",
        )  # fmt: skip
    if not any(found):
        yield fine("clickhouse", "All migrations are applied.")


def reader_findings(reader: Checkup) -> Iterator[Finding]:
    """Whether the user of dashboard and reports can only read.

    Args:
        reader: Connected as that user.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    if reader.server().readonly:
        yield fine("clickhouse", "Dashboard and reports can only read.")
    else:
        yield problem(
            "clickhouse", "reader_can_write",
            "The user of dashboard and reports may write.", "a session with readonly = 1",
            "Name a user that may only read in BANDIT_CLICKHOUSE_READ_URL.",
        )  # fmt: skip


def drain_findings(checkup: Checkup, now_ms: int, silent_ms: int) -> Iterator[Finding]:
    """How far every host has delivered.

    Args:
        checkup: What is asked.
        now_ms: The time now.
        silent_ms: A host that has said nothing for longer holds no learner up.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    hosts = checkup.progress()
    if not hosts:
        yield warning(
            "drains", "no_host", "No host ever told that it delivers its journal.",
            "every host that runs `bandit api`",
            "Start `bandit drain` there, or `bandit up`, which runs it.",
        )  # fmt: skip
    for host in hosts:
        silent_for_ms = now_ms - host.updated_ms
        lag_ms = host.updated_ms - host.drained_through_ms
        if host.done or silent_for_ms > max(GONE_AFTER_MS, silent_ms):
            yield from _gone_findings(host, silent_for_ms)
        elif silent_for_ms > silent_ms:
            yield warning(
                "drains", "silent_host",
                f"{host.host} has said nothing for {duration(silent_for_ms)}: learners no longer "
                "wait for it, and what it delivers later may be late.",
                f"a sign of life within {duration(silent_ms)}",
                "Start its drain again; or ignore this if the host is gone for good.",
            )  # fmt: skip
        elif lag_ms > LAG_MS:
            make = problem if lag_ms > BAD_LAG_MS else warning
            yield make(
                "drains", "drain_behind",
                f"{host.host} has delivered nothing of the last {duration(lag_ms)}; "
                f"{host.backlog_bytes / 2**20:.1f} MiB wait.",
                "a second or so",
                "Look at its drain's log and at what ClickHouse does; nothing is lost.",
            )  # fmt: skip
        else:
            yield fine("drains", f"{host.host} has delivered all but {duration(max(0, lag_ms))}.")


def _gone_findings(host: HostProgress, silent_for_ms: int) -> Iterator[Finding]:
    """Of a host that nobody counts any more, for as long as somebody may still look for it."""
    if silent_for_ms > FORGOTTEN_MS:
        return
    ago, waited = duration(max(0, silent_for_ms)), f"{host.backlog_bytes / 2**20:.1f} MiB"
    if host.done:
        yield fine("drains", f"{host.host} was shut down {ago} ago, with nothing left to deliver.")
    elif host.backlog_bytes:
        yield problem(
            "drains", "lost_host",
            f"{host.host} was last heard {ago} ago, when {waited} waited in its journal: what of "
            "them was not delivered is lost unless that disk comes back.",
            "every journal delivered before its host goes",
            "Run `bandit drain` over its data directory, wherever that is now. If it is gone, keep "
            "data directories on volumes that outlive their containers.",
        )  # fmt: skip
    else:
        yield fine(
            "drains",
            f"{host.host} was last heard {ago} ago, when nothing waited there: at most what it "
            "accepted in its last second is missing.",
        )


def stream_findings(checkup: Checkup, now_ms: int) -> Iterator[Finding]:
    """Holes in the log: numbers that are missing, and that nobody gave up.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    holes = checkup.holes(now_ms - LOOK_BACK_MS)
    for hole in holes[:SHOWN]:
        yield problem(
            "streams", "hole",
            f"{hole.missing_n} {hole.table} of surface {hole.surface!r} by {hole.writer} are "
            "missing: learners of that surface stand still there.",
            "no number missing",
            "If they were set aside: `bandit drain --retry-rejected`, or `--give-up-rejected` to "
            "go on without them. If that host's disk is lost, so are they.",
        )  # fmt: skip
    if len(holes) > SHOWN:
        yield problem(
            "streams", "hole", f"And {len(holes) - SHOWN} more streams.", "none", "The same."
        )
    if not holes:
        yield fine("streams", f"No number is missing in the last {duration(LOOK_BACK_MS)}.")


def key_findings(checkup: Checkup, now_ms: int) -> Iterator[Finding]:
    """API keys that end soon.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    for key in checkup.ending_keys(now_ms + KEYS_MS):
        left_ms = key.expires_ms - now_ms
        if left_ms > -KEYS_MS:  # who has done without for longer needs it no more
            when = f"ends in {duration(left_ms)}" if left_ms > 0 else "has ended"
            yield warning(
                "keys", "key_ends", f"Key {key.key_id} of {key.client!r} {when}.",
                "replaced before it ends",
                f"Make another for {key.client!r} with `bandit keys`, and give it to that client.",
            )  # fmt: skip
