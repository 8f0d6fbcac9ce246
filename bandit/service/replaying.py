"""Replays: a logged decision is made again from log and snapshot, and compared bit for bit."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence

from bandit.assign import variant_of
from bandit.errors import NotFound, SnapshotCorrupt
from bandit.policies import build, draw_ranking, seed_of
from bandit.policies.base import Policy
from bandit.records import LoggedDecision, Record
from bandit.service.probabilities import floored_pmf, spread
from bandit.service.retraining import retraining
from bandit.specs import Experiment, PolicySpec
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshots


class Replay(Record, frozen=True, kw_only=True):
    """What came out when a decision was made again.

    Attributes:
        identical: Variant, seed, pmf, ranking and propensities are what the log holds.
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
            retrain: Gives the policy of a snapshot whose weights are not kept any more; see
                `retraining`. None: such a decision is not replayed.
            policies_kept: How many loaded snapshots stay in memory.
        """
        self._definitions = definitions
        self._snapshots = snapshots
        self._salt = salt
        self._retrain = retrain
        self._policies_kept = policies_kept
        self._policies: OrderedDict[tuple[str, int], Policy] = OrderedDict()
        self._experiments: dict[tuple[str, int], Experiment] = {}
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
            SnapshotCorrupt: Its snapshot does not match its digest, or comes otherwise out of the
                log.
            StoreUnavailable: They can not be fetched now.
        """
        with self._turn:
            return self._replay(decision)

    def _replay(self, logged: LoggedDecision) -> Replay:
        excluded = set(logged.excluded)
        eligible = [i for i in range(len(logged.actions)) if i not in excluded]
        offered = [logged.actions[index] for index in eligible]
        policy = self._policy(logged.policy, logged.snapshot)
        pmf = floored_pmf(policy, logged.floor, logged.context, offered)
        seed = seed_of(logged.event_id, self._salt)
        drawn, drawn_with = draw_ranking(pmf, len(logged.ranking), seed)
        ranking, propensities = tuple(eligible[i] for i in drawn), tuple(drawn_with)
        pmf = spread(pmf, eligible, len(logged.actions))
        differences = [
            *_difference("variant", logged.variant, self._variant(logged)),
            *_difference("seed", logged.seed, seed),
            *_differences("pmf", logged.pmf, pmf),
            *_differences("ranking", logged.ranking, ranking),
            *_differences("propensities", logged.propensities, propensities),
        ]
        return Replay(
            event_id=logged.event_id,
            identical=not differences,
            policy=logged.policy,
            snapshot=logged.snapshot,
            seed=seed,
            pmf=pmf,
            ranking=ranking,
            propensities=propensities,
            differences=tuple(differences),
        )

    def _variant(self, logged: LoggedDecision) -> str:
        if not logged.experiment:
            return ""
        place = (logged.experiment, logged.experiment_version)
        if place not in self._experiments:
            spec = self._definitions().get(Experiment.kind, *place).spec
            assert isinstance(spec, Experiment)
            self._experiments[place] = spec
        variant = variant_of(self._experiments[place], logged.unit_id)
        return "" if variant is None else variant.key

    def _policy(self, key: str, snapshot: int) -> Policy:
        place = (key, snapshot)
        policy = self._policies.pop(place, None)
        if policy is None:
            policy = self._load(key, snapshot)
            while len(self._policies) >= self._policies_kept:
                self._policies.popitem(last=False)
        self._policies[place] = policy
        return policy

    def _load(self, key: str, snapshot: int) -> Policy:
        if snapshot:
            try:
                found = self._snapshots().get(key, snapshot)
            except NotFound:
                if self._retrain is None:
                    raise
                return self._retrain(key, snapshot)
            return build(found.spec, found.weights)
        # Type and arguments of a policy never change (see `defining`), so any version will do.
        spec = self._definitions().get(PolicySpec.kind, key).spec
        assert isinstance(spec, PolicySpec)
        return build(spec)


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
