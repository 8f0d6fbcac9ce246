"""What must hold of the log whatever happened: the judge shares no code with the accused.

It reads ClickHouse by SQL of its own, past the service and past any proxy, and asks every reader of
the product the same questions.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import httpx

from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.tail import Tail
from tests.chaos.acknowledged import POSTS, Acknowledged
from tests.chaos.service import POLICY, SURFACE, Service, wall_ms
from tests.until import until

LOGS = ("decisions", "rewards", "exposures", "outcomes")
IDS = {"rewards": "reward_id", "exposures": "toString(event_id)", "outcomes": "outcome_id"}
QUIET_S = 90.0
"""The backlog must be drained and learned within that after the last request."""


class Verdict(NamedTuple):
    """What the oracle found."""

    acknowledged_n: int
    lost: list[str]
    """Acknowledged ids that the log does not hold, or not as they were answered."""
    duplicates_n: int
    """Records that de-duplicated readers still see more often than they were sent."""
    repeats_n: int
    """Rows that are stored more than once: what de-duplication has to do."""
    decisions_n: int
    digest_equal: bool
    problems: list[str]
    """Everything that must not be, in words; empty is good."""


class Log:
    """ClickHouse by plain SQL."""

    def __init__(self, url: str, database: str = "bandit") -> None:
        parts = urlsplit(url)
        self._http = httpx.Client(
            base_url=f"http://{parts.hostname}:{parts.port}",
            auth=(unquote(parts.username or "default"), unquote(parts.password or "")),
            timeout=120.0,
            trust_env=False,
        )
        self.database = database

    def rows(self, sql: str, database: str | None = None) -> list[list[Any]]:
        """Answer of a statement, as soon as there is somebody to answer."""
        params = {
            "database": database or self.database,
            "default_format": "JSONCompact",
            "output_format_json_quote_64bit_integers": "0",
        }
        until(self._answers, "ClickHouse", QUIET_S)
        asked = self._http.post("/", params=params, content=sql)
        if asked.status_code != 200:
            raise AssertionError(f"{asked.text[:500]} for {sql[:200]}")
        found: list[list[Any]] = asked.json()["data"] if asked.content.strip() else []
        return found

    def _answers(self) -> bool:
        try:
            return self._http.get("/ping").status_code == 200
        except httpx.TransportError:
            return False

    def one(self, sql: str) -> Any:
        """The only number of an answer."""
        [[value]] = self.rows(sql)
        return value

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()


def distinct(table: str) -> str:
    """A table as de-duplicated readers see it."""
    return f"(SELECT * FROM {table} LIMIT 1 BY surface, writer, seq)"


def check(service: Service, acknowledged: Acknowledged, *, rebuild: bool = True) -> Verdict:
    """Judge a service that has come to rest.

    Args:
        service: Still running, without load.
        acknowledged: What its load knows.
        rebuild: Also learn the de-duplicated log again.
    """
    log = Log(service.clickhouse_url())
    try:
        problems = list(_rest(service, log, acknowledged))
        lost = [*_lost_decisions(log, acknowledged), *_lost_posts(log, acknowledged)]
        duplicates = _duplicates(log, acknowledged)
        problems += [f"lost: {one}" for one in lost[:5]]
        problems += [f"twice: {one}" for one in duplicates[:5]]
        problems += [*_holes(log), *_propensities(log), *_readers(service, log), *_joined(log)]
        equal = True
        if rebuild:
            told = list(_rebuilt(service, log))
            equal = not told
            problems += told
        return Verdict(
            acknowledged.n,
            lost,
            len(duplicates),
            sum(_repeats(log, table) for table in LOGS),
            log.one(f"SELECT uniqExact(event_id) FROM {distinct('decisions')}"),
            equal,
            problems,
        )
    finally:
        log.close()


def drained(log: Log, since_ms: int) -> bool:
    """Whether everything accepted before a time is in the store, as the drain says."""
    through = log.rows("SELECT toUnixTimestamp64Milli(max(drained_through)) FROM progress")
    return bool(through) and through[0][0] >= since_ms


def _rest(service: Service, log: Log, acknowledged: Acknowledged) -> Iterator[str]:
    """Wait until the journal is in the store and every decision is learned."""
    began_ms = wall_ms()
    try:
        until(service.health, "a worker that serves", QUIET_S)
        until(lambda: drained(log, began_ms), "an empty journal", QUIET_S)
        # After a step of the clock nobody's "drained through" tells anything: look for the records.
        until(lambda: not _is_missing(log, acknowledged), "the last record", QUIET_S)
    except AssertionError as exc:
        yield f"not live: {exc}"
    events_n = log.one(f"SELECT uniqExact(event_id) FROM {distinct('decisions')}")
    try:
        until(lambda: _closed_n(log) >= events_n, "every decision learned", QUIET_S)
    except AssertionError as exc:
        yield f"not live: {exc}: {_closed_n(log)} of {events_n}"
    if _closed_n(log) > events_n:
        yield f"{_closed_n(log)} decisions were closed, of {events_n}"
    rejected = [str(path) for path in service.data_dir.glob("journal/*/rejected/*")]
    if rejected:
        yield f"set aside: {rejected}"


def _is_missing(log: Log, acknowledged: Acknowledged) -> bool:
    lost = (*_lost_decisions(log, acknowledged), *_lost_posts(log, acknowledged))
    return bool(lost)


def _closed_n(log: Log) -> int:
    found = log.rows(
        f"SELECT trained + defaulted + unseen FROM snapshots WHERE policy = '{POLICY}'"
        " ORDER BY number DESC, _block_number LIMIT 1"
    )
    return found[0][0] if found else 0


def _lost_decisions(log: Log, acknowledged: Acknowledged) -> Iterator[str]:
    """Answers that are not in the log as they were given."""
    logged: dict[str, set[tuple[tuple[str, float], ...]]] = {}
    for event_id, ids, propensities in log.rows(
        "SELECT toString(event_id), arrayMap(i -> actions[i + 1], ranking), propensities"
        " FROM decisions"
    ):
        drawn = tuple(zip(ids, propensities, strict=True))
        logged.setdefault(event_id, set()).add(drawn)
    for event_id, answers in acknowledged.rankings.items():
        if event_id not in logged:
            yield f"decision {event_id}"
            continue
        for answer in answers:
            if answer not in logged[event_id]:
                yield f"decision {event_id} as it was answered: {answer}"


def _lost_posts(log: Log, acknowledged: Acknowledged) -> Iterator[str]:
    """Records that were acknowledged more often than the log holds them."""
    for kind, table in POSTS.items():
        stored = _stored(log, table)
        for id_, n in acknowledged.posts[kind].items():
            if stored.get(id_, 0) < n:
                yield f"{kind} {id_}: {stored.get(id_, 0)} of {n}"


def _duplicates(log: Log, acknowledged: Acknowledged) -> list[str]:
    """Records that are there more often than they were sent, each (writer, seq) counted once."""
    found = [
        f"decision {event_id}: {n}"
        for event_id, n in log.rows(
            f"SELECT toString(event_id), count() AS n FROM {distinct('decisions')}"
            " GROUP BY event_id HAVING n > 1"
        )
        if n > max(1, acknowledged.tries["rank", event_id])
    ]
    for kind, table in POSTS.items():
        found += [
            f"{kind} {id_}: {n} of {acknowledged.tries[kind, id_]}"
            for id_, n in _stored(log, table).items()
            if n > acknowledged.tries[kind, id_]
        ]
    return found


def _stored(log: Log, table: str) -> Mapping[str, int]:
    rows = log.rows(f"SELECT {IDS[table]} AS id, count() FROM {distinct(table)} GROUP BY id")
    return dict(rows)


def _repeats(log: Log, table: str) -> int:
    found: int = log.one(f"SELECT count() - uniqExact(surface, writer, seq) FROM {table}")
    return found


def _holes(log: Log) -> Iterator[str]:
    """Streams whose numbers are not 1, 2, 3 …; and numbers that two records share."""
    for table in LOGS:
        for surface, writer, n, last in log.rows(
            f"SELECT surface, writer, uniqExact(seq) AS n, max(seq) AS last FROM {table}"
            " GROUP BY surface, writer HAVING n != last"
        ):
            yield f"hole in {table}/{surface}/{writer}: {n} numbers up to {last}"
        id_ = IDS.get(table, "toString(event_id)")
        for writer, seq in log.rows(
            f"SELECT writer, seq FROM {table} GROUP BY surface, writer, seq"
            f" HAVING uniqExact({id_}) > 1"
        ):
            yield f"two records of {table} are both {writer}/{seq}"


def _propensities(log: Log) -> Iterator[str]:
    """Every pmf is a distribution, every ranking is of it, its propensities follow."""
    bad = log.rows(
        """
        WITH arrayMap(i -> toFloat64(pmf[i + 1]), ranking) AS drawn,
             arrayMap((p, c) -> p / (arraySum(pmf) - (c - p)), drawn, arrayCumSum(drawn)) AS told
        SELECT countIf(abs(arraySum(pmf) - 1) > 1e-6),
               countIf(arrayExists(p -> NOT (p >= 0 AND p <= 1), pmf)),
               countIf(arrayExists(p -> NOT (p > 0 AND p <= 1), propensities)),
               countIf(length(pmf) != length(actions) OR length(ranking) != length(propensities)
                       OR empty(ranking)),
               countIf(arrayUniq(ranking) != length(ranking)
                       OR arrayExists(i -> i >= length(actions), ranking)),
               countIf(arrayExists((p, q) -> abs(p - q) > 1e-5 * q,
                                   arrayResize(propensities, length(told)), told)
                       AND policy = {policy})
        FROM decisions
        """.replace("{policy}", f"'{POLICY}'")
    )
    names = (
        "pmfs that do not sum to 1",
        "pmfs with a number out of [0, 1]",
        "propensities out of (0, 1]",
        "decisions whose lengths differ",
        "rankings of unknown or repeated actions",
        "propensities that do not follow from the pmf",
    )
    for name, n in zip(names, bad[0], strict=True):
        if n:
            yield f"{n} {name}"


def _readers(service: Service, log: Log) -> Iterator[str]:
    """Each reader of the product sees each record once."""
    store = Store.connect(service.clickhouse_url(), database=log.database)
    try:
        yield from _tailed(Tail(store), log)
    finally:
        store.close()
    events_n = log.one(f"SELECT uniqExact(event_id) FROM {distinct('decisions')}")
    asked = f"/v1/reports/surfaces/{SURFACE}?fresh=true"  # what is kept may be seconds old
    report = service.api.get(asked, timeout=60.0)
    if report.status_code != 200:
        yield f"the report answers {report.status_code}: {report.text[:500]}"
    else:
        reported_n = sum(group["decisions_n"] for group in report.json()["policies"])
        if reported_n != events_n:
            yield f"the report counts {reported_n} decisions, of {events_n}"
    # A command goes by the wall clock, which the service may be ahead of.
    come_n = log.one(
        f"SELECT uniqExact(event_id) FROM {distinct('decisions')} WHERE ts <= now64(3)"
    )
    exported = service.run("export", SURFACE)
    last = exported.stderr.strip().rpartition("\n")[2]
    told_n = sum(map(int, re.findall(r"\b(\d+)\b", last)))
    if exported.returncode or not come_n <= told_n <= events_n:
        yield f"the export tells of {told_n} decisions, of {events_n}: {exported.stderr[-300:]}"


def _tailed(tail: Tail, log: Log) -> Iterator[str]:
    cursor: dict[str, int] = {}
    seen: dict[str, list[tuple[str, str, int]]] = {"decisions": [], "rewards": [], "exposures": []}
    while True:
        batch = tail.read(SURFACE, cursor)
        seen["decisions"] += [(d.surface, d.writer, d.seq) for d in batch.decisions]
        for name, rows in (("rewards", batch.rewards), ("exposures", batch.exposures)):
            seen[name] += [(row.record.surface, row.writer, row.seq) for row in rows]
        if batch.cursor == cursor:
            break
        cursor = batch.cursor
    if batch.holes:
        yield f"the tail stops at holes: {batch.holes}"
    for table, places in seen.items():
        n = log.one(f"SELECT uniqExact(surface, writer, seq) FROM {table}")
        if not len(set(places)) == len(places) == n:
            yield f"the tail gives {len(places)} rows of {table}, {len(set(places))} unique, of {n}"


def _joined(log: Log) -> Iterator[str]:
    """The learner trained on exactly the decisions that a join of the whole log finds rewarded."""
    [[trained_n, watermark_ms, window_ms]] = log.rows(
        "SELECT trained, toUnixTimestamp64Milli(watermark),"
        " (SELECT JSONExtractFloat(argMax(spec, version), 'join_window_s') * 1000"
        f" FROM definitions WHERE kind = 'surface' AND key = '{SURFACE}')"
        f" FROM snapshots WHERE policy = '{POLICY}' ORDER BY number DESC, _block_number LIMIT 1"
    ) or [[0, 0, 0]]
    rewarded_n = log.one(
        "SELECT uniqExact(event_id) FROM (SELECT event_id, argMin(ts, (ts, writer, seq)) AS at"
        " FROM decisions GROUP BY event_id) AS d INNER JOIN"
        " (SELECT event_id, ts AS rewarded_at FROM rewards) AS r USING (event_id)"
        f" WHERE at <= fromUnixTimestamp64Milli({watermark_ms}) AND rewarded_at >= at"
        f" AND rewarded_at < at + toIntervalMillisecond({int(window_ms)})"
    )
    if trained_n != rewarded_n:
        yield f"the learner trained on {trained_n} rewarded decisions, of {rewarded_n}"


def _rebuilt(service: Service, log: Log) -> Iterator[str]:
    """The digest of the published weights is that of learning the de-duplicated log again."""
    copied(service.clickhouse_url(), log, "deduplicated")
    answer = service.run("learn", "--rebuild", POLICY, BANDIT_CLICKHOUSE_DATABASE="deduplicated")
    if answer.returncode != 0 or ": equal after" not in answer.stdout:
        yield f"rebuilding: {answer.stdout[-600:]}{answer.stderr[-1000:]}"


def copied(url: str, log: Log, database: str) -> None:
    """Every record of the log once, in a database of its own, with the published lineage."""
    store = Store.connect(url, database=database)
    try:
        store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
        migrate(store)
    finally:
        store.close()
    firsts = dict.fromkeys(LOGS, "LIMIT 1 BY surface, writer, seq") | {
        "gaps": "",
        "snapshots": "ORDER BY policy, number, _block_number LIMIT 1 BY policy, number",
        "definitions": "ORDER BY kind, key, version, _block_number LIMIT 1 BY kind, key, version",
    }
    for table, once in firsts.items():
        names = _columns(log, table)
        log.rows(
            f"INSERT INTO {database}.{table} ({names}) SELECT {names} FROM {table} {once}"
            " SETTINGS max_partitions_per_insert_block = 0"
        )


def _columns(log: Log, table: str) -> str:
    rows = log.rows(
        f"SELECT name FROM system.columns WHERE database = '{log.database}' AND table = '{table}'"
        " AND default_kind IN ('', 'DEFAULT') ORDER BY position"
    )
    return ", ".join(name for (name,) in rows)


def told(verdict: Verdict) -> Sequence[str]:
    """A verdict in lines."""
    return [
        f"acknowledged {verdict.acknowledged_n}, lost {len(verdict.lost)}, "
        f"duplicates {verdict.duplicates_n} (of {verdict.repeats_n} repeated rows), "
        f"digest {'equal' if verdict.digest_equal else 'DIFFERENT'}",
        *verdict.problems,
    ]
