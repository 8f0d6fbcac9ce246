"""Which variants a unit is in."""

from bandit.assign import Facts
from bandit.errors import NotDeclared
from bandit.service.serving_state import Serving
from bandit.wire import Assignment, AssignmentAnswer, AssignmentRequest


class AssigningService:
    """Answers assignments from the serving state; records nothing."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def assign(self, request: AssignmentRequest) -> AssignmentAnswer:
        """The unit's variant of every running experiment, or of those named.

        An experiment that is not running, or that owns none of the unit's buckets, is left out.

        Raises:
            NotDeclared: An experiment that is named does not exist.
            StoreUnavailable: No definition was loaded yet.
        """
        state = self._serving.state
        state.require_definitions()
        names = sorted(state.experiments) if request.experiments is None else request.experiments
        facts = Facts(request.unit_id, bytes(request.context))
        assignments = []
        for key in names:
            experiment = state.experiments.get(key)
            if experiment is None:
                raise NotDeclared("experiment", key)
            placed = experiment.placing.place(request.unit_id, facts)
            if placed is not None:
                variant, reason = placed
                assignments.append(
                    Assignment(key=key, variant=variant.key, payload=variant.payload, reason=reason)
                )
        return AssignmentAnswer(unit_id=request.unit_id, assignments=assignments)
