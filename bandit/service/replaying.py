"""Replays: a logged decision is made again from log and snapshot, and compared bit for bit."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence

from bandit.errors import NotFound, SnapshotCorrupt
from bandit.policies import build, draw_ranking, seed_of
from bandit.policies.base import Policy
from bandit.records import Action, LoggedDecision, Record
from bandit.service.drawing import Drawn, draw_in_pools, placed
from bandit.service.placed import LoggedPlacements
from bandit.service.probabilities import Asked, spread
from bandit.service.retraining import retraining
from bandit.specs import BUILT_IN, PolicySpec, Rules, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshots


class Replay(Record, frozen=True, kw_only=True):
    """What came out when a decision was made again.

    Attributes:
        identical: Variant, seed, pmf, ranking, propensities and what was blocked are what the log
            holds.
        differences: What is not, each with both values; empty if `identical`.
    """

    event_id: str
    identical: bool
    policy: str
    snapshot: int
    seed: int
    pmf: tuple[float, ...]
    ranking: tuple[int, ...]
    propensities: tuple[float, ...]
    differences: tuple[str, ...]


class ReplayService:
    """Makes decisions again; every call may block, and calls take turns."""

    def __init__(
        self,
        definitions: Callable[[], Definitions],
        snapshots: Callable[[], Snapshots],
        *,
        salt: bytes,
        retrain: Callable[[str, int], Policy] | None = None,
        policies_kept: int = 4,
    ) -> None:
        """Make the service.

        Args:
            definitions: Gives the store's definitions; raises `StoreUnavailable`.
            snapshots: Gives the store's snapshots; likewise.
            salt: The project's secret that seeded the draws.
            retrain: Gives the policy of a snapshot whose weights are not kept any more, or damaged
                in the store; see `retraining`. None: such a decision is not replayed.
            policies_kept: How many loaded snapshots stay in memory.
        """
        self._definitions = definitions
        self._snapshots = snapshots
        self._salt = salt
        self._retrain = retrain
        self.damaged: list[str] = []
        """Snapshots that are damaged in the store, and were learned again."""
        self._policies_kept = policies_kept
        self._policies: OrderedDict[tuple[str, int], tuple[PolicySpec, Policy]] = OrderedDict()
        self._surfaces: dict[tuple[str, int], Surface] = {}
        self._placements = LoggedPlacements(definitions)
        self._turn = threading.Lock()  # a policy must not be asked by two threads at once

    @classmethod
    def of_store(cls, store: Callable[[], Store], *, salt: bytes) -> "ReplayService":
        """A service over one store, which learns weights again that are not kept.

        Args:
            store: Gives the store, always the same one; raises `StoreUnavailable`.
            salt: The project's secret that seeded the draws.
        """
        return cls(
            lambda: Definitions(store()),
            lambda: Snapshots(store()),
            salt=salt,
            retrain=retraining(store),
        )

    def replay_all(
        self, decisions: Iterable[LoggedDecision]
    ) -> Iterator[Replay | NotFound | SnapshotCorrupt]:
        """Make decisions again, each, or tell why one can not be.

        They come in the order of their snapshots: each is loaded once, and those whose weights are
        not kept are learned again on one way through the log.

        Raises:
            NotDeclared: A policy or experiment is not declared.
            StoreUnavailable: The store did not answer.
        """
        for decision in sorted(decisions, key=lambda d: (d.policy, d.snapshot, d.event_id)):
            try:
                yield self.replay(decision)
            except (NotFound, SnapshotCorrupt) as exc:
                yield exc

    def replay(self, decision: LoggedDecision) -> Replay:
        """Make a logged decision again.

        Raises:
            NotFound: Its snapshot's weights are not kept, nor all of the log that they were
                learned from.
            NotDeclared: Its policy or experiment is not declared.
            SnapshotCorrupt: Its snapshot comes otherwise out of the log than it was published.
            StoreUnavailable: They can not be fetched now.
        """
        with self._turn:
            return self._replay(decision)

    def _replay(self, logged: LoggedDecision) -> Replay:
        excluded = set(logged.excluded)
        eligible = [i for i in range(len(logged.actions)) if i not in excluded]
        offered = [logged.actions[index] for index in eligible]
        spec, policy = self._policy(logged.policy, logged.snapshot)
        rules = self._rules(logged)
        asked = Asked(policy, spec, logged.floor, logged.context, rules, logged.slot_features)
        pmf = asked.pmf(offered)
        seed = seed_of(logged.event_id, self._salt)
        drawn = placed(_drawn(logged, rules, asked, pmf, offered, eligible, seed), eligible)
        pmf = spread(pmf, eligible, len(logged.actions))
        differences = [
            *_difference("variant", logged.variant, self._placements.variant(logged)),
            *_difference("seed", logged.seed, seed),
            *_differences("pmf", logged.pmf, pmf),
            *_differences("ranking", logged.ranking, drawn.ranking),
            *_differences("propensities", logged.propensities, drawn.propensities),
            *_difference("blocked", logged.blocked, drawn.blocked),
            *_difference("pinned", logged.pinned, drawn.pinned),
        ]
        return Replay(
            event_id=logged.event_id,
            identical=not differences,
            policy=logged.policy,
            snapshot=logged.snapshot,
            seed=seed,
            pmf=pmf,
            ranking=tuple(drawn.ranking),
            propensities=tuple(drawn.propensities),
            differences=tuple(differences),
        )

    def _rules(self, logged: LoggedDecision) -> Rules:
        """The rules of the surface in the version that decided; none where none was noted."""
        place = (logged.surface, logged.surface_version)
        if not logged.surface_version:
            return Rules()
        if place not in self._surfaces:
            spec = self._definitions().get(Surface.kind, *place).spec
            assert isinstance(spec, Surface)
            self._surfaces[place] = spec
        return self._surfaces[place].rules

    def _policy(self, key: str, snapshot: int) -> tuple[PolicySpec, Policy]:
        place = (key, snapshot)
        found = self._policies.pop(place, None)
        if found is None:
            found = self._load(key, snapshot)
            while len(self._policies) >= self._policies_kept:
                self._policies.popitem(last=False)
        self._policies[place] = found
        return found

    def _load(self, key: str, snapshot: int) -> tuple[PolicySpec, Policy]:
        if snapshot:
            try:
                found = self._snapshots().get(key, snapshot)
            except (NotFound, SnapshotCorrupt) as exc:
                if self._retrain is None:
                    raise
                relearned = self._spec(key), self._retrain(key, snapshot)
                if isinstance(exc, SnapshotCorrupt):
                    self.damaged.append(f"{key}@{snapshot}")
                return relearned
            return found.spec, build(found.spec, found.weights)
        spec = self._spec(key)
        return spec, build(spec)

    def _spec(self, key: str) -> PolicySpec:
        """Of a policy that may be built in; what it is never changes, so any version will do."""
        if key in BUILT_IN:
            return BUILT_IN[key]
        spec = self._definitions().get(PolicySpec.kind, key).spec
        assert isinstance(spec, PolicySpec)
        return spec


def _drawn(
    logged: LoggedDecision,
    rules: Rules,
    asked: Asked,
    pmf: Sequence[float],
    offered: Sequence[Action],
    eligible: Sequence[int],
    seed: int,
) -> Drawn:
    """The draw again; where pins sat is what the log says, for requests may bring pins too."""
    if not (logged.pinned or rules.diversity or asked.by_slot):
        return Drawn(*draw_ranking(pmf, len(logged.ranking), seed))
    return draw_in_pools(
        asked,
        pmf,
        offered,
        slots=len(logged.ranking),
        seed=seed,
        pins={slot: eligible.index(logged.ranking[slot]) for slot in logged.pinned},
        diversity=rules.diversity,
    )


def _difference(name: str, logged: object, replayed: object) -> list[str]:
    return [] if logged == replayed else [f"{name} was {logged!r}, comes out as {replayed!r}"]


def _differences(name: str, logged: Sequence[float], replayed: Sequence[float]) -> list[str]:
    if len(logged) != len(replayed):
        return [f"{name} had {len(logged)} entries, comes out with {len(replayed)}"]
    return [
        f"{name}[{place}] was {was!r}, comes out as {is_now!r}"
        for place, (was, is_now) in enumerate(zip(logged, replayed, strict=True))
        if was != is_now
    ]
