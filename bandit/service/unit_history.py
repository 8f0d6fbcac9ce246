"""A surface's or an experiment's own units with their numbers, for splitting them anew."""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.errors import NotDeclared, RecordError
from bandit.service.reporting_declared import REWARD, DeclaredAt
from bandit.specs import Experiment, Metric, Surface, Variant
from bandit.specs.base import BUCKETS
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.unit_plan import UnitPlan
from bandit.store.unit_rows import UnitRows, UnitTable


class UnitHistory(NamedTuple):
    """Units and the metrics that they have numbers of.

    Attributes:
        metrics: Those asked for, quantiles too, which the table has no columns of.
        table: The units.
        closed_ms: Decisions up to then are in it, with all their rewards.
    """

    metrics: tuple[Metric, ...]
    table: UnitTable
    closed_ms: int


def unit_history(
    store: Store, key: str, metrics: Sequence[str] = (), *, at_ms: int, since_ms: int = 0
) -> UnitHistory:
    """Units of an experiment, or of everything that ran on a surface.

    Args:
        store: Whose log and definitions.
        key: Of an experiment, or else of a surface.
        metrics: Keys; none: those of the experiment, or of all experiments on the surface.
        at_ms: As of when.
        since_ms: Only units that came from then on.

    Raises:
        NotDeclared: There is neither such an experiment nor such a surface, or no such metric.
        RecordError: A metric of rewards, of an experiment without a surface; no metric at all.
        StoreUnavailable: The store did not answer.
    """
    declared = DeclaredAt(Definitions(store))
    experiment = _experiment(declared, key)
    if experiment is not None:
        surface = None if experiment.surface is None else declared.surface(experiment.surface)[0]
        wanted = _wanted(declared, metrics) or declared.metrics_of(experiment)
    else:
        surface, _ = declared.surface(key)
        wanted = _wanted(declared, metrics) or _metrics_on(declared, key)
    if not wanted:
        raise RecordError(f"experiment {key!r} names no metric, must name one: --metric KEY")
    closed_ms = at_ms - (round(surface.join_window_s * 1000) if surface else 0)
    rows = UnitRows(store)
    covariates = declared.covariates_of(wanted)
    if experiment is not None:
        plans = [UnitPlan.of(experiment, surface, wanted, covariates)]
    else:
        assert surface is not None
        plans = [
            UnitPlan.of(_standing_for(of, surface), surface, wanted, covariates)
            for of in rows.experiments(key, closed_ms) or [""]
        ]
    return UnitHistory(tuple(wanted), rows.read_all(plans, closed_ms, since_ms), closed_ms)


def _experiment(declared: DeclaredAt, key: str) -> Experiment | None:
    try:
        spec = declared.definition("experiment", key).spec
    except NotDeclared:
        return None
    assert isinstance(spec, Experiment)
    return spec


def _wanted(declared: DeclaredAt, keys: Sequence[str]) -> list[Metric]:
    found = []
    for key in keys:
        spec = declared.definition("metric", key).spec
        assert isinstance(spec, Metric)
        found.append(spec)
    return found


def _metrics_on(declared: DeclaredAt, surface: str) -> list[Metric]:
    """Metrics that experiments on a surface name; the reward per decision if none does."""
    every = [
        metric
        for experiment in declared.experiments(surface)
        for metric in declared.metrics_of(experiment)
    ]
    found = {metric.key: metric for metric in every}
    return list(found.values()) or [REWARD]


def _standing_for(key: str, surface: Surface) -> Experiment:
    """An experiment that decisions of a key are counted for, whatever it was declared as."""
    return Experiment(
        key=key,
        project=surface.project,
        surface=surface.key,
        salt="aa",
        control="control",
        variants=[
            Variant(key="control", policy=surface.policy, allocation=[(0, BUCKETS // 2)]),
            Variant(key="treatment", policy=surface.policy, allocation=[(BUCKETS // 2, BUCKETS)]),
        ],
    )
