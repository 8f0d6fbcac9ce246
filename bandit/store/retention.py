"""How long the log is kept: a TTL on each of its tables, which the store holds itself to.

Decisions, outcomes and assignments go by the time they were accepted; rewards and exposures by the
time of their decision, so that they go with it. What goes are rows. Weights that were learned from
them stay, and so do declarations and receipts.

A stream whose first rows are gone does not begin with 1 any more, and a learner that starts from
scratch would wait for ever. So numbers are declared `expired` `LEAD_DAYS` before the store may take
their rows: whoever learns from scratch begins behind them, whether or not they are still there.
"""

import re
from collections.abc import Mapping

from bandit.errors import BadSpec
from bandit.records import TABLES
from bandit.store.blocks import BLOCKS
from bandit.store.client import Store
from bandit.store.gaps import NO_GAPS, Gap, declare, gaps_of

LEAD_DAYS = 7
"""So long learners may be down without a stream coming to a stop."""
DAY_MS = 86_400_000
EVERY_MS = 3_600_000
MOST_DAYS = 36_500

_LEARNED_FROM = ("decisions", "rewards", "exposures")
_DAYS = re.compile(r"\bTTL\b.*?toIntervalDay\(\D*(\d+)")

Days = Mapping[str, int | None]
"""Table → days that its rows are kept; None: for good."""


class Retention:
    """The TTLs of one database's log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def days(self) -> dict[str, int | None]:
        """How long each table is kept now.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows(
            "table_engines",
            database=self._store.database,
            tables=[self._local(table) for table in TABLES],
        )
        engines = dict(rows)
        found = {table: _DAYS.search(engines.get(self._local(table), "")) for table in TABLES}
        return {table: int(match[1]) if match else None for table, match in found.items()}

    def keep(self, changes: Days, *, longest_window_s: float, now_ms: int) -> None:
        """Change how long tables are kept; rows that are too old already go soon after.

        Args:
            changes: The tables that change.
            longest_window_s: The longest join window that is declared.
            now_ms: The time now.

        Raises:
            BadSpec: No such table, too few days, or rewards would go before their decisions.
            StoreUnavailable: Some may not be changed: do it again.
        """
        after = {**self.days(), **changes}
        check(after, longest_window_s=longest_window_s)
        self.expire(after, now_ms=now_ms)
        for table, days in changes.items():
            if days is not None:
                clock = BLOCKS[table].clock
                place = self._local(table)
                self._store.command("set_retention", table=place, clock=clock, days=days)
            elif self.days()[table] is not None:  # else the store would refuse
                self._store.command("keep_for_good", table=self._local(table))

    def expire(self, days: Days | None = None, *, now_ms: int) -> int:
        """Declare the numbers of rows that are about to go; how many streams had any.

        Args:
            days: How long tables are kept; None: as they are.
            now_ms: The time now.

        Raises:
            StoreUnavailable: The outcome is unknown: do it again.
        """
        runs: list[Gap] = []
        for table, kept in (self.days() if days is None else days).items():
            if kept is None or table not in _LEARNED_FROM:
                continue
            found = self._store.rows(
                "expiring_runs",
                table=table,
                clock=BLOCKS[table].clock,
                before_ms=now_ms - (kept - LEAD_DAYS) * DAY_MS,
            )
            runs += [Gap(table, *row) for row in found]
        after: dict[str, int] = {}
        for run in runs:
            after[_stream(run)] = 0
        known = gaps_of(self._store, after)
        news = [
            run
            for run in runs
            if known.get(_stream(run), NO_GAPS).within(run.first - 1, run.last)
            <= run.last - run.first
        ]
        declare(self._store, news, reason="expired", now_ms=now_ms)
        return len({_stream(run) for run in news})

    def _local(self, table: str) -> str:
        return table if self._store.cluster is None else f"{table}_local"


class Upkeep:
    """Declares what is about to go, once an hour."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._done_ms: int | None = None

    def step(self, now_ms: int) -> None:
        """Do it if it is time.

        Raises:
            StoreUnavailable: It was not done.
        """
        if self._done_ms is None or not 0 <= now_ms - self._done_ms < EVERY_MS:
            self._retention.expire(now_ms=now_ms)
            self._done_ms = now_ms


def check(days: Days, *, longest_window_s: float) -> None:
    """Refuse a retention by which something would be learned wrongly.

    Raises:
        BadSpec: Naming the table and what it must be.
    """
    least = LEAD_DAYS + 1 + -(-longest_window_s // 86_400)
    for table, kept in days.items():
        if table not in TABLES:
            raise BadSpec(f"{table!r} is no table of the log, must be one of {', '.join(TABLES)}")
        if kept is not None and not least <= kept <= MOST_DAYS:
            raise BadSpec(
                f"{table} are to be kept for {kept} days, must be {least:g} to {MOST_DAYS}: the "
                f"longest join window and {LEAD_DAYS + 1} days"
            )
    for table in ("rewards", "exposures"):
        if _or_ever(days[table]) < _or_ever(days["decisions"]):
            raise BadSpec(
                f"{table} are to be kept for {days[table]} days and decisions for "
                f"{days['decisions'] or 'ever'}, must be kept as long as these at least: without "
                "them decisions would be learned as unrewarded"
            )


def _or_ever(days: int | None) -> float:
    return float("inf") if days is None else days


def _stream(run: Gap) -> str:
    return f"{run.log_table}/{run.surface}/{run.writer}"
