"""The numbers of an experiment's report: from the log, or from what was kept of its units."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bandit.errors import StoreUnavailable
from bandit.logs import event
from bandit.stats import OrderStatistics
from bandit.stats.quantiles import SPREAD
from bandit.store.client import Statement, Store, statement
from bandit.store.numbers import ExperimentNumbers
from bandit.store.unit_answers import (
    ALL,
    Caps,
    Group,
    HourSums,
    Order,
    Slice,
    Tables,
    metric_numbers,
    periods_of,
    slices_of,
    variants_of,
)
from bandit.store.unit_parts import UnitParts
from bandit.store.unit_plan import ANY, UnitPlan
from bandit.store.unit_steps import Fault, Progress, Step, UnitSteps

log = logging.getLogger(__name__)
_ABOUT = "experiment=%s %s"

TOP_SEGMENTS = 50
CAP_FROM_UNITS = 1_000
"""A cap is looked for once so many units have a number of the metric."""

MOST_BUILDS = 3

Bound = dict[str, object]
Orders = dict[str, dict[Slice, dict[str, OrderStatistics]]]
ALONE: Bound = {"shard": 0, "shards_n": 1}
"""All units at once."""


class UnitNumbers:
    """Numbers of experiments; any thread or process may make its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def from_log(self, plan: UnitPlan, closed_ms: int) -> ExperimentNumbers:
        """Numbers from the raw rows; nothing is written.

        Args:
            plan: What to add up.
            closed_ms: Decisions up to then have all their rewards.

        Raises:
            StoreUnavailable: The store did not answer.
            RecordError: Numbers overflow.
        """
        steps = UnitSteps(self._store, plan)
        span = {"from_ms": -1, "reach_ms": 0, "through_ms": closed_ms}
        whole = plan.judged() | span | {"generation": "", "build": 0, "closed_ms": closed_ms}
        parts = UnitParts.of(self._store, plan, -1, closed_ms)
        sums: list[HourSums] = []
        for part in parts.sums(plan) if plan.surface else ():
            rows = self._store.rows("unit_sums", **(plan.joined() | part))
            sums += [HourSums(*row) for row in rows]
        known = {m: cap for m, (cap, at_ms) in steps.progress().caps.items() if at_ms <= closed_ms}
        caps = given_caps(plan) | self._found_caps(plan, whole | ALONE, known)
        return self._numbers(plan, whole, parts.shards(), sums, caps, "log")

    def statements(self, plan: UnitPlan, closed_ms: int, caps: Caps) -> list[Statement]:
        """The SQL that makes the numbers of a plan without segments from the raw rows.

        Args:
            plan: What to add up; of an experiment without segments.
            closed_ms: Decisions up to then have all their rewards.
            caps: That hold, by metric.
        """
        span = {"from_ms": -1, "reach_ms": 0, "through_ms": closed_ms}
        whole = plan.judged() | span | {"generation": "", "build": 0, "closed_ms": closed_ms}
        sliced: Bound = {"segment_names": [], "segment_tops": []}
        found = []
        if plan.surface is not None:
            own = span | ALONE | {"of_experiment": plan.experiment.key}
            found.append(statement("unit_sums", **(plan.joined() | own)))
        for place, metric in enumerate(plan.metrics, 1):
            if metric.cap_quantile is not None:
                at = {"place": place, "quantile": metric.cap_quantile}
                found.append(statement("unit_cap_of_log", **(whole | ALONE | at)))
        given = _moments_given(plan, given_caps(plan) | caps)
        found.append(statement("unit_moments_of_log", **(whole | sliced | ALONE | given)))
        for place, metric in enumerate(plan.metrics, 1):
            if metric.quantile is not None:
                at = {"place": place, "quantile": metric.quantile, "spread": SPREAD}
                found.append(statement("unit_orders_of_log", **(whole | sliced | ALONE | at)))
        return found

    def advance(self, plan: UnitPlan, closed_ms: int) -> None:
        """Bring the states of the units up to a time; from the log anew where they were spoilt.

        It may be cut off anywhere and run twice, also at the same time and by other hosts.

        Args:
            plan: What to add up.
            closed_ms: Decisions up to then have all their rewards, and nothing of the time before
                is still to come.

        Raises:
            StoreUnavailable: The store did not answer, or rows keep coming late: do it again.
            StoreRejected: The store refused.
        """
        steps = UnitSteps(self._store, plan)
        for _ in range(MOST_BUILDS):
            if self._advance(steps, plan, closed_ms):
                return
        raise StoreUnavailable(
            f"states of the units of {plan.experiment.key!r} were spoilt {MOST_BUILDS} times while "
            "they were made: rows keep coming for a time that was thought to be over"
        )

    def _advance(self, steps: UnitSteps, plan: UnitPlan, closed_ms: int) -> bool:
        """Whether it came to its end; else the build was spoilt, and another one is to begin."""
        while True:
            progress = steps.progress()
            done = progress.done
            # What was begun is completed: nobody can read the states until then.
            is_there = (
                done is not None and done.through_ms >= closed_ms and progress.claimed is None
            )
            # What had arrived is counted by the claim, and looked at after it: so nothing that
            # comes between two steps is in neither.
            step = None if is_there else steps.claim(progress, closed_ms)
            fault = steps.fault(progress) if is_there else steps.late(progress)
            if fault == "altered" or (fault == "late" and steps.is_log_whole(progress)):
                log.warning(_ABOUT, plan.experiment.key, fault, extra=event("unit_states_spoilt"))
                steps.spoil(progress)
                return False
            if fault is not None:
                log.warning(_ABOUT, plan.experiment.key, fault, extra=event("late_rows_left_out"))
            if step is None:
                return True
            if step.step == 1:
                steps.clear(progress)
            steps.write(step)
            now = steps.progress()
            if now.build != step.build:
                steps.clear(now)  # a unit may have been forgotten while it was written
                return False
            if not steps.finish(step, self._caps_at(plan, step, progress)):
                log.warning(
                    _ABOUT, plan.experiment.key, "altered", extra=event("unit_states_spoilt")
                )
                steps.spoil(progress)
                return False
            if step.through_ms >= closed_ms:
                return True

    def _caps_at(self, plan: UnitPlan, step: Step, progress: Progress) -> Caps:
        known = {metric: cap for metric, (cap, _) in progress.caps.items()}
        return self._found_caps(plan, _of_states(plan, step), known)

    def check(self, plan: UnitPlan) -> Fault | None:
        """What is wrong with the states, if anything is; `advance` mends it.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        steps = UnitSteps(self._store, plan)
        return steps.fault(steps.progress())

    def from_states(self, plan: UnitPlan) -> ExperimentNumbers | None:
        """Numbers as of the newest step; None: there is none, or the next one is under way.

        Raises:
            StoreUnavailable: The store did not answer.
            RecordError: Numbers overflow.
        """
        steps = UnitSteps(self._store, plan)
        progress = steps.progress()
        done = progress.done
        if done is None or progress.claimed is not None:
            return None
        rows = self._store.rows(
            "unit_sums_kept", generation=plan.generation, build=done.build, step=done.step
        )
        caps = given_caps(plan) | done.notes.caps
        numbers = self._numbers(
            plan, _of_states(plan, done), [ALONE], [HourSums(*row) for row in rows], caps, "states"
        )
        # Whoever went forward meanwhile has written over what was read.
        return numbers if steps.progress() == progress else None

    def _numbers(
        self,
        plan: UnitPlan,
        whole: Bound,
        shards: Sequence[Bound],
        sums: list[HourSums],
        caps: Caps,
        source: Literal["states", "log"],
    ) -> ExperimentNumbers:
        sliced = self._sliced(plan, whole | ALONE)
        groups: list[Group] = []
        for shard in shards:
            groups += self._groups(plan, whole | sliced | shard, caps)
        orders = self._orders(plan, whole | sliced | ALONE)
        tables = Tables.of(plan, groups)
        period_ms, periods = periods_of(groups, sums)
        of_all = [group for group in groups if group.sliced_by == "first_day"]
        closed_ms = whole["closed_ms"]
        assert isinstance(closed_ms, int)
        bots: dict[str, int] = {}
        for group in of_all:
            if group.bots_n:
                bots[group.variant] = bots.get(group.variant, 0) + group.bots_n
        return ExperimentNumbers(
            experiment=plan.experiment.key,
            generation=plan.generation,
            closed_ms=closed_ms,
            variants=variants_of(groups, sums),
            crossed_n=sum(group.crossed_n for group in of_all),
            forced_n=sum(group.forced_n for group in of_all),
            bots_n=bots,
            metrics=tuple(
                metric_numbers(
                    metric,
                    plan,
                    tables.by_slice[ALL][at],
                    orders.get(metric.key, {}).get(ALL, {}),
                    caps,
                )
                for at, metric in enumerate(plan.metrics)
            ),
            slices=slices_of(plan, tables, orders, caps),
            periods=periods,
            period_ms=period_ms,
            source=source,
        )

    def _rows(self, name: str, given: Bound, **more: object) -> list[tuple[Any, ...]]:
        """The answer of a query, over states if a generation is given, or else over the log."""
        which = name if given["generation"] else f"{name}_of_log"
        return self._store.rows(which, **given, **more)

    def _sliced(self, plan: UnitPlan, whole: Bound) -> Bound:
        """Segments, and the values of each that are told apart."""
        names = list(plan.experiment.segments)
        tops: list[list[str]] = [[] for _ in names]
        if names:
            rows = self._rows("unit_segment_tops", whole, tops_n=TOP_SEGMENTS)
            for place, value in rows:
                tops[place - 1].append(value)
        return {"segment_names": names, "segment_tops": tops}

    def _groups(self, plan: UnitPlan, given: Bound, caps: Caps) -> list[Group]:
        rows = self._rows("unit_moments", given, **_moments_given(plan, caps))
        return [Group(*row) for row in rows]

    def _orders(self, plan: UnitPlan, given: Bound) -> Orders:
        """Order statistics of every metric that is a quantile."""
        found: Orders = {}
        for place, metric in enumerate(plan.metrics, 1):
            if metric.quantile is None:
                continue
            of_metric = found.setdefault(metric.key, {})
            rows = self._rows(
                "unit_orders", given, place=place, quantile=metric.quantile, spread=SPREAD
            )
            for order in map(Order._make, rows):
                slice_ = (order.sliced_by, order.slice_value)
                of_metric.setdefault(slice_, {})[order.variant] = OrderStatistics(
                    n=order.units_n,
                    quantile=metric.quantile,
                    value=order.value,
                    lower=order.lower,
                    upper=order.upper,
                    n_near=order.units_n,
                )
        return found

    def _found_caps(self, plan: UnitPlan, whole: Bound, known: Mapping[str, float]) -> Caps:
        """Caps at a quantile: as they are known, or as they are found once there are units."""
        found: Caps = {}
        for place, metric in enumerate(plan.metrics, 1):
            if metric.cap_quantile is None:
                continue
            if metric.key in known:
                found[metric.key] = known[metric.key]
                continue
            [(units_n, cap)] = self._rows(
                "unit_cap", whole, place=place, quantile=metric.cap_quantile
            )
            if units_n >= CAP_FROM_UNITS:
                found[metric.key] = cap
        return found


def given_caps(plan: UnitPlan) -> Caps:
    """Caps that the metrics say themselves."""
    return {metric.key: metric.cap for metric in plan.metrics if metric.cap is not None}


def _moments_given(plan: UnitPlan, caps: Caps) -> Bound:
    """Parameters of what moments are made of, beside who counts."""
    return {
        "caps": [caps.get(metric.key, ANY) for metric in plan.metrics],
        "with_cap": plan.has_caps,
        "with_windows": any(metric.window_s is not None for metric in plan.metrics),
        "with_divisor": plan.has_divisors,
        "with_covariate_divisor": plan.has_covariate_divisors,
        "blocks_n": len(plan.blocks),
    }


def _of_states(plan: UnitPlan, step: Step) -> Bound:
    """Parameters of the units as a step left them, and of nothing from the log."""
    at_ms = step.through_ms
    nothing = {"from_ms": at_ms, "reach_ms": at_ms + 1, "through_ms": at_ms} | ALONE
    states = {"generation": plan.generation, "build": step.build, "closed_ms": at_ms}
    return plan.judged() | nothing | states
