"""What was declared, as reports ask for it."""

from collections.abc import Sequence

import msgspec

from bandit.errors import NotDeclared, RecordError
from bandit.specs import Experiment, Metric, PolicySpec, Surface
from bandit.store.definitions import Definition, Definitions
from bandit.store.numbers_surface import RULES

REWARD = Metric(key="reward", source="reward", per="decision")
"""What an experiment on a surface is judged by if it names no metric."""


class DeclaredAt:
    """Every definition as it is or was at a time, and the reward rules of older versions."""

    def __init__(self, definitions: Definitions, at_ms: int | None = None) -> None:
        """Read them all.

        Args:
            definitions: Those that may be seen.
            at_ms: As of when; now if None. What was declared only later (a log may have been
                imported) is as it was declared first, and is in no list.
        """
        self._definitions = definitions
        self._at_ms = at_ms
        every = definitions.all() if at_ms is None else definitions.as_of(at_ms)
        self._later = {
            (d.kind, d.key): d for d in every if at_ms is not None and d.created_ms > at_ms
        }
        self._found = {(d.kind, d.key): d for d in every if (d.kind, d.key) not in self._later}

    def definition(self, kind: str, key: str) -> Definition:
        """The newest version.

        Raises:
            NotDeclared: There is none.
        """
        found = self._found.get((kind, key)) or self._later.get((kind, key))
        if found is None:
            raise NotDeclared(kind, key)
        return found

    def experiment(self, key: str) -> Experiment:
        """The newest experiment.

        Raises:
            NotDeclared: There is none.
        """
        found = self.definition("experiment", key).spec
        assert isinstance(found, Experiment)
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
        rules = {name: getattr(old, name) for name in RULES}
        return msgspec.structs.replace(newest, **rules), version

    def since_ms(self, surface: Surface, at_ms: int) -> int | None:
        """Since when a surface has had the policy and the uniform share that it has.

        Args:
            surface: The newest.
            at_ms: A time after which nothing is looked at.

        Returns:
            None if it has no uniform slice.
        """
        if not surface.uniform_share:
            return None
        since_ms = at_ms if self._at_ms is None else self._at_ms
        for version in reversed(self._definitions.history("surface", surface.key)):
            spec = version.spec
            assert isinstance(spec, Surface)
            if self._at_ms is not None and version.created_ms > self._at_ms:
                continue
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
        """What an experiment is judged by: the primary first, then the others, then guardrails.

        Raises:
            NotDeclared: A metric that it names.
            RecordError: It has no surface, and names a metric of rewards.
        """
        metrics = [self._metric(key) for key in experiment.metrics]
        guardrails = [self._metric(key) for key in experiment.guardrails]
        if experiment.surface is not None:
            return [*(metrics or [REWARD]), *guardrails]
        for metric in (*metrics, *guardrails):
            if metric.source != "outcome":
                raise RecordError(
                    f"metric {metric.key!r} of experiment {experiment.key!r} is of rewards, must "
                    "be of outcomes: without a surface there is no decision to reward"
                )
        return [*metrics, *guardrails]

    def covariates_of(self, metrics: Sequence[Metric]) -> dict[str, Metric]:
        """The other metrics whose numbers foretell these, by key.

        Raises:
            NotDeclared: One of them is not.
        """
        return {key: self._metric(key) for metric in metrics for key in metric.covariates}

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
