"""What a report costs once its numbers are kept: the whole of it, definitions to payload."""

import statistics
import time
from collections.abc import Sequence

import msgspec

from bandit.service.reporting import ReportService
from bandit.service.reporting_declared import DeclaredAt
from bandit.service.reporting_numbers import Watching, judging_of, watching_of
from bandit.specs import AnySpec, Experiment, PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.kept import HOUR_MS, KeptNumbers
from bandit.store.numbers import ExperimentNumbers
from bandit.store.numbers_surface import POINTS, Mark, SurfaceNumbers
from bandit.store.reports import LogRows, RunningBucket, Span

ROWS_N = 240
"""Earlier rows that are kept of the experiment: ten days of full hours."""


def kept_report(
    store: Store,
    experiment: Experiment,
    surface: Surface,
    metrics: Sequence[AnySpec],
    numbers: ExperimentNumbers,
    *,
    as_of_ms: int,
    times: int = 30,
) -> float:
    """Keep numbers among others, and time the report that reads them; its median in seconds.

    Args:
        store: With a log of the surface.
        experiment: To be declared.
        surface: Likewise.
        metrics: Likewise.
        numbers: Of the experiment, as of `as_of_ms`.
        as_of_ms: The time that they are of.
        times: How often to ask.
    """
    policies = dict.fromkeys([surface.policy, *(v.policy for v in experiment.variants)])
    made = [PolicySpec(key=key, type="uniform") for key in policies if key is not None]
    for spec in (*made, *metrics, surface, experiment):
        Definitions(store).put(spec, expected=None, author="b", change_id=spec.key, now_ms=1)
    declared, kept = DeclaredAt(Definitions(store)), KeptNumbers(store)
    generation = judging_of(declared, experiment).plan.generation
    for at in range(ROWS_N, -1, -1):
        kept.keep("experiment", experiment.key, as_of_ms - at * HOUR_MS, generation, numbers, 0)
    watching = watching_of(declared, surface, as_of_ms)
    found = _surface(watching, experiment, as_of_ms)
    kept.keep("surface", surface.key, as_of_ms, watching.generation, found, 0)
    reports = ReportService(store, lambda: as_of_ms + 1000)
    took, busy = [], []
    for _ in range(times):
        start, start_busy = time.perf_counter(), time.process_time()
        report = reports.experiment(experiment.key)
        took.append(time.perf_counter() - start)
        busy.append(time.process_time() - start_busy)
        assert report.source == "kept"
    quartiles = statistics.quantiles(took, n=100)
    size = len(msgspec.json.encode(report))
    print(
        f"report from kept numbers            {statistics.median(took) * 1000:10.1f} ms, "
        f"p99 {quartiles[98] * 1000:.1f} ms, least {min(took) * 1000:.1f} ms, "
        f"our own processor time {statistics.median(busy) * 1000:.1f} ms, {size / 1000:.0f} kB"
    )
    return statistics.median(took)


def _surface(watching: Watching, experiment: Experiment, as_of_ms: int) -> SurfaceNumbers:
    """A surface's numbers with as many points as there can be."""
    step_ms = HOUR_MS
    first_ms = as_of_ms - POINTS * step_ms
    times_ms = [first_ms + at * step_ms for at in range(POINTS)]
    labels = [variant.key for variant in experiment.variants]
    running = [RunningBucket(label, at_ms, 100, 17.5) for label in labels for at_ms in times_ms]
    return SurfaceNumbers(
        surface=watching.surface.key,
        generation=watching.generation,
        as_of_ms=as_of_ms,
        closed_ms=as_of_ms,
        span=Span(watching.surface.key, first_ms, as_of_ms, 100 * POINTS, 0),
        counts={},
        targets=(),
        since_ms=None,
        outside={},
        bucket_ms=step_ms,
        rate=tuple((at_ms, 100) for at_ms in times_ms),
        running=tuple(running),
        running_variants={experiment.key: tuple(running)},
        marks={"p": tuple(Mark(n, at_ms, n, n) for n, at_ms in enumerate(times_ms))},
        log_rows={table: LogRows(1, 1) for table in ("decisions", "rewards", "exposures")},
        thinned_n=0,
        stand_for=0,
        served={},
        latency={},
    )
