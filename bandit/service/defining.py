"""Declarations: what a spec can not check by itself is checked here, against all the others."""

from collections.abc import Callable, Iterable

from bandit.errors import BadSpec, NotDeclared
from bandit.event_id import surface_tag
from bandit.policies import check_spec
from bandit.service.declared import Declared
from bandit.service.defining_experiments import check_experiment, check_layer, running
from bandit.service.defining_metrics import check_metric
from bandit.service.history import DefinitionVersion, history_of
from bandit.service.projects import seen_by
from bandit.specs import (
    BUILT_IN,
    TRAINING_FIELDS,
    AnySpec,
    Experiment,
    Layer,
    Metric,
    PolicySpec,
    Surface,
)
from bandit.store.definitions import Definition, Definitions


class DefinitionService:
    """Declares and shows specs of every kind; every call may block."""

    def __init__(
        self,
        definitions: Callable[[], Definitions],
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        project: str | None = None,
    ) -> None:
        """Make the service.

        Args:
            definitions: Gives the store's definitions; raises `StoreUnavailable` while it is away.
            now_ms: The clock.
            new_id: Makes the id of a change.
            project: Whose definitions there are; None: everybody's.
        """
        self._definitions = definitions
        self._seen = seen_by(project, definitions)
        self._now_ms = now_ms
        self.new_id = new_id
        self._project = project

    def of(self, project: str | None) -> "DefinitionService":
        """The definitions of one project; all of them for None."""
        if project is None:
            return self
        return DefinitionService(
            self._definitions, now_ms=self._now_ms, new_id=self.new_id, project=project
        )

    def get(self, kind: str, key: str, version: int | None = None) -> Definition:
        """One definition; without `version`, the newest.

        Raises:
            NotDeclared: There is none.
        """
        return self._seen().get(kind, key, version)

    def all(self, kind: str) -> list[Definition]:
        """The newest version of every definition of a kind, by key."""
        found = [d for d in self._seen().all() if d.kind == kind]
        return sorted(found, key=lambda d: d.key)

    def history(self, kind: str, key: str) -> list[DefinitionVersion]:
        """Every version of a definition, oldest first, as who changed what and when.

        Raises:
            NotDeclared: There is none.
        """
        versions = self._seen().history(kind, key)
        if not versions:
            raise NotDeclared(kind, key)
        return history_of(versions)

    def current(self, spec: AnySpec) -> Definition | None:
        """What is declared now under the kind and key of `spec`.

        Raises:
            NotDeclared: That key is another project's, so nothing can be declared under it.
        """
        found = Declared(self._definitions().all()).all.get((spec.kind, spec.key))
        self._require_own(spec, found)
        return found

    def put(self, spec: AnySpec, *, expected: int | None, author: str) -> Definition:
        """Declare a spec, as a new version.

        Args:
            spec: What to declare.
            expected: The version that the change was made against; None: there must be none.
            author: Who declares it.

        Raises:
            BadSpec: It could not be served next to what is declared already.
            NotDeclared: That key is another project's.
            VersionConflict: Somebody else changed it first.
        """
        definitions = self._definitions()
        every = definitions.all()
        self._require_own(spec, Declared(every).all.get((spec.kind, spec.key)))
        check_keys(spec, every)
        check(spec, Declared(d for d in every if d.spec.project == spec.project))
        return definitions.put(
            spec,
            expected=expected,
            author=author,
            change_id=self.new_id(),
            now_ms=self._now_ms(),
        )

    def _require_own(self, spec: AnySpec, current: Definition | None) -> None:
        if self._project is None:
            return
        if current is not None and current.spec.project != self._project:
            raise NotDeclared(spec.kind, spec.key)
        if spec.project != self._project:
            raise BadSpec(
                f"project is {spec.project!r}, must be {self._project!r} as the key's "
                "- at `$.project`"
            )


def check_keys(spec: AnySpec, every: Iterable[Definition]) -> None:
    """Check a spec against the definitions of all projects, which share one namespace.

    Raises:
        BadSpec: It would change its project, learn from another's log, or its event ids would be
            another surface's.
    """
    declared = Declared(every)
    before = declared.find(type(spec), spec.key)
    if before is not None and before.project != spec.project:
        raise BadSpec(
            f"project of {spec.kind} {spec.key!r} is {spec.project!r}, must stay "
            f"{before.project!r} - at `$.project`"
        )
    if isinstance(spec, PolicySpec) and spec.surface is not None:
        learned_from = declared.find(Surface, spec.surface)
        if learned_from is not None and learned_from.project != spec.project:
            raise BadSpec(
                f"surface {spec.surface!r} is not of project {spec.project!r}, must be: a policy "
                "learns from its own project's log - at `$.surface`"
            )
    if not isinstance(spec, Surface):
        return
    for policy in declared.each(PolicySpec):
        if policy.surface == spec.key and policy.project != spec.project:
            raise BadSpec(
                f"a policy of another project names surface {spec.key!r}, must have another key"
            )
    tag = surface_tag(spec.key)
    for other in declared.each(Surface):
        if other.key != spec.key and surface_tag(other.key) == tag:
            whose = repr(other.key) if other.project == spec.project else "of another project"
            raise BadSpec(
                f"surface {spec.key!r} has the event-id tag {tag} of surface {whose}, "
                "must have its own: choose another key"
            )


def check(spec: AnySpec, declared: Declared) -> None:
    """Check a spec against everything that its project declared.

    Raises:
        BadSpec: It could not be served, names something that is not declared, or would change
            what may not change.
    """
    match spec:
        case Surface():
            _check_surface(spec, declared)
        case PolicySpec():
            _check_policy(spec, declared)
        case Experiment():
            if spec.surface is not None:
                _check_served(spec, declared.get(Surface, spec.surface), declared)
            check_experiment(spec, declared)
        case Layer():
            check_layer(spec, declared)
        case Metric():
            check_metric(spec, declared)


def _check_surface(surface: Surface, declared: Declared) -> None:
    for key in (surface.policy, *surface.shadows):
        _check_floor(declared.get(PolicySpec, key), surface)
    if len(set(surface.shadows)) != len(surface.shadows):
        raise BadSpec(f"shadows are {surface.shadows}, must be different policies")
    before = declared.find(Surface, surface.key) or surface
    is_other = (before.context, before.context_unnamed) != (
        surface.context,
        surface.context_unnamed,
    )
    for experiment in running(declared, surface.key):
        _check_served(experiment, surface, declared)
        if is_other and experiment.targeting:
            raise BadSpec(
                f"experiment {experiment.key!r} with targeting runs on surface {surface.key!r}, so "
                "what is left of its context must stay as it is: stop the experiment first"
            )


def _check_policy(policy: PolicySpec, declared: Declared) -> None:
    if policy.key in BUILT_IN:
        raise BadSpec(f"policy {policy.key!r} is built in, must have another key - at `$.key`")
    before = declared.find(PolicySpec, policy.key)
    for name in TRAINING_FIELDS:
        is_now, was = getattr(policy, name), getattr(before or policy, name)
        if is_now != was:
            raise BadSpec(
                f"{name} of policy {policy.key!r} is {is_now!r}, must stay {was!r}: snapshots and "
                "logged decisions carry the policy's key, so declare another key"
            )
    for surface in declared.each(Surface):
        variants = (v.policy for e in running(declared, surface.key) for v in e.variants)
        if policy.key in (surface.policy, *surface.shadows, *variants):
            _check_floor(policy, surface)
    check_spec(policy)


def _check_floor(policy: PolicySpec, surface: Surface) -> None:
    if policy.floor * surface.max_actions > 1.0:
        raise BadSpec(
            f"floor of policy {policy.key!r} times max_actions of surface {surface.key!r} is "
            f"{policy.floor!r} * {surface.max_actions}, must be at most 1"
        )


def _check_served(experiment: Experiment, surface: Surface, declared: Declared) -> None:
    for variant in experiment.variants:
        if variant.policy is not None:
            _check_floor(declared.get(PolicySpec, variant.policy), surface)
