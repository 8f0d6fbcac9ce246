"""The best of many settings: chosen by one part of the log, judged by another.

The best of many estimates is too good by luck. So the log is cut in time: candidates are compared
on what came first, and the one that is chosen is evaluated on what came later, which had no part in
the choice: its interval there needs no correction. It goes on learning all the while, as it would.
Numbers of the others are shown with intervals that hold for all that were tried together.

Source: successive halving: Karnin, Koren, Somekh (2013), "Almost optimal exploration in multi-armed
bandits", section 3; as a search over settings: Jamieson & Talwalkar (2016), "Non-stochastic best
arm identification and hyperparameter optimization".
"""

import math
import random
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from bandit.errors import NotEnoughData
from bandit.service.evaluating_results import (
    CandidateResult,
    EvaluationRun,
    EvaluationSettings,
    SearchResult,
    SearchRow,
)
from bandit.service.evaluating_specs import SearchPlan
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.log_range import LogRange, Part

_PARTS_N = 1_000
"""By the ends of so many parts the log is cut, about."""


class Evaluate(Protocol):
    """`evaluate_specs` of one surface, but for what a search decides."""

    def __call__(
        self,
        candidates: Mapping[str, PolicySpec],
        *,
        since_ms: int,
        until_ms: int,
        judge_ms: int = 0,
        settings: EvaluationSettings,
        stage: str,
    ) -> EvaluationRun:
        """Evaluate candidates on a time; `stage` says what it is done for."""
        ...


def search(
    plan: SearchPlan,
    evaluate: Evaluate,
    parts: list[Part],
    settings: EvaluationSettings,
    *,
    until_ms: int,
) -> EvaluationRun:
    """The chosen candidate, evaluated on what was held out; `search` of the run says the rest.

    Args:
        plan: What to try.
        evaluate: Does it.
        parts: Of the whole time; see `parts_of`.
        settings: How the chosen one is judged.
        until_ms: Where that time ends.

    Raises:
        NotEnoughData: The log is too short to be cut.
    """
    total = sum(part.rows_n for part in parts)
    if len(parts) < 2:  # a second is never cut
        raise NotEnoughData("seconds with decisions, to cut the log by,", len(parts), 2)
    split_ms = _end_of(parts, (1.0 - plan.held_out) * total)
    since_ms = parts[0].from_ms
    tried = _tried(plan)
    each = msgspec.structs.replace(settings, alpha=settings.alpha / len(tried), curve_n=1)
    rows: dict[str, SearchRow] = {}
    left = dict(tried)
    ends = _rungs(plan, parts, split_ms, len(tried))
    for rung, end_ms in enumerate(ends):
        run = evaluate(
            left,
            since_ms=since_ms,
            until_ms=end_ms,
            settings=each,
            stage=f"choosing, {rung + 1} of {len(ends)}",
        )
        best = sorted(run.candidates, key=_worth, reverse=True)
        for candidate in best:
            rows[candidate.name] = _row(candidate, run.n, rung)
        if rung + 1 < len(ends):
            kept_n = max(1, math.ceil(len(best) / plan.keep))
            left = {candidate.name: tried[candidate.name] for candidate in best[:kept_n]}
    chosen = best[0].name if best[0].value is not None else None
    judged = evaluate(
        {chosen: tried[chosen]} if chosen else {best[0].name: tried[best[0].name]},
        since_ms=since_ms,
        until_ms=until_ms,
        judge_ms=split_ms,
        settings=settings,
        stage="judging",
    )
    order = sorted(rows.values(), key=lambda row: (row.rung, _number(row.value)), reverse=True)
    found = SearchResult(
        method=plan.method,
        tried_n=len(tried),
        split_ms=split_ms,
        rows=tuple(order),
        chosen=chosen,
        correction=_correction(len(tried), settings.alpha, plan.held_out, judged.n),
    )
    return msgspec.structs.replace(judged, search=found)


def parts_of(
    open_store: Callable[[], Store], surface: str, since_ms: int, until_ms: int
) -> list[Part]:
    """Fine parts of a surface's log, to cut it by.

    Raises:
        NotDeclared: No such surface.
        StoreUnavailable: The store did not answer.
    """
    store = open_store()
    try:
        Definitions(store).get(Surface.kind, surface)
        rows_n = sum(part.rows_n for part in LogRange(store, surface).parts(since_ms, until_ms))
        fine = LogRange(store, surface, rows_n=max(1, rows_n // _PARTS_N))
        return fine.parts(since_ms, until_ms)
    finally:
        store.close()


def _tried(plan: SearchPlan) -> dict[str, PolicySpec]:
    names = list(plan.combinations)
    if plan.method == "random" and plan.tried < len(names):
        drawn = set(random.Random(plan.seed).sample(names, plan.tried))
        names = [name for name in names if name in drawn]
    return {name: plan.combinations[name] for name in names}


def _rungs(plan: SearchPlan, parts: list[Part], split_ms: int, tried_n: int) -> list[int]:
    """Where each rung ends; the last one at the split."""
    if plan.method != "halving":
        return [split_ms]
    before = [part for part in parts if part.from_ms < split_ms]
    total = sum(part.rows_n for part in before)
    rungs_n = max(1, math.ceil(math.log(tried_n, plan.keep)))
    ends = [_end_of(before, total / plan.keep ** (rungs_n - 1 - rung)) for rung in range(rungs_n)]
    return sorted({*ends[:-1], split_ms})


def _end_of(parts: list[Part], rows_n: float) -> int:
    """The end of the part in which so many rows are reached, never the last one."""
    seen = 0
    for part in parts[:-1]:
        seen += part.rows_n
        if seen >= rows_n:
            return part.through_ms + 1
    return parts[-1].from_ms


def _row(candidate: CandidateResult, n: int, rung: int) -> SearchRow:
    return SearchRow(
        name=candidate.name,
        spec=candidate.spec,
        rung=rung,
        n=n,
        value=candidate.value,
        interval=candidate.interval,
        verdict=candidate.evaluation.verdict,
    )


def _worth(candidate: CandidateResult) -> float:
    return _number(candidate.value)


def _number(value: float | None) -> float:
    return -math.inf if value is None else value


def _correction(tried_n: int, alpha: float, held_out: float, n: int) -> str:
    level = f"{100 * (1 - alpha / tried_n):.6g}"
    return (
        f"The best of {tried_n} was chosen on the first {100 * (1 - held_out):g} % of the "
        f"decisions. What is said of it is from the last {100 * held_out:g} % alone ({n} decisions "
        "judged), which had no part in the choice, so its interval needs no correction. Intervals "
        f"of what was tried hold for all {tried_n} together (each at {level} %, Bonferroni)."
    )
