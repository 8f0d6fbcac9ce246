"""How long the log is kept, on the real engine."""

import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from bandit.cli.retention import command
from bandit.errors import BadSpec, NotFound
from bandit.learning.learner import Learner, Pace, Task
from bandit.learning.rebuilding import rebuild
from bandit.policies import build
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.retention import DAY_MS, EVERY_MS, LEAD_DAYS, Retention, Upkeep, check
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail
from tests.bandit.logs import LogMaker

NOW_MS = time.time_ns() // 1_000_000
SURFACE = Surface(key="home", policy="vw", join_window_s=2.0)
POLICIES = [PolicySpec(key=key, type="linear", surface="home") for key in ("old", "new")]
FOREVER = dict.fromkeys(("decisions", "rewards", "exposures", "outcomes", "assignments"))


@pytest.fixture
def retention(store: Store) -> Retention:
    return Retention(store)


@pytest.fixture
def log(store: Store) -> LogMaker:
    return LogMaker(store, start_ms=NOW_MS - 100 * DAY_MS)


def fill(log: LogMaker, *days: float, unit: str = "u1") -> None:
    """A decision with its reward and exposure at each of some days after the start."""
    for day in days:
        decision = log.decide(round(day * DAY_MS), unit=unit)
        log.reward(decision)
        log.expose(decision)
    log.deliver()


def learner(store: Store, policy: PolicySpec, now_ms: int) -> Learner:
    definitions = Definitions(store)
    for spec in (policy, SURFACE):
        if not definitions.history(spec.kind, spec.key):
            definitions.put(spec, expected=None, author="", change_id=spec.key, now_ms=NOW_MS)
    ids = iter(range(1000))
    return Learner(
        Task.of(*(definitions.get(s.kind, s.key) for s in (policy, SURFACE))),
        tail=Tail(store),
        snapshots=Snapshots(store),
        build=build,
        now_ms=lambda: now_ms,
        new_id=lambda: f"{policy.key}-{next(ids)}",
        name="learner",
        pace=Pace(0.5),
    )


def drained(store: Store) -> None:
    columns = {"host": ["h"], "drained_through": [NOW_MS], "updated_at": [NOW_MS]}
    store.insert("progress", columns | {"backlog_bytes": [0], "segments_n": [0]})


def learned(store: Store, policy: PolicySpec, now_ms: int) -> int:
    """Learn all that can be; how many decisions that were."""
    each = learner(store, policy, now_ms)
    while each.step(finish=True).more:
        pass
    return each.counts.trained


def rows_n(store: Store, table: str) -> int:
    store.apply(f"OPTIMIZE TABLE $database.{table}$local FINAL")  # as the engine does in its time
    [(n,)] = store._client.query(f"SELECT count() FROM {table}").result_rows
    return int(n)


def test_rows_go_when_their_time_has_come_and_learners_go_on(
    store: Store, log: LogMaker, retention: Retention
) -> None:
    old, new = POLICIES
    drained(store)
    fill(log, 0, 10, 20, 55, 60, 80, 99)
    assert learned(store, old, NOW_MS - 1) == 7
    retention.keep(FOREVER | dict.fromkeys(FOREVER, 60), longest_window_s=2.0, now_ms=NOW_MS)
    for table in ("decisions", "rewards", "exposures"):
        assert rows_n(store, table) == 4, table
    # Who has learned them goes on behind them; who starts now learns what is left, but for a week.
    fill(log, 99.5)
    assert learned(store, old, NOW_MS + 1) == 8
    assert learned(store, new, NOW_MS + 1) == 5
    assert Tail(store).read("home", {}).holes == ()
    for policy, is_retained in ((old, False), (new, True)):
        parts = {
            "tail": Tail(store),
            "snapshots": Snapshots(store),
            "definitions": Definitions(store),
            "build": build,
        }
        if is_retained:
            assert rebuild(policy.key, **parts).equal  # type: ignore[arg-type]
        else:
            with pytest.raises(NotFound, match=r"does not retain all that was learned from"):
                rebuild(policy.key, **parts)  # type: ignore[arg-type]


def test_what_goes_is_declared_a_week_before(
    store: Store, log: LogMaker, retention: Retention
) -> None:
    drained(store)
    fill(log, 0, 2, 6.5, 8, 50)
    retention.keep({"decisions": 101, "rewards": 101}, longest_window_s=2.0, now_ms=NOW_MS)
    assert rows_n(store, "decisions") == 5
    assert [d.ts_ms for d in Tail(store).read("home", {}).decisions] == [
        log.start_ms + day * DAY_MS for day in (6.5, 8, 50)
    ]
    upkeep = Upkeep(retention)
    upkeep.step(NOW_MS)
    assert gaps_n(store) == 2  # one run of each table, which declared again is the same
    upkeep.step(NOW_MS + EVERY_MS - 1)
    later_ms = NOW_MS + 3 * DAY_MS
    upkeep.step(later_ms)
    assert [d.ts_ms for d in Tail(store).read("home", {}).decisions] == [log.start_ms + 50 * DAY_MS]


def gaps_n(store: Store) -> int:
    [(n,)] = store._client.query("SELECT count() FROM gaps FINAL").result_rows
    return int(n)


def test_a_late_reward_of_an_old_decision_takes_no_younger_one_with_it(
    store: Store, log: LogMaker, retention: Retention
) -> None:
    drained(store)
    first = log.decide(0)
    second = log.decide(50 * DAY_MS)
    log.reward(second)
    log.reward(first, after_ms=50 * DAY_MS + 5)
    log.deliver()
    retention.keep(FOREVER | dict.fromkeys(FOREVER, 60), longest_window_s=2.0, now_ms=NOW_MS)
    batch = Tail(store).read("home", {})
    assert [row.record.event_id for row in batch.rewards] == [second.event_id]
    assert (rows_n(store, "rewards"), batch.holes) == (1, ())


@pytest.mark.parametrize(
    ("days", "says"),
    [
        ({"decisions": 5}, "decisions are to be kept for 5 days, must be 9 to 36500"),
        ({"decisions": 9, "rewards": 36_501}, "must be 9 to 36500"),
        ({"rewards": 30}, "rewards are to be kept for 30 days and decisions for ever"),
        ({"decisions": 40, "exposures": 30}, "exposures are to be kept for 30 days"),
        ({"snapshots": 40}, "'snapshots' is no table of the log"),
    ],
)
def test_a_retention_that_would_teach_wrongly_is_refused(
    days: dict[str, int | None], says: str
) -> None:
    with pytest.raises(BadSpec, match=says):
        check(FOREVER | days, longest_window_s=600.0)


def test_the_longest_window_counts() -> None:
    days = FOREVER | {"decisions": 30}
    check(days, longest_window_s=22 * 86_400.0)
    with pytest.raises(BadSpec, match=f"must be {22 + 1 + LEAD_DAYS + 1} to"):
        check(days, longest_window_s=22 * 86_400.0 + 1)


@pytest.fixture
def bandit_retention(store: Store, clickhouse_url: str) -> Callable[..., Result]:
    def run(*changes: str) -> Result:
        environ = {
            "BANDIT_CLICKHOUSE_URL": clickhouse_url,
            "BANDIT_CLICKHOUSE_DATABASE": store.database,
        }
        return CliRunner().invoke(command, list(changes), env=environ)

    return run


def test_the_command_line_changes_and_shows_it(
    bandit_retention: Callable[..., Result],
) -> None:
    assert bandit_retention().stdout.split() == [
        word for table in FOREVER for word in (table, "forever")
    ]
    changed = bandit_retention("all=90", "outcomes=400", "assignments=forever")
    assert [" ".join(line.split()) for line in changed.stdout.splitlines()] == [
        "decisions 90 days",
        "rewards 90 days",
        "exposures 90 days",
        "outcomes 400 days",
        "assignments forever",
    ]
    assert bandit_retention().stdout == changed.stdout
    assert "forever" in bandit_retention("all=forever").stdout
    assert bandit_retention("all=forever").exit_code == 0
    for bad in ("all", "all=", "all=-3", "all=3.5", "decision=90"):
        refused = bandit_retention(bad)
        assert refused.exit_code == 1
        assert "must be" in refused.stderr
