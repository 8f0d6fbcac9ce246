"""What policies would have earned, had they learned from a surface's log as it came.

Progressive (prequential) evaluation: see `evaluating_pass` for who learns what when. All candidates
of a process see the log in one pass. Candidates are told apart by process, so results do not depend
on how many there are, nor on the executor: each pass is a function of the log.

Source: Dawid (1984), "Present position and potential developments: the prequential approach";
Dudík, Erhan, Langford, Li (2012), "Sample-efficient nonstationary policy evaluation for contextual
bandits"; Bietti, Agarwal, Langford (2021), "A contextual bandit bake-off", section 4 (progressive
validation).
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import NamedTuple

from bandit.errors import BadSpec, BanditError
from bandit.policies import check_spec
from bandit.policies.together import Worths
from bandit.service.evaluating_judging import (
    Rules,
    logged_value,
    pairs_of,
    result_of,
)
from bandit.service.evaluating_pass import Learned, Pass
from bandit.service.evaluating_results import CandidateResult, EvaluationRun, EvaluationSettings
from bandit.service.evaluating_rows import Shared
from bandit.service.logged import ClosedLog
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.log_range import PART_ROWS, QUERIES

OpenStore = Callable[[], Store]
"""Opens a connection of its own in whatever process calls it; it must be picklable for several."""
LOOK_S = 0.2


class Stopped(BanditError):
    """The evaluation was stopped before its end."""

    code = "evaluation_stopped"


class Span(NamedTuple):
    """Decisions made in `[since_ms, until_ms)`, as of `now_ms`; judged by from `judge_ms` on."""

    since_ms: int
    until_ms: int
    now_ms: int
    judge_ms: int


class Progress(NamedTuple):
    """How far an evaluation has come.

    Attributes:
        done_n: Decisions read by all processes together.
        total_n: Decisions that they will read.
    """

    done_n: int
    total_n: int


class Outcome(NamedTuple):
    """What one process brings home."""

    shared: Shared
    learned: dict[str, Learned]
    results: dict[str, CandidateResult]


def evaluate_specs(
    open_store: OpenStore,
    surface: str,
    candidates: Mapping[str, PolicySpec],
    *,
    now_ms: int,
    since_ms: int = 0,
    until_ms: int | None = None,
    judge_ms: int = 0,
    settings: EvaluationSettings | None = None,
    executor: Executor | None = None,
    workers_n: int = 1,
    rows_n: int = PART_ROWS,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> EvaluationRun:
    """What each candidate would have earned on the logged traffic of a surface.

    Args:
        open_store: Opens a store wherever the candidates are.
        surface: Key of a declared surface.
        candidates: Specs by name. Those that learn are taken to learn from this surface.
        now_ms: The time now.
        since_ms: The first decision that counts: candidates are untrained before.
        until_ms: The first that counts no more; None: all up to now.
        judge_ms: Decisions made before then are learned from, and not judged by.
        settings: How; None: the defaults.
        executor: Runs `workers_n` tasks; None runs all in this process. Any will do that can pickle
            `open_store`: processes of this host, or `distributed.Client(…).get_executor()`.
        workers_n: Into how many tasks the candidates are divided; each reads the log once.
        rows_n: Decisions in memory at a time, about; a process holds one part, fetches another,
            and keeps what waits for its join window.
        watch: Told how far it has come, about every `LOOK_S`; what it raises stops everything.

    Returns:
        The same for the same log and settings, whatever the executor.

    Raises:
        BadSpec: No candidates, or one that can not be evaluated; the message names it.
        NotDeclared: The surface is not.
        StoreUnavailable: The store did not answer.
    """
    how = settings or EvaluationSettings()
    specs = checked(candidates, surface, how)
    store = open_store()
    try:
        definition = Definitions(store).get(Surface.kind, surface)
        declared = definition.spec
        assert isinstance(declared, Surface)
        span = Span(since_ms, now_ms + 1 if until_ms is None else until_ms, now_ms, judge_ms)
        if executor is None:
            outcome = _alone(store, declared, specs, how, span, rows_n, watch)
    finally:
        store.close()
    if executor is not None:
        task = _Task(open_store, declared, how, span, rows_n)
        outcome = _spread(task, specs, executor, workers_n, watch)
    return run_of(outcome, declared, definition.version, specs, how, span)


def checked(
    candidates: Mapping[str, PolicySpec], surface: str, settings: EvaluationSettings
) -> dict[str, PolicySpec]:
    """Specs that can be evaluated on a surface.

    Raises:
        BadSpec: None at all, or one that can not be; the message names it.
    """
    if not candidates:
        raise BadSpec("no candidates are given, must be at least one")
    if settings.mode == "dr":
        Worths(settings.reward_model)
    for name, spec in candidates.items():
        if spec.learns and spec.surface != surface:
            raise BadSpec(
                f"candidate {name!r} learns from surface {spec.surface!r}, must be {surface!r}"
            )
        try:
            check_spec(spec)
        except BadSpec as exc:
            # A target may well leave actions without probability: it only has to be evaluated.
            if "can leave an action without any probability" not in str(exc):
                raise BadSpec(f"candidate {name!r}: {exc}") from exc
    return dict(candidates)


def run_of(
    outcome: Outcome,
    surface: Surface,
    version: int,
    specs: Mapping[str, PolicySpec],
    settings: EvaluationSettings,
    span: Span,
) -> EvaluationRun:
    """What came of a pass, judged."""
    shared, rules = outcome.shared, Rules(surface, settings)
    logged, interval = logged_value(shared, rules)
    results = tuple(outcome.results[name] for name in specs)
    return EvaluationRun(
        surface=surface.key,
        surface_version=version,
        since_ms=max(span.since_ms, span.judge_ms),
        until_ms=span.until_ms,
        made_at_ms=span.now_ms,
        n=len(shared.reward),
        units_n=int(shared.unit.max()) + 1 if len(shared.unit) else 0,
        excluded=dict(sorted(shared.excluded.items())),
        waiting_n=shared.waiting_n,
        thinned=bool((shared.share < 1.0).any()),
        logged=logged,
        logged_interval=interval,
        candidates=results,
        pairs=pairs_of(results, shared, outcome.learned, rules),
        settings=settings,
        snapshots=dict(sorted(shared.snapshots.items())),
        queries=QUERIES,
    )


class _Task(NamedTuple):
    """What a process is told."""

    open_store: OpenStore
    surface: Surface
    settings: EvaluationSettings
    span: Span
    rows_n: int

    def __call__(self, specs: Mapping[str, PolicySpec], slate: Path) -> Outcome:
        """Read the log once with some of the candidates.

        Args:
            specs: Whose turn it is.
            slate: A file that tells the caller how far this has come. Its folder goes away when
                nobody wants to know any more, and then this ends.
        """
        store = self.open_store()
        try:
            log = _log(store, self.surface, self.span, self.rows_n)
            is_watched = slate.parent.is_dir()  # on another host it never is

            def tell(rows_n: int) -> None:
                if not is_watched:
                    return
                try:
                    slate.write_text(f"{rows_n} {log.rows_n}")
                except FileNotFoundError as exc:
                    raise Stopped("evaluation was stopped") from exc

            return _passed(log, self.surface, specs, self.settings, self.span, tell)
        finally:
            store.close()


def _log(store: Store, surface: Surface, span: Span, rows_n: int) -> ClosedLog:
    return ClosedLog(
        store,
        surface,
        now_ms=span.now_ms,
        since_ms=span.since_ms,
        until_ms=span.until_ms,
        rows_n=rows_n,
    )


def _passed(
    log: ClosedLog,
    surface: Surface,
    specs: Mapping[str, PolicySpec],
    settings: EvaluationSettings,
    span: Span,
    tell: Callable[[int], None],
) -> Outcome:
    done = Pass(log, surface, specs, settings, judge_ms=span.judge_ms).run(tell)
    shared, rules = done.shared, Rules(surface, settings)
    results = {
        name: result_of(name, spec, shared, done.learned[name], rules)
        for name, spec in specs.items()
    }
    return Outcome(shared, done.learned, results)


def _alone(
    store: Store,
    surface: Surface,
    specs: Mapping[str, PolicySpec],
    settings: EvaluationSettings,
    span: Span,
    rows_n: int,
    watch: Callable[[Progress], None],
) -> Outcome:
    log = _log(store, surface, span, rows_n)
    watch(Progress(0, log.rows_n))
    return _passed(
        log, surface, specs, settings, span, lambda done_n: watch(Progress(done_n, log.rows_n))
    )


def _spread(
    task: _Task,
    specs: Mapping[str, PolicySpec],
    executor: Executor,
    workers_n: int,
    watch: Callable[[Progress], None],
) -> Outcome:
    """Candidates dealt out to tasks; all of them are ended if one fails or `watch` raises."""
    hands = [hand for hand in dealt(specs, workers_n) if hand]
    with tempfile.TemporaryDirectory(prefix="bandit-evaluate-") as folder:
        slates = [Path(folder) / str(number) for number in range(len(hands))]
        futures: list[Future[Outcome]] = [
            executor.submit(task.__call__, hand, slate)
            for hand, slate in zip(hands, slates, strict=True)
        ]
        try:
            waiting: set[Future[Outcome]] = set(futures)
            while waiting:
                done, waiting = wait(waiting, timeout=LOOK_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                watch(_told(slates))
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    outcomes = [future.result() for future in futures]
    return Outcome(
        outcomes[0].shared,
        {name: each for outcome in outcomes for name, each in outcome.learned.items()},
        {name: each for outcome in outcomes for name, each in outcome.results.items()},
    )


def dealt(specs: Mapping[str, PolicySpec], hands_n: int) -> list[dict[str, PolicySpec]]:
    """Candidates in turn to each of some hands, so that like ones are spread.

    >>> a, b, c = (PolicySpec(key=key, type="uniform") for key in "abc")
    >>> [list(hand) for hand in dealt({"a": a, "b": b, "c": c}, 2)]
    [['a', 'c'], ['b']]
    """
    items: Sequence[tuple[str, PolicySpec]] = list(specs.items())
    return [dict(items[place::hands_n]) for place in range(max(1, hands_n))]


def _told(slates: Sequence[Path]) -> Progress:
    """What the tasks have told so far; one that has told nothing will have as much to do."""
    told = [found for slate in slates for found in _read(slate)]
    total = max((total_n for _, total_n in told), default=0) * len(slates)
    return Progress(sum(done_n for done_n, _ in told), total)


def _read(slate: Path) -> Iterator[tuple[int, int]]:
    with contextlib.suppress(OSError, ValueError):
        done_n, total_n = slate.read_text().split()
        yield int(done_n), int(total_n)
