"""Where a unit was when a logged decision was made: from log and definitions, for replays."""

from collections.abc import Callable

from bandit.assign import Facts, Placing
from bandit.errors import NotDeclared
from bandit.records import LoggedDecision
from bandit.specs import Experiment, Layer
from bandit.store.definitions import Definitions


class LoggedPlacements:
    """Places units of logged decisions again; every call may block.

    The log keeps the experiment and its version. The layer's version is the one that was newest
    when that version of the experiment was declared: while an experiment runs, nothing of its
    layer that places units can change (see `defining_experiments.check_layer`).
    """

    def __init__(self, definitions: Callable[[], Definitions]) -> None:
        """Use definitions.

        Args:
            definitions: Gives the store's definitions; raises `StoreUnavailable`.
        """
        self._definitions = definitions
        self._placings: dict[tuple[str, int], Placing] = {}

    def variant(self, logged: LoggedDecision) -> str:
        """Key of the variant that the unit falls into again; empty for none.

        Raises:
            NotDeclared: The experiment is not declared in the version that the log names.
            StoreUnavailable: The definitions can not be fetched now.
        """
        if not logged.experiment:
            return ""
        named = (logged.experiment, logged.experiment_version)
        if named not in self._placings:
            self._placings[named] = self._placing(*named)
        facts = Facts(logged.unit_id, logged.context)
        placed = self._placings[named].place(logged.unit_id, facts)
        return "" if placed is None else placed.variant.key

    def _placing(self, key: str, version: int) -> Placing:
        definition = self._definitions().get(Experiment.kind, key, version)
        experiment = definition.spec
        assert isinstance(experiment, Experiment)
        if experiment.layer is None:
            return Placing(experiment, None)
        history = self._definitions().history(Layer.kind, experiment.layer)
        if not history:
            raise NotDeclared(Layer.kind, experiment.layer)
        known = [layer for layer in history if layer.created_ms <= definition.created_ms]
        layer = known[-1].spec if known else history[0].spec
        assert isinstance(layer, Layer)
        return Placing(experiment, layer)
