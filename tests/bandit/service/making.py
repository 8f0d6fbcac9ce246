"""Small definitions, requests and stand-ins for the store that the service's tests share."""

import hashlib
import itertools
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from bandit.errors import (
    JournalUnavailable,
    NotDeclared,
    NotFound,
    StorageFull,
    StoreUnavailable,
    VersionConflict,
)
from bandit.journal.pressure import Pressure
from bandit.policies import build
from bandit.records import Action, AnyLogRecord, Decision, LoggedDecision
from bandit.service.serving_state import RunnablePolicy, Serving, ServingState, assemble
from bandit.specs import AnySpec, Experiment, PolicySpec, Surface, Variant
from bandit.store.catalogue import ChangedAction, ListedAction
from bandit.store.definitions import Definition
from bandit.store.snapshots import Snapshot
from bandit.wire import RankRequest

NOW_MS = 1_790_000_000_000
SALT = b"pepper"

UNIFORM = PolicySpec(key="random", type="uniform")
FIXED = PolicySpec(key="order", type="fixed")
SURFACE = Surface(key="home.feed", policy="random", max_actions=10)
EXPERIMENT = Experiment(
    key="feed",
    surface="home.feed",
    salt="exp-7",  # user-0, user-1, user-2 fall into buckets 7655, 3369, 6366
    status="running",
    control="control",
    variants=[
        Variant(key="control", policy="random", allocation=[(0, 5000)]),
        Variant(key="treatment", policy="order", allocation=[(5000, 7000)]),
    ],
)


def defined(*specs: AnySpec, version: int = 1) -> list[Definition]:
    return [
        Definition(
            kind=spec.kind,
            key=spec.key,
            version=version,
            created_ms=NOW_MS,
            author="test",
            change_id=f"change-{index}",
            spec=spec,
        )
        for index, spec in enumerate(specs)
    ]


def runnable(spec: PolicySpec, snapshot: int = 0) -> RunnablePolicy:
    return RunnablePolicy(spec, snapshot, 0, build(spec))


def serving(*specs: AnySpec) -> Serving:
    policies = {s.key: runnable(s) for s in specs if isinstance(s, PolicySpec)}
    return Serving(assemble(1, defined(*specs), policies, ServingState()))


def request(
    *ids: str,
    surface: str = "home.feed",
    unit_id: str = "user-0",
    slots: int = 1,
    event_id: str | None = None,
    exclude: Sequence[str] = (),
) -> RankRequest:
    return RankRequest(
        surface=surface,
        unit_id=unit_id,
        actions=[Action.of(id_, topic=id_) for id_ in ids],
        slots=slots,
        event_id=event_id,
        exclude=list(exclude),
    )


def counting_entropy() -> Callable[[int], bytes]:
    counter = itertools.count()
    return lambda n: next(counter).to_bytes(n, "big")


def logged(decision: Decision, asked: RankRequest, **changes: object) -> LoggedDecision:
    """The decision as the log would give it back; `actions` are those of a catalogue, if any."""
    actions = changes.pop("actions", tuple(asked.actions))
    assert isinstance(actions, tuple)
    excluded = sorted(
        (index, reason) for reason, indices in decision.excluded.items() for index in indices
    )
    fields: dict[str, object] = {
        name: getattr(decision, name)
        for name in LoggedDecision.__struct_fields__
        if hasattr(decision, name)
    }
    fields |= {
        "context": bytes(asked.context),
        "actions": actions,
        "excluded": tuple(index for index, _ in excluded),
        "excluded_reasons": tuple(reason for _, reason in excluded),
        "slot_features": tuple(bytes(features) for features in asked.slot_features),
        "pmf": struct.unpack(f"<{len(actions)}f", decision.pmf),
        "writer": "w",
        "seq": 1,
    }
    return LoggedDecision(**(fields | changes))  # type: ignore[arg-type]


class MemoryJournal:
    """A journal that remembers, or fails when told to."""

    def __init__(self) -> None:
        self.records: list[AnyLogRecord] = []
        self.broken = False
        self.writes = 0
        self.keep_share = 1.0
        self.pressure = Pressure.OK

    def require_room(self) -> None:
        if self.pressure is Pressure.FULL:
            raise StorageFull("the disk is full")

    def append(self, record: AnyLogRecord) -> None:
        self.append_many([record])

    def append_many(self, records: Iterable[AnyLogRecord]) -> None:
        if self.broken:
            raise JournalUnavailable("the disk is full")
        self.writes += 1
        self.records += records


class MemoryDefinitions:
    """`bandit.store.definitions.Definitions` in memory, which can go away."""

    def __init__(self, *specs: AnySpec) -> None:
        self.versions: list[Definition] = defined(*specs)
        self.away = False

    def put(
        self, spec: AnySpec, *, expected: int | None, author: str, change_id: str, now_ms: int
    ) -> Definition:
        have = self._newest().get((spec.kind, spec.key))
        if (have.version if have else None) != expected:
            raise VersionConflict(spec.kind, spec.key, have.version if have else 0, expected)
        definition = Definition(
            kind=spec.kind,
            key=spec.key,
            version=(expected or 0) + 1,
            created_ms=now_ms,
            author=author,
            change_id=change_id,
            spec=spec,
        )
        self.versions.append(definition)
        return definition

    def get(self, kind: str, key: str, version: int | None = None) -> Definition:
        self._check()
        for definition in reversed(self.versions):
            if (definition.kind, definition.key) == (kind, key) and version in (
                None,
                definition.version,
            ):
                return definition
        raise NotDeclared(kind, key)

    def all(self) -> list[Definition]:
        return list(self._newest().values())

    def history(self, kind: str, key: str) -> list[Definition]:
        self._check()
        return [d for d in self.versions if (d.kind, d.key) == (kind, key)]

    def revision(self) -> int:
        self._check()
        return len(self.versions)

    def _newest(self) -> dict[tuple[str, str], Definition]:
        self._check()
        return {(d.kind, d.key): d for d in self.versions}

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("connection refused")


class MemorySnapshots:
    """`bandit.store.snapshots.Snapshots` in memory, which can go away."""

    def __init__(self, snapshots: Iterable[Snapshot] = ()) -> None:
        self.snapshots = {(s.policy, s.number): s for s in snapshots}
        self.away = False
        self.fetched: list[int] = []

    def numbers(self) -> Mapping[str, int]:
        if self.away:
            raise StoreUnavailable("connection refused")
        newest: dict[str, int] = {}
        for policy, number in self.snapshots:
            newest[policy] = max(number, newest.get(policy, 0))
        return newest

    def get(self, policy: str, number: int) -> Snapshot:
        if (policy, number) not in self.snapshots:
            raise NotFound(f"snapshot {policy}@{number} is not kept")
        self.fetched.append(number)
        return self.snapshots[policy, number]


class MemoryCatalogues:
    """`bandit.store.catalogue.Catalogues` in memory, which can go away."""

    def __init__(self) -> None:
        self.made: dict[str, list[Sequence[ChangedAction]]] = {}
        self.away = False
        self.loaded: list[tuple[str, int]] = []

    def put(
        self,
        surface: str,
        changes: Sequence[ChangedAction],
        *,
        expected: int,
        author: str,
        change_id: str,
        now_ms: int,
    ) -> int:
        have = self.version(surface)
        if have != expected:
            raise VersionConflict("catalogue", surface, have, expected)
        self.made.setdefault(surface, []).append(changes)
        return have + 1

    def hold(self, surface: str, *actions: Action) -> int:
        """Add these to what a surface holds."""
        changes = [ChangedAction(action.id, action.features) for action in actions]
        version = self.version(surface)
        return self.put(surface, changes, expected=version, author="", change_id="", now_ms=NOW_MS)

    def version(self, surface: str) -> int:
        return self.heads().get(surface, 0)

    def revision(self) -> int:
        return sum(self.heads().values())

    def heads(self) -> dict[str, int]:
        if self.away:
            raise StoreUnavailable("connection refused")
        return {surface: len(made) for surface, made in self.made.items()}

    def at(self, surface: str, version: int) -> list[Action]:
        self.loaded.append((surface, version))
        return [one.action for one in self._listed(surface, version)]

    def digests(self, surface: str, version: int) -> dict[str, bytes]:
        return {
            one.action.id: hashlib.sha256(one.action.features).digest()
            for one in self._listed(surface, version)
        }

    def page(self, surface: str, version: int, after: str, limit: int) -> list[ListedAction]:
        found = sorted(self._listed(surface, version), key=lambda one: one.action.id)
        return [one for one in found if one.action.id > after][:limit]

    def action(self, surface: str, version: int, id_: str) -> ListedAction:
        for one in self._listed(surface, version):
            if one.action.id == id_:
                return one
        raise NotFound(
            f"action {id_!r} is not in the catalogue of surface {surface!r} at version {version}"
        )

    def changes(self, surface: str, after: int, upto: int) -> list[tuple[int, ChangedAction]]:
        made = self.made.get(surface, [])
        return [
            (version, change)
            for version, changes in enumerate(made[:upto], start=1)
            if version > after
            for change in changes
        ]

    def _listed(self, surface: str, version: int) -> list[ListedAction]:
        found: dict[str, ListedAction] = {}
        for at, (id_, features) in self.changes(surface, 0, version):
            if features is None:
                found.pop(id_, None)
            else:
                found[id_] = ListedAction(Action(id=id_, features=features), at)
        return list(found.values())


def snapshot(spec: PolicySpec, number: int, weights: bytes, **changes: object) -> Snapshot:
    """A snapshot whose digest tells its weights."""
    fields: dict[str, object] = {
        "policy": spec.key,
        "number": number,
        "parent": number - 1,
        "created_ms": NOW_MS,
        "spec_version": 1,
        "spec": spec,
        "format": "test",
        "weights": weights,
        "digest": f"digest of {weights.decode()}",
        "sha256": "",
        "cursor": {"decisions/home.feed/w": 3},
        "watermark_ms": NOW_MS,
        "learner": "l",
        "change_id": "c",
    }
    counts = dict.fromkeys(set(Snapshot.__struct_fields__) - set(fields), 0)
    return Snapshot(**(fields | counts | changes))  # type: ignore[arg-type]


def wait_until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.002)
