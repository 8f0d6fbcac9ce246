"""What a surface's traffic allows: kept numbers of its past experiments as baselines of a plan."""

from collections.abc import Mapping, Sequence

from bandit.errors import RecordError
from bandit.service.planning import (
    MetricBaseline,
    Planning,
    PlanQuestion,
    baseline_of,
    plan_of,
    units_per_day_of,
)
from bandit.service.reporting_declared import REWARD, DeclaredAt
from bandit.specs import BUCKETS, Experiment, Metric
from bandit.store.kept import Kept, KeptNumbers, Kind

DAY_MS = 86_400_000


def planning_of(
    declared: DeclaredAt,
    kept: KeptNumbers,
    surface: str,
    at_ms: int,
    metric: str | None,
    question: PlanQuestion,
) -> Planning:
    """What a surface's traffic allows; one query of kept numbers, and no row of the log.

    Args:
        declared: As of when.
        kept: Numbers of the store.
        surface: Its key.
        at_ms: No later numbers.
        metric: To plan for; None: the first that is known, or typed-in numbers.
        question: What is asked.

    Raises:
        NotDeclared: No such surface.
        RecordError: The metric is not one of the surface's experiments, or no number of a share.
        StoreUnavailable: The store did not answer.
    """
    declared.definition("surface", surface)
    experiments = [one for one in declared.experiments(surface) if one.status != "draft"]
    asked: list[tuple[Kind, str, str]] = [("experiment", one.key, "") for one in experiments]
    found = kept.newest_of([*asked, ("surface", surface, "")], at_ms)
    metrics = _baselines(declared, experiments, found)
    keys = [one.metric for one in metrics]
    if metric is not None and metric not in keys:
        named = ", ".join(str(key) for key in keys) or "none: no experiment ran here"
        raise RecordError(f"metric is {metric!r}, must be one of {named}")
    typed = question.mean is not None
    baseline = next((one for one in metrics if metric in (None, one.metric)), None)
    if metric is None and typed:
        baseline = MetricBaseline(type=question.type)
    pace, pace_from = _pace(experiments, found, surface)
    return Planning(
        key=surface,
        as_of_ms=max((one.as_of_ms for one in found.values()), default=None),
        units_per_day=pace,
        units_from=pace_from,
        metrics=metrics,
        baseline=baseline,
        question=question,
        plan=None if baseline is None else plan_of(baseline, question, pace),
    )


def typed_planning(question: PlanQuestion) -> Planning:
    """A plan from typed-in numbers alone.

    Raises:
        RecordError: A number is none that the metric can have.
    """
    baseline = MetricBaseline(type=question.type)
    return Planning(baseline=baseline, question=question, plan=plan_of(baseline, question, None))


def _baselines(
    declared: DeclaredAt,
    experiments: Sequence[Experiment],
    found: Mapping[tuple[str, str], Kept],
) -> tuple[MetricBaseline, ...]:
    """Every metric that any experiment here has numbers of: the newest with at least two units."""
    known: dict[str, MetricBaseline] = {}
    for experiment in experiments:
        kept = found.get(("experiment", experiment.key))
        if kept is None:
            continue
        specs = {spec.key: spec for spec in _metrics(declared, experiment)}
        for numbers in kept.numbers.metrics:
            spec = specs.get(numbers.metric)
            if spec is None:
                continue
            one = baseline_of(spec, numbers, experiment.control, experiment.key, kept.as_of_ms)
            before = known.get(spec.key)
            if before is None or _rank(one) > _rank(before):
                known[spec.key] = one
    return tuple(sorted(known.values(), key=lambda one: one.sd is None))


def _rank(found: MetricBaseline) -> tuple[bool, int, int]:
    return found.sd is not None, found.as_of_ms or 0, found.units_n


def _metrics(declared: DeclaredAt, experiment: Experiment) -> list[Metric]:
    """As declared now; none if one of them is gone."""
    return declared.metrics_of(experiment) or [REWARD]


def _pace(
    experiments: Sequence[Experiment], found: Mapping[tuple[str, str], Kept], surface: str
) -> tuple[float | None, str]:
    """New units a day, and whose arrivals tell."""
    running = sorted(
        (one for one in experiments if ("experiment", one.key) in found),
        key=lambda one: (one.status == "running", found["experiment", one.key].as_of_ms),
        reverse=True,
    )
    for experiment in running:
        numbers = found["experiment", experiment.key].numbers
        arrivals = [(period.at_ms, period.units_n) for period in numbers.periods]
        pace = units_per_day_of(arrivals, numbers.closed_ms, _share(experiment))
        if pace:
            return pace, experiment.key
    kept = found.get(("surface", surface))
    span = None if kept is None else kept.numbers.span
    if kept is None or span is None or span.newest_ms <= span.first_ms:
        return None, ""
    units_n = sum(count.units_n for count in kept.numbers.counts.values())
    return units_n * DAY_MS / (span.newest_ms - span.first_ms), "surface"


def _share(experiment: Experiment) -> float:
    """Of the surface's units that could be in it; targeting is not known."""
    own = sum(high - low for variant in experiment.variants for low, high in variant.allocation)
    layer = sum(high - low for low, high in experiment.layer_buckets)
    return own / BUCKETS * layer / BUCKETS
