"""What was declared, as reports ask for it."""

from collections.abc import Sequence

import msgspec

from bandit.errors import NotDeclared, RecordError
from bandit.specs import Experiment, Metric, PolicySpec, Surface
from bandit.store.definitions import Definition, Definitions

REWARD = Metric(key="reward", source="reward", per="decision")
"""What an experiment on a surface is judged by if it names no metric."""
REWARD_RULES = (
    "join_window_s",
    "default_reward",
    "reward_low",
    "reward_high",
    "reward_weights",
    "aggregation",
)
"""Fields of a surface that say what a decision earned."""


class Declared:
    """The newest version of every definition, and the reward rules of older ones."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._found = {(d.kind, d.key): d for d in definitions.all()}

    def definition(self, kind: str, key: str) -> Definition:
        """The newest version.

        Raises:
            NotDeclared: There is none.
        """
        found = self._found.get((kind, key))
        if found is None:
            raise NotDeclared(kind, key)
        return found

    def surface(self, key: str, version: int | None = None) -> tuple[Surface, int]:
        """The newest surface, with the reward rules of a version, and that version.

        Args:
            key: Of the surface.
            version: Whose reward rules; None: the newest's.

        Raises:
            NotDeclared: No such surface.
            RecordError: No such version of it.
        """
        definition = self.definition("surface", key)
        newest = definition.spec
        assert isinstance(newest, Surface)
        if version is None or version == definition.version:
            return newest, definition.version
        if not 1 <= version < definition.version:
            raise RecordError(
                f"surface_version is {version}, must be in 1 to {definition.version}, "
                f"the newest of surface {key!r}"
            )
        old = self._definitions.get("surface", key, version).spec
        rules = {name: getattr(old, name) for name in REWARD_RULES}
        return msgspec.structs.replace(newest, **rules), version

    def since_ms(self, surface: Surface, at_ms: int) -> int:
        """Since when a surface has had the policy and the uniform share that it has now.

        Args:
            surface: The newest.
            at_ms: A time after which nothing is looked at.
        """
        since_ms = at_ms
        for version in reversed(self._definitions.history("surface", surface.key)):
            spec = version.spec
            assert isinstance(spec, Surface)
            if (spec.policy, spec.uniform_share) != (surface.policy, surface.uniform_share):
                break
            since_ms = min(since_ms, version.created_ms)
        return since_ms

    def surfaces(self) -> list[Surface]:
        """All of them."""
        return [d.spec for d in self._found.values() if isinstance(d.spec, Surface)]

    def experiments(self, surface: str | None = None) -> list[Experiment]:
        """All of them, or those of one surface."""
        every = [d.spec for d in self._found.values() if isinstance(d.spec, Experiment)]
        return [spec for spec in every if surface in (None, spec.surface)]

    def shown_experiments(self, surface: str) -> tuple[str, ...]:
        """Keys of a surface's experiments that are not archived."""
        return tuple(e.key for e in self.experiments(surface) if e.status != "archived")

    def metrics_of(self, experiment: Experiment) -> list[Metric]:
        """What an experiment is judged by, the primary first.

        Raises:
            NotDeclared: A metric that it names.
            RecordError: It has no surface, and names a metric of rewards.
        """
        metrics = [self._metric(key) for key in experiment.metrics]
        if experiment.surface is not None:
            return metrics or [REWARD]
        for metric in metrics:
            if metric.source != "outcome":
                raise RecordError(
                    f"metric {metric.key!r} of experiment {experiment.key!r} is of rewards, must "
                    "be of outcomes: without a surface there is no decision to reward"
                )
        return metrics

    def policies_of(self, surface: Surface) -> list[PolicySpec]:
        """Those that serve, shadow or learn there; the surface's own first."""
        variants = [
            variant.policy
            for experiment in self.experiments(surface.key)
            if experiment.status != "archived"
            for variant in experiment.variants
        ]
        every = [d.spec for d in self._found.values() if isinstance(d.spec, PolicySpec)]
        learners: Sequence[str] = [spec.key for spec in every if spec.surface == surface.key]
        known = {spec.key: spec for spec in every}
        keys = dict.fromkeys([surface.policy, *variants, *surface.shadows, *learners])
        return [known[key] for key in keys if key in known]

    def _metric(self, key: str) -> Metric:
        spec = self.definition("metric", key).spec
        assert isinstance(spec, Metric)
        return spec
