"""tea-tasting over a log, as its user may: in ClickHouse, in DuckDB and with pandas.

Each joins rewards to decisions by event, adds up every metric per unit and has tea-tasting compare
the units' means. What the other two read is taken out of the log beforehand, which is not timed.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import ibis
import pandas as pd
import tea_tasting as tt

from bandit.store.client import Store

LOGGED = {
    "decisions": "SELECT toString(event_id) AS event_id, seq, unit_id, toString(variant) AS variant"
    " FROM decisions WHERE surface = 'home' AND experiment = 'e'",
    "rewards": "SELECT toString(event_id) AS event_id, seq, value FROM rewards"
    " WHERE surface = 'home' AND name = 'click'",
}
"""`seq` is the event's number in both."""


class Answer(NamedTuple):
    """What one way gave.

    Attributes:
        name: Of the way.
        took_s: Seconds of each time that it was asked.
        effects: Treatment − control, metric by metric.
    """

    name: str
    took_s: list[float]
    effects: list[float]


def answers(store: Store, url: str, metrics_n: int, times: int = 3) -> Iterator[Answer]:
    """Ask tea-tasting in every way.

    Args:
        store: With decisions of experiment `e` on surface `home`, and clicks.
        url: Of the same ClickHouse, with user and password.
        metrics_n: Metric `i` adds up the clicks of at least `i / metrics_n`.
        times: How often to ask each; pandas is asked once.
    """
    experiment = tt.Experiment({f"m{at}": tt.Mean(f"m{at}") for at in range(metrics_n)})

    def asked(name: str, units: Callable[[], Any], times: int) -> Answer:
        took, effects = [], []
        for _ in range(times):
            start = time.perf_counter()
            result = experiment.analyze(units(), control="c")
            took.append(time.perf_counter() - start)
            effects = [getattr(result[f"m{at}"], "effect_size") for at in range(metrics_n)]  # noqa: B009
        return Answer(name, took, effects)

    engine = ibis.connect(
        f"{url.replace('http', 'clickhouse', 1).rstrip('/')}/{store.database}",
        autogenerate_session_id=False,
    )
    decisions, rewards = engine.table("decisions"), engine.table("rewards")
    decisions = decisions.filter(decisions.surface == "home", decisions.experiment == "e")
    rewards = rewards.filter(rewards.surface == "home", rewards.name == "click")
    units = _units(_joined(decisions, rewards), metrics_n)
    yield asked("in ClickHouse, from the log itself", lambda: units, times)
    engine.disconnect()

    logged = {name: store._client.query_arrow(sql) for name, sql in LOGGED.items()}
    engine = ibis.duckdb.connect()
    engine.raw_sql("SET enable_progress_bar = false")
    for name, rows in logged.items():
        engine.con.register("logged", rows)
        engine.raw_sql(
            f"CREATE TABLE {name} AS SELECT * REPLACE (event_id::UUID AS event_id) FROM logged"
        )
    joined = _joined(engine.table("decisions"), engine.table("rewards"))
    units = _units(joined, metrics_n)
    yield asked("in DuckDB, from two tables in memory", lambda: units, times)
    engine.raw_sql(f"CREATE TABLE joined AS {ibis.to_sql(joined, dialect='duckdb')}")
    ready = _units(engine.table("joined"), metrics_n)
    yield asked("in DuckDB, joined beforehand", lambda: ready, times)
    engine.disconnect()

    frames = {name: rows.drop(["event_id"]).to_pandas() for name, rows in logged.items()}
    yield asked("with pandas, from two frames", lambda: _frame(frames, metrics_n), 1)


def _joined(decisions: Any, rewards: Any) -> Any:
    pairs = decisions.left_join(rewards.select("event_id", "value"), "event_id")
    return pairs.select("unit_id", "variant", value=pairs.value.fill_null(0.0))


def _units(events: Any, metrics_n: int) -> Any:
    sums = {
        f"m{at}": (events.value >= at / metrics_n).ifelse(events.value, 0.0).sum()
        for at in range(metrics_n)
    }
    return events.group_by("unit_id", "variant").aggregate(**sums)


def _frame(logged: dict[str, pd.DataFrame], metrics_n: int) -> pd.DataFrame:
    """The same units; events go by their numbers, which is quicker than by their ids."""
    events = logged["decisions"].merge(logged["rewards"], how="left", on="seq")
    value = events["value"].fillna(0.0)
    sums = {f"m{at}": value.where(value >= at / metrics_n, 0.0) for at in range(metrics_n)}
    keys = {"unit_id": events["unit_id"], "variant": events["variant"]}
    units = pd.DataFrame({**keys, **sums}).groupby(list(keys), sort=False).sum()
    return units.reset_index()
