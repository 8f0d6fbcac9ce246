"""What a worker serves from: immutable, swapped whole, so that no request sees half a change."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bandit.assign import Placing
from bandit.errors import BadSpec, NotDeclared, StoreUnavailable
from bandit.event_id import surface_tag
from bandit.logs import event
from bandit.policies import build
from bandit.policies.base import Policy
from bandit.policies.interactions import Interaction, interactions_of
from bandit.service.serving_catalogue import ServingCatalogue
from bandit.service.withholding import Withholding, withholding
from bandit.specs import (
    BUCKETS,
    BUILT_IN,
    KILL_SWITCH,
    UNIFORM_SLICE,
    AnySpec,
    Experiment,
    Layer,
    PolicySpec,
    Surface,
)
from bandit.store.definitions import Definition

log = logging.getLogger(__name__)
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


BUILT_IN_POLICIES: Mapping[str, RunnablePolicy] = {
    key: RunnablePolicy(spec, 0, 0, build(spec)) for key, spec in BUILT_IN.items()
}
"""Policies that nobody declares: the kill switch's and the uniform slice's."""


@dataclass(frozen=True, slots=True)
class ServingExperiment:
    """A declared experiment, ready to place units.

    Attributes:
        placing: Says where a unit is; nowhere unless the experiment is running.
        policies: What each variant serves, by the variant's key; empty without a surface, and
            without those that can not be run.
    """

    spec: Experiment
    version: int
    placing: Placing
    policies: Mapping[str, RunnablePolicy]


@dataclass(frozen=True, slots=True)
class ServingSurface:
    """A surface with everything that a decision on it needs.

    Attributes:
        policy: Serves whoever is in no experiment; the kill switch's while the surface is killed,
            and then nothing below holds anything.
        experiments: The running ones, by key.
        overrides: Units whose variant is set by hand, and the experiment that it is of.
        uniform_buckets: So many of the first buckets of `uniform_salt` are the uniform slice.
        catalogue: Actions that a request may name by id, or leave out; None: it holds none.
        interactions: Products of features that any of its policies looks at.
        withholding: What it may not know of a context; None: it may know all.
    """

    spec: Surface
    version: int
    tag: int
    policy: RunnablePolicy
    experiments: tuple[ServingExperiment, ...]
    shadows: tuple[RunnablePolicy, ...]
    overrides: Mapping[str, ServingExperiment] = field(default_factory=dict)
    uniform_buckets: int = 0
    uniform_salt: str = ""
    catalogue: ServingCatalogue | None = None
    interactions: frozenset[Interaction] = frozenset()
    withholding: Withholding | None = None


@dataclass(frozen=True, slots=True)
class ServingState:
    """Everything that serving knows at one moment.

    Attributes:
        revision: Of the definitions it was made from; None if none were ever loaded.
        surfaces: By key.
        tags: Surface keys by the tag that event ids carry.
        experiments: Every declared experiment, in any status, by key.
        policies: By key.
        signed: Any surface is signed.
        project: Whose part of it all this is; None: it is all of it.
        parts: What each project sees of it, made when it is first asked for.
    """

    revision: int | None = None
    surfaces: Mapping[str, ServingSurface] = field(default_factory=dict)
    tags: Mapping[int, str] = field(default_factory=dict)
    experiments: Mapping[str, ServingExperiment] = field(default_factory=dict)
    policies: Mapping[str, RunnablePolicy] = field(default_factory=dict)
    signed: bool = False
    project: str | None = None
    parts: dict[str, "ServingState"] = field(default_factory=dict, compare=False, repr=False)

    def of(self, project: str | None) -> "ServingState":
        """What a project sees of it; all of it for None."""
        if project is None:
            return self
        part = self.parts.get(project)
        if part is None:
            part = self.parts[project] = self._part(project)
        return part

    def _part(self, project: str) -> "ServingState":
        mine = {key: s for key, s in self.surfaces.items() if s.spec.project == project}
        return replace(
            self,
            surfaces=mine,
            tags={tag: key for tag, key in self.tags.items() if key in mine},
            experiments={k: e for k, e in self.experiments.items() if e.spec.project == project},
            policies={k: p for k, p in self.policies.items() if p.spec.project == project},
            project=project,
            parts={},
        )

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
    catalogues: Mapping[str, ServingCatalogue] | None = None,
) -> ServingState:
    """Make a state from definitions, runnable policies and catalogues.

    A surface is taken only with every policy that may draw on it, and with the layers of its
    experiments; while one of them can not be run, the surface stays as it was in `previous`, if it
    was there. A killed surface needs none of them. A shadow that can not be run is left out.
    """
    known = list(definitions)
    experiments = _experiments(known, policies)
    surfaces: dict[str, ServingSurface] = {}
    for spec, version in _of_kind(Surface, known):
        surface = _serving_surface(spec, version, known, experiments, policies)
        surface = surface or previous.surfaces.get(spec.key)
        if surface is not None:
            catalogue = catalogues.get(spec.key) if catalogues else None
            surfaces[spec.key] = replace(surface, catalogue=catalogue)
    return ServingState(
        revision=revision,
        surfaces=surfaces,
        tags={surface.tag: key for key, surface in surfaces.items()},
        experiments=experiments,
        policies=policies,
        signed=any(isinstance(each.spec, Surface) and each.spec.signed for each in known),
    )


def _experiments(
    known: Iterable[Definition], policies: Mapping[str, RunnablePolicy]
) -> dict[str, ServingExperiment]:
    layers = {spec.key: spec for spec, _ in _of_kind(Layer, known)}
    found = {}
    for spec, version in _of_kind(Experiment, known):
        if spec.layer is not None and spec.layer not in layers:
            continue  # cannot be declared so: the layer is named first
        try:
            placing = Placing(spec, layers[spec.layer] if spec.layer else None)
        except BadSpec:
            log.exception(
                "experiment %s assigns nobody", spec.key, extra=event("experiment_unusable")
            )
            continue
        by_variant = {v.key: policies.get(v.policy or "") for v in spec.variants}
        runnable = {key: policy for key, policy in by_variant.items() if policy is not None}
        found[spec.key] = ServingExperiment(spec, version, placing, runnable)
    return found


def _serving_surface(
    spec: Surface,
    version: int,
    known: Iterable[Definition],
    experiments: Mapping[str, ServingExperiment],
    policies: Mapping[str, RunnablePolicy],
) -> ServingSurface | None:
    tag = surface_tag(spec.key)
    if spec.killed:
        return ServingSurface(
            spec,
            version,
            tag,
            BUILT_IN_POLICIES[KILL_SWITCH],
            (),
            (),
            withholding=withholding(spec),
        )
    keys = sorted(
        experiment.key
        for experiment, _ in _of_kind(Experiment, known)
        if experiment.surface == spec.key and experiment.status == "running"
    )
    running = tuple(experiments[key] for key in keys if key in experiments)
    runnable = all(len(e.policies) == len(e.spec.variants) for e in running)
    if spec.policy not in policies or len(running) < len(keys) or not runnable:
        return None
    shadows = tuple(policies[key] for key in spec.shadows if key in policies)
    serving = (policies[spec.policy], *shadows, *(p for e in running for p in e.policies.values()))
    return ServingSurface(
        spec=spec,
        version=version,
        tag=tag,
        policy=policies[spec.policy],
        experiments=running,
        shadows=shadows,
        interactions=frozenset().union(*(interactions_of(each.spec) for each in serving)),
        overrides={unit: e for e in reversed(running) for unit in e.placing.overridden},
        uniform_buckets=round(spec.uniform_share * BUCKETS),
        uniform_salt=f"{UNIFORM_SLICE}:{spec.key}",
        withholding=withholding(spec),
    )


def _of_kind(kind: type[S], definitions: Iterable[Definition]) -> Iterator[tuple[S, int]]:
    for definition in definitions:
        if isinstance(definition.spec, kind):
            yield definition.spec, definition.version
