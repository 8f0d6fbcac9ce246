"""What metrics, units and variants are, in plain Python over records: a second implementation."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from bandit.records import Assigned, Decision, Exposure, Outcome, Reward
from bandit.specs import Experiment, Metric, Surface
from tests.bandit.logs import LogMaker


class Row(NamedTuple):
    record: object
    writer: str
    seq: int


class RememberingLog(LogMaker):
    """A log that can be read without a store."""

    def __init__(self, store, **given) -> None:
        super().__init__(store, **given)
        self.rows: list[Row] = []

    def put(self, record, writer: str = "w1"):
        super().put(record, writer)
        self.rows.append(Row(record, writer, len(self.rows)))
        return record

    def forget(self, unit: str) -> None:
        events = {
            r.record.event_id
            for r in self.rows
            if getattr(r.record, "unit_id", "") == unit and isinstance(r.record, Decision)
        }
        self.rows = [
            r
            for r in self.rows
            if getattr(r.record, "unit_id", "") != unit
            and getattr(r.record, "event_id", "") not in events
        ]


class Event(NamedTuple):
    ts_ms: int
    value: float


class Seen(NamedTuple):
    decision: Decision
    reward: float
    by_name: dict[str, float]
    is_seen: bool
    is_rewarded: bool


class Unit(NamedTuple):
    variants: set[str]
    is_forced: bool
    first_ms: int
    first_context: object
    decisions_n: int
    has_seen: bool


def first_rows(rows: Iterable[Row], key) -> list:
    """The first record of each key by (time, writer, seq)."""
    found: dict[object, object] = {}
    for row in sorted(rows, key=lambda r: (r.record.ts_ms, r.writer, r.seq)):
        found.setdefault(key(row.record), row.record)
    return list(found.values())


def judged(rows: list[Row], surface: Surface, closed_ms: int) -> list[Seen]:
    """Decisions up to a time, with what their top slots earned (rewards of a name are summed)."""
    decisions = first_rows(
        (r for r in rows if isinstance(r.record, Decision) and r.record.ts_ms <= closed_ms),
        lambda d: d.event_id,
    )
    rewards, exposures = defaultdict(list), defaultdict(list)
    for row in rows:
        if isinstance(row.record, Reward):
            rewards[row.record.event_id].append(row)
        elif isinstance(row.record, Exposure):
            exposures[row.record.event_id].append(row.record)
    window_ms = round(surface.join_window_s * 1000)
    answer = []
    for decision in decisions:
        timely = [
            r
            for r in rewards[decision.event_id]
            if 0 <= r.record.ts_ms - decision.ts_ms < window_ms
            and surface.reward_low <= r.record.value <= surface.reward_high
        ]
        totals: dict[str, float] = {}
        for reward in first_rows(timely, lambda r: r.reward_id):
            if reward.slot == 0:
                totals[reward.name] = totals.get(reward.name, 0.0) + reward.value
        weights = surface.reward_weights
        total = sum(v * (weights.get(name, 0.0) if weights else 1.0) for name, v in totals.items())
        total = max(surface.reward_low, min(surface.reward_high, total))
        was_exposed = any(
            0 <= e.ts_ms - decision.ts_ms < window_ms and 0 in e.slots
            for e in exposures[decision.event_id]
        )
        answer.append(
            Seen(
                decision,
                total if totals else surface.default_reward,
                totals,
                not decision.deferred or was_exposed or bool(totals),
                bool(totals),
            )
        )
    return answer


class Reference:
    """Everything about one experiment, as of a time."""

    def __init__(
        self, rows: list[Row], experiment: Experiment, surface: Surface | None, closed_ms: int
    ) -> None:
        self.experiment, self.closed_ms = experiment, closed_ms
        self.judged = judged(rows, surface, closed_ms) if surface else []
        self.outcomes: dict[str, list[Outcome]] = defaultdict(list)
        given = (r for r in rows if isinstance(r.record, Outcome) and r.record.ts_ms <= closed_ms)
        for outcome in first_rows(given, lambda o: (o.unit_id, o.name, o.outcome_id)):
            self.outcomes[outcome.unit_id].append(outcome)
        self.own: dict[str, list[Seen]] = defaultdict(list)
        self.on_surface: dict[str, list[Seen]] = defaultdict(list)
        for seen in self.judged:
            self.on_surface[seen.decision.unit_id].append(seen)
            if seen.decision.experiment == experiment.key:
                self.own[seen.decision.unit_id].append(seen)
        told: dict[str, list[Assigned]] = defaultdict(list)
        for row in rows:
            record = row.record
            if surface is not None or not isinstance(record, Assigned):
                continue
            if record.ts_ms <= closed_ms and record.experiment == experiment.key:
                told[record.unit_id].append(record)
        self.units = {key: self._unit(seen) for key, seen in self.own.items()}
        for key, records in told.items():
            self.units[key] = Unit(
                {r.variant for r in records},
                any(r.forced for r in records),
                min(r.ts_ms for r in records),
                {},
                0,
                False,
            )

    def _unit(self, seen: list[Seen]) -> Unit:
        first = min((s.decision for s in seen), key=lambda d: d.ts_ms)
        context = msgspec.json.decode(first.request)["context"]
        counted = [s for s in seen if not s.decision.forced]
        return Unit(
            {s.decision.variant for s in seen},
            any(s.decision.forced for s in seen),
            first.ts_ms,
            context,
            len(counted),
            any(s.is_seen for s in counted),
        )

    def fate(self, key: str) -> str:
        """`forced`, `crossed`, `bot`, or its variant behind a colon."""
        unit = self.units[key]
        if unit.is_forced:
            return "forced"
        if len(unit.variants) > 1:
            return "crossed"
        most = self.experiment.bot_decisions
        if most is not None and unit.decisions_n > most:
            return "bot"
        return ":" + next(iter(unit.variants))

    def events(self, key: str, source: str, name: str, *, before: bool) -> list[Event]:
        first_ms = self.units[key].first_ms
        if source == "outcome":
            return [
                Event(o.ts_ms - first_ms, o.value)
                for o in self.outcomes[key]
                if name in ("", o.name) and (o.ts_ms < first_ms) == before
            ]
        rows = self.on_surface[key] if before else self.own[key]
        return [
            Event(s.decision.ts_ms - first_ms, s.by_name[name] if name else s.reward)
            for s in rows
            if s.is_seen
            and not s.decision.forced
            and (not name or name in s.by_name)
            and (s.decision.ts_ms < first_ms) == before
        ]

    def number(
        self, key: str, metric: Metric, *, before_ms: int | None = None, own: bool = True
    ) -> tuple[float | None, float]:
        """A unit's number (None: it has none) and what a ratio divides it by."""

        def timely(event: Event) -> bool:
            if before_ms is not None:
                return -before_ms <= event.ts_ms < 0
            since = round(metric.from_s * 1000)
            if metric.window_s is None:
                return event.ts_ms >= since
            return since <= event.ts_ms < since + round(metric.window_s * 1000)

        def taken(source: str, name: str, low, high) -> list[float]:
            found = self.events(key, source, name, before=before_ms is not None)
            return [
                e.value
                for e in found
                if timely(e)
                and (low is None or e.value >= low)
                and (high is None or e.value <= high)
            ]

        values = taken(metric.source, metric.name, metric.at_least, metric.at_most)
        over = 0.0
        if metric.denominator is not None:
            given = metric.denominator
            if given.source == "decision":
                over = float(len(taken("reward", "", None, None)))
            else:
                divisors = taken(given.source, given.name, given.at_least, given.at_most)
                over = float(len(divisors)) if given.type == "count" else sum(divisors)
        if metric.per == "decision":
            n = len(taken("reward", "", None, None))
            return (sum(values) / n if n else None), over
        if metric.type == "count":
            return float(len(values)), over
        if metric.type in ("proportion", "retention"):
            return float(bool(values)), over
        if metric.type == "mean":
            return (sum(values) / len(values) if values else None), over
        if metric.type == "ratio" and not own:
            return (sum(values) / over if over else 0.0), over
        return sum(values), over

    def is_ripe(self, key: str, metric: Metric) -> bool:
        if metric.window_s is None:
            return True
        end = round(metric.from_s * 1000) + round(metric.window_s * 1000)
        return self.units[key].first_ms + end <= self.closed_ms

    def columns(
        self, metric: Metric, declared: Mapping[str, Metric], keys: Iterable[str]
    ) -> list[list[float]]:
        """The metric's columns over some units that belong: those that have a number of it."""
        rows = []
        for key in keys:
            if not self.is_ripe(key, metric):
                continue
            if metric.source == "reward" and not self.units[key].has_seen:
                continue
            value, over = self.number(key, metric)
            if value is None:
                continue
            row = [value if metric.cap is None else min(value, metric.cap)]
            row += [value] if metric.cap is not None or metric.cap_quantile is not None else []
            row += [over] if metric.type == "ratio" else []
            if metric.covariate_window_s is not None:
                before_ms = round(metric.covariate_window_s * 1000)
                covariate, covariate_over = self.number(key, metric, before_ms=before_ms)
                row += [covariate or 0.0]
                row += [covariate_over] if metric.type == "ratio" else []
                for other in metric.covariates:
                    row += [
                        self.number(key, declared[other], before_ms=before_ms, own=False)[0] or 0.0
                    ]
            rows.append(row)
        return [list(column) for column in zip(*rows, strict=True)]


def inverted(values: list[float], share: float) -> float:
    """Least value with at least `share` of them at or below it."""
    rows = sorted(values)
    return rows[max(1, math.ceil(share * len(rows) - 1e-9)) - 1]
