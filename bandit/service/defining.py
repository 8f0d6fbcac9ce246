"""Declarations: what a spec can not check by itself is checked here, against all the others."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from bandit.errors import BadSpec
from bandit.event_id import surface_tag
from bandit.policies import check_spec
from bandit.specs import AnySpec, Experiment, Metric, PolicySpec, Surface
from bandit.store.definitions import Definition, Definitions

S = TypeVar("S", bound=AnySpec)
STATUSES = ("draft", "running", "stopped")


class Declared:
    """The newest version of every definition, to check a new one against."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self.all = {(d.kind, d.key): d for d in definitions}

    def find(self, kind: type[S], key: str) -> S | None:
        """The spec of that kind and key, if it is declared."""
        definition = self.all.get((kind.kind, key))
        return definition.spec if definition and isinstance(definition.spec, kind) else None

    def get(self, kind: type[S], key: str) -> S:
        """The same.

        Raises:
            BadSpec: It is not declared.
        """
        spec = self.find(kind, key)
        if spec is None:
            raise BadSpec(f"{kind.kind} {key!r} is not declared, must be before it is named")
        return spec

    def each(self, kind: type[S]) -> list[S]:
        """Every declared spec of that kind."""
        return [d.spec for d in self.all.values() if isinstance(d.spec, kind)]


class DefinitionService:
    """Declares and shows surfaces, policies, experiments and metrics; every call may block."""

    def __init__(
        self,
        definitions: Callable[[], Definitions],
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        """Make the service.

        Args:
            definitions: Gives the store's definitions; raises `StoreUnavailable` while it is away.
            now_ms: The clock.
            new_id: Makes the id of a change.
        """
        self._definitions = definitions
        self._now_ms = now_ms
        self._new_id = new_id

    def get(self, kind: str, key: str, version: int | None = None) -> Definition:
        """One definition; without `version`, the newest.

        Raises:
            NotDeclared: There is none.
        """
        return self._definitions().get(kind, key, version)

    def all(self, kind: str) -> list[Definition]:
        """The newest version of every definition of a kind, by key."""
        found = [d for d in self._definitions().all() if d.kind == kind]
        return sorted(found, key=lambda d: d.key)

    def current(self, spec: AnySpec) -> Definition | None:
        """What is declared now under the kind and key of `spec`."""
        return Declared(self._definitions().all()).all.get((spec.kind, spec.key))

    def put(self, spec: AnySpec, *, expected: int | None, author: str) -> Definition:
        """Declare a spec, as a new version.

        Args:
            spec: What to declare.
            expected: The version that the change was made against; None: there must be none.
            author: Who declares it.

        Raises:
            BadSpec: It could not be served next to what is declared already.
            VersionConflict: Somebody else changed it first.
        """
        definitions = self._definitions()
        check(spec, Declared(definitions.all()))
        return definitions.put(
            spec,
            expected=expected,
            author=author,
            change_id=self._new_id(),
            now_ms=self._now_ms(),
        )


def check(spec: AnySpec, declared: Declared) -> None:
    """Check a spec against everything that is declared.

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
            _check_experiment(spec, declared)
        case Metric():
            pass


def _check_surface(surface: Surface, declared: Declared) -> None:
    for key in (surface.policy, *surface.shadows):
        _check_floor(declared.get(PolicySpec, key), surface)
    if len(set(surface.shadows)) != len(surface.shadows):
        raise BadSpec(f"shadows are {surface.shadows}, must be different policies")
    running = _running_on(surface.key, declared)
    if running is not None:
        for variant in running.variants:
            _check_floor(declared.get(PolicySpec, variant.policy), surface)
    tag = surface_tag(surface.key)
    for other in declared.each(Surface):
        if other.key != surface.key and surface_tag(other.key) == tag:
            raise BadSpec(
                f"surface {surface.key!r} has the event-id tag {tag} of surface {other.key!r}, "
                "must have its own: choose another key"
            )


def _check_policy(policy: PolicySpec, declared: Declared) -> None:
    before = declared.find(PolicySpec, policy.key)
    for name in ("type", "arguments", "surface", "learns_from"):
        is_now, was = getattr(policy, name), getattr(before or policy, name)
        if is_now != was:
            raise BadSpec(
                f"{name} of policy {policy.key!r} is {is_now!r}, must stay {was!r}: snapshots and "
                "logged decisions carry the policy's key, so declare another key"
            )
    for surface in declared.each(Surface):
        running = _running_on(surface.key, declared)
        variants = [variant.policy for variant in running.variants] if running else []
        if policy.key in (surface.policy, *surface.shadows, *variants):
            _check_floor(policy, surface)
    check_spec(policy)


def _check_floor(policy: PolicySpec, surface: Surface) -> None:
    if policy.floor * surface.max_actions > 1.0:
        raise BadSpec(
            f"floor of policy {policy.key!r} times max_actions of surface {surface.key!r} is "
            f"{policy.floor!r} * {surface.max_actions}, must be at most 1"
        )


def _check_experiment(experiment: Experiment, declared: Declared) -> None:
    surface = declared.get(Surface, experiment.surface)
    for variant in experiment.variants:
        _check_floor(declared.get(PolicySpec, variant.policy), surface)
    for key in experiment.metrics:
        declared.get(Metric, key)
    before = declared.find(Experiment, experiment.key)
    if before is not None:
        _check_change(before, experiment)
    running = _running_on(experiment.surface, declared)
    if experiment.status == "running" and running and running.key != experiment.key:
        raise BadSpec(
            f"experiment {running.key!r} is running on surface {surface.key!r}, "
            "must be stopped before another one runs there"
        )


def _check_change(before: Experiment, after: Experiment) -> None:
    """What may change depends on whether units were assigned already."""
    if STATUSES.index(after.status) < STATUSES.index(before.status):
        raise BadSpec(
            f"status of experiment {after.key!r} is {after.status!r}, must not go back from "
            f"{before.status!r}: declare another key"
        )
    if before.status == "draft":
        return
    for name in ("surface", "salt", "control"):
        is_now, was = getattr(after, name), getattr(before, name)
        if is_now != was:
            raise BadSpec(
                f"{name} of experiment {after.key!r} is {is_now!r}, must stay {was!r} "
                f"once it was {before.status}"
            )
    variants = {variant.key: variant for variant in after.variants}
    for was_variant in before.variants:
        variant = variants.get(was_variant.key)
        if variant is None or variant.policy != was_variant.policy:
            raise BadSpec(
                f"variant {was_variant.key!r} of experiment {after.key!r} must stay, "
                f"with policy {was_variant.policy!r}, once it was {before.status}"
            )
        lost = _buckets(was_variant.allocation) - _buckets(variant.allocation)
        if lost:
            raise BadSpec(
                f"variant {variant.key!r} of experiment {after.key!r} loses {len(lost)} of its "
                f"buckets, {min(lost)} the first, must keep them: allocations only grow"
            )


def _buckets(allocation: Iterable[tuple[int, int]]) -> set[int]:
    return {bucket for low, high in allocation for bucket in range(low, high)}


def _running_on(surface: str, declared: Declared) -> Experiment | None:
    for experiment in declared.each(Experiment):
        if experiment.surface == surface and experiment.status == "running":
            return experiment
    return None
