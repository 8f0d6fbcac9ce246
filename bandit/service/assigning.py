"""Which variants a unit is in: a plain A/B service beside the ranking."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bandit.assign import Facts, Placement
from bandit.errors import NotDeclared
from bandit.journal import Journal
from bandit.journal.pressure import Pressure
from bandit.records import Assigned
from bandit.service.choosing import choose
from bandit.service.contexts import check_context
from bandit.service.serving_state import Serving, ServingExperiment, ServingState
from bandit.wire import Assignment, AssignmentAnswer, AssignmentRequest

DAY_MS = 86_400_000
REMEMBERED = 100_000
"""Assignments of the day that a worker knows to be in the log; some 20 MB."""


class Told(NamedTuple):
    """What a unit is told of one experiment.

    Attributes:
        placed: None if it is in no variant.
    """

    experiment: ServingExperiment
    placed: Placement | None


class AssigningService:
    """Answers assignments from the serving state; one per worker, on its event loop only.

    An assignment of an experiment without a surface is journaled, so that a report can tell whom
    it counts: once a UTC day for a unit, experiment and variant, as far as this worker remembers;
    readers take the first of several. While the disk fills up those of the day before stay
    remembered, and are not logged again. An experiment on a surface is logged by its decisions
    only: being told is not being shown.
    """

    def __init__(
        self,
        serving: Serving,
        journal: Journal,
        *,
        salt: bytes,
        now_ms: Callable[[], int],
        remembered: int = REMEMBERED,
    ) -> None:
        """Make the service.

        Args:
            serving: What is declared now.
            journal: Where assignments go.
            salt: The project's secret; keys what surfaces see of contexts instead.
            now_ms: The clock.
            remembered: How many assignments of the day are remembered; of more, the oldest are
                forgotten, and would be logged again.
        """
        self._serving = serving
        self._journal = journal
        self._salt = salt
        self._now_ms = now_ms
        self._remembered = remembered
        self._day = 0
        self._logged: dict[tuple[str, str, str], None] = {}

    def assign(self, request: AssignmentRequest, project: str | None = None) -> AssignmentAnswer:
        """The unit's variant of every running experiment, or of those named.

        An experiment that is not running, or that the unit is not in, is left out.

        Args:
            request: What is asked.
            project: Whose experiments there are; None: everybody's.

        Raises:
            NotDeclared: An experiment that is named does not exist.
            StoreUnavailable: No definition was loaded yet.
            JournalUnavailable: The assignments could not be made durable, so nothing is told;
                `StorageFull` before it was tried, while the disk is full.
        """
        told = self.tell(
            request.unit_id,
            bytes(request.context),
            request.experiments,
            log=request.log,
            project=project,
        )
        return AssignmentAnswer(
            unit_id=request.unit_id,
            assignments=[
                Assignment(
                    key=experiment.spec.key,
                    variant=placed.variant.key,
                    payload=placed.variant.payload,
                    reason=placed.reason,
                )
                for experiment, placed in told
                if placed is not None
            ],
        )

    def tell(
        self,
        unit_id: str,
        context: bytes,
        keys: Iterable[str] | None,
        *,
        log: bool,
        project: str | None = None,
    ) -> list[Told]:
        """Where a unit is in each experiment, by key, or in those named, in their order.

        Raises what `assign` raises.
        """
        state = self._serving.state.of(project)
        state.require_definitions()
        check_context(context)
        facts = Facts(unit_id, context)
        experiments = [
            _declared(state, key)
            for key in (sorted(state.experiments) if keys is None else dict.fromkeys(keys))
        ]
        told = [
            Told(e, _placed(state, e, unit_id, context, facts, self._salt)) for e in experiments
        ]
        if log:
            self._log(unit_id, told)
        return told

    def _log(self, unit_id: str, told: Iterable[Told]) -> None:
        now_ms = self._now_ms()
        day = now_ms // DAY_MS
        # Of what was told on an earlier day the log knows the first, which is what counts.
        if day != self._day and self._journal.pressure < Pressure.OPTIONAL:
            self._day = day
            self._logged.clear()
        news = list(self._news(unit_id, told, now_ms))
        if not news:
            return
        self._journal.require_room()
        self._journal.append_many(news)
        for record in news:
            self._logged[record.experiment, record.variant, unit_id] = None
        while len(self._logged) > self._remembered:
            del self._logged[next(iter(self._logged))]

    def _news(self, unit_id: str, told: Iterable[Told], now_ms: int) -> Iterator[Assigned]:
        for experiment, placed in told:
            if placed is None or experiment.spec.surface is not None:
                continue
            if (experiment.spec.key, placed.variant.key, unit_id) in self._logged:
                continue
            yield Assigned(
                ts_ms=now_ms,
                unit_id=unit_id,
                experiment=experiment.spec.key,
                experiment_version=experiment.version,
                variant=placed.variant.key,
                forced=placed.forced,
            )


def _declared(state: ServingState, key: str) -> ServingExperiment:
    experiment = state.experiments.get(key)
    if experiment is None:
        raise NotDeclared("experiment", key)
    return experiment


def _placed(
    state: ServingState,
    experiment: ServingExperiment,
    unit_id: str,
    context: bytes,
    facts: Facts,
    salt: bytes,
) -> Placement | None:
    """Where a unit is; on a surface, where a decision made now would put it."""
    if experiment.spec.surface is None:
        return experiment.placing.place(unit_id, facts)
    surface = state.surfaces.get(experiment.spec.surface)
    if surface is None:
        return None
    if surface.withholding is not None:
        context = surface.withholding.context(context, salt)
        facts = Facts(unit_id, context)
    placed = experiment.placing.place(unit_id, facts)
    if placed is None:
        return None
    assigned = choose(surface, unit_id, context).assigned
    return placed if assigned is not None and assigned.key == experiment.spec.key else None
