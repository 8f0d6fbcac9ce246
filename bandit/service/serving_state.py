"""What a worker serves from: immutable, swapped whole, so that no request sees half a change."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bandit.errors import NotDeclared, StoreUnavailable
from bandit.event_id import surface_tag
from bandit.policies.base import Policy
from bandit.specs import AnySpec, Experiment, PolicySpec, Surface
from bandit.store.definitions import Definition

S = TypeVar("S", bound=AnySpec)


@dataclass(frozen=True, slots=True)
class RunnablePolicy:
    """A policy that can be asked for a pmf.

    Attributes:
        spec: As declared now; its floor is the one that is mixed in.
        snapshot: Number of the snapshot it was loaded from; 0 is as declared, untrained.
        created_ms: When that snapshot was made; 0 for untrained.
        label: `<policy>@<snapshot>`, what answers call it.
    """

    spec: PolicySpec
    snapshot: int
    created_ms: int
    policy: Policy
    label: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.spec.key}@{self.snapshot}")


@dataclass(frozen=True, slots=True)
class ServingExperiment:
    """A running experiment and what each of its variants serves."""

    spec: Experiment
    version: int
    policies: Mapping[str, RunnablePolicy]


@dataclass(frozen=True, slots=True)
class ServingSurface:
    """A surface with everything that a decision on it needs."""

    spec: Surface
    version: int
    tag: int
    policy: RunnablePolicy
    experiment: ServingExperiment | None
    shadows: tuple[RunnablePolicy, ...]


@dataclass(frozen=True, slots=True)
class ServingState:
    """Everything that serving knows at one moment.

    Attributes:
        revision: Of the definitions it was made from; None if none were ever loaded.
        surfaces: By key.
        tags: Surface keys by the tag that event ids carry.
        experiments: Every declared experiment, by key.
        policies: By key.
    """

    revision: int | None = None
    surfaces: Mapping[str, ServingSurface] = field(default_factory=dict)
    tags: Mapping[int, str] = field(default_factory=dict)
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    policies: Mapping[str, RunnablePolicy] = field(default_factory=dict)

    def surface(self, key: str) -> ServingSurface:
        """The surface of that key.

        Raises:
            NotDeclared: Nobody declared it.
            StoreUnavailable: Nothing was loaded yet, so nobody can know.
        """
        found = self.surfaces.get(key)
        if found is None:
            self.require_definitions()
            raise NotDeclared("surface", key)
        return found

    def require_definitions(self) -> None:
        """Refuse to say "not declared" before any definition was loaded.

        Raises:
            StoreUnavailable: Neither the store nor the last-good cache gave any yet.
        """
        if self.revision is None:
            raise StoreUnavailable("definitions are not loaded yet, ClickHouse must answer once")


class Serving:
    """Holds the state of this worker; `swap` is one assignment, so readers need no lock."""

    __slots__ = ("state",)

    def __init__(self, state: ServingState | None = None) -> None:
        self.state = state or ServingState()

    def swap(self, state: ServingState) -> None:
        """Serve from `state` from now on."""
        self.state = state


def assemble(
    revision: int,
    definitions: Iterable[Definition],
    policies: Mapping[str, RunnablePolicy],
    previous: ServingState,
) -> ServingState:
    """Make a state from definitions and runnable policies.

    A surface is taken only with every policy that may draw on it; while one of them can not be
    run, the surface stays as it was in `previous`, if it was there. A shadow that can not be run
    is left out.
    """
    known = list(definitions)
    running = {
        spec.surface: (spec, version)
        for spec, version in _of_kind(Experiment, known)
        if spec.status == "running"
    }
    surfaces: dict[str, ServingSurface] = {}
    for spec, version in _of_kind(Surface, known):
        surface = _serving_surface(spec, version, running.get(spec.key), policies)
        surface = surface or previous.surfaces.get(spec.key)
        if surface is not None:
            surfaces[spec.key] = surface
    return ServingState(
        revision=revision,
        surfaces=surfaces,
        tags={surface.tag: key for key, surface in surfaces.items()},
        experiments={spec.key: spec for spec, _ in _of_kind(Experiment, known)},
        policies=policies,
    )


def _serving_surface(
    spec: Surface,
    version: int,
    running: tuple[Experiment, int] | None,
    policies: Mapping[str, RunnablePolicy],
) -> ServingSurface | None:
    experiment = None
    if running is not None:
        declared, version = running
        by_variant = {v.key: policies.get(v.policy or "") for v in declared.variants}
        runnable = {key: policy for key, policy in by_variant.items() if policy is not None}
        if len(runnable) < len(by_variant):
            return None
        experiment = ServingExperiment(declared, version, runnable)
    if spec.policy not in policies:
        return None
    return ServingSurface(
        spec=spec,
        version=version,
        tag=surface_tag(spec.key),
        policy=policies[spec.policy],
        experiment=experiment,
        shadows=tuple(policies[key] for key in spec.shadows if key in policies),
    )


def _of_kind(kind: type[S], definitions: Iterable[Definition]) -> Iterator[tuple[S, int]]:
    for definition in definitions:
        if isinstance(definition.spec, kind):
            yield definition.spec, definition.version
