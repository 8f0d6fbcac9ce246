"""Keeps a worker's serving state fresh: a thread polls the store and swaps in what is new.

Serving never waits for it. New snapshots are loaded, compared with their digest and asked for
canary predictions before they serve; one that fails is refused and the one before it stays. What
was swapped in is kept on disk (`last_good`), and a worker starts from there while the store is
away.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bandit.errors import BanditError, NotFound, SnapshotCorrupt, StoreError
from bandit.logs import event
from bandit.policies import build, with_floor
from bandit.policies.base import Policy
from bandit.records import Action
from bandit.service.catalogue_feed import CatalogueFeed
from bandit.service.key_feed import KeyFeed
from bandit.service.last_good import LastGood
from bandit.service.serving_state import RunnablePolicy, Serving, assemble
from bandit.specs import PolicySpec
from bandit.store.catalogue import Catalogues
from bandit.store.definitions import Definition, Definitions
from bandit.store.snapshots import Snapshot, Snapshots

log = logging.getLogger(__name__)
CANARY_CONTEXT = b'{"canary":1.0,"hour":"13"}'
CANARY_SIZES = (1, 2, 17)
KEEP_EVERY_S = 5.0
"""A worker that starts without the store may serve a snapshot that is so much older."""
Build = Callable[[PolicySpec, bytes | None], Policy]


@dataclass(frozen=True)
class Freshness:
    """How the last look at the store went.

    Attributes:
        reached_s: Monotonic time of the last one that worked; None if none did.
        error: Why the last one did not; None if it did.
    """

    reached_s: float | None = None
    error: str | None = None


class Refresher:
    """Polls keys, definitions, snapshots, catalogues; `step` is one look, the thread repeats it."""

    def __init__(
        self,
        serving: Serving,
        *,
        definitions: Callable[[], Definitions],
        snapshots: Callable[[], Snapshots],
        catalogues: Callable[[], Catalogues],
        last_good: LastGood,
        interval_s: float,
        monotonic_s: Callable[[], float],
        build: Build = build,
        keys: KeyFeed | None = None,
    ) -> None:
        """Make a refresher; `start` starts it.

        Args:
            serving: Whose state is swapped.
            definitions: Gives the store's definitions; raises `StoreUnavailable`.
            snapshots: Gives the store's snapshots; likewise.
            catalogues: Gives the store's catalogues; likewise.
            last_good: The cache on disk.
            interval_s: Pause between two looks.
            monotonic_s: A clock that never goes back.
            build: Makes a policy of a spec and weights.
            keys: Follows the API keys; None: nobody is asked for any.
        """
        self._keys = keys
        self._build = build
        self._serving = serving
        self._store_definitions = definitions
        self._store_snapshots = snapshots
        self._last_good = last_good
        self._feed = CatalogueFeed(catalogues, last_good)
        self._interval_s = interval_s
        self._monotonic_s = monotonic_s
        self._definitions: list[Definition] = []
        self._refused: dict[str, int] = {}
        self._unkept: dict[str, Snapshot] = {}
        self._keep_due_s = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresher", daemon=True)
        self.looked = threading.Event()
        """Set once the store was looked at, however that went."""
        self.freshness = Freshness()

    @property
    def refused(self) -> Mapping[str, int]:
        """Numbers of the snapshots that failed their checks, by policy."""
        return dict(self._refused)

    def start(self) -> None:
        """Serve what the disk holds, then follow the store."""
        self.restore()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, unless it hangs in the store."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def restore(self) -> None:
        """Serve the last good definitions, snapshots and catalogues, if the disk holds any."""
        if self._keys is not None:
            self._keys.restore()
        kept = self._last_good.definitions()
        if kept is None:
            return
        self._feed.restore()
        revision, self._definitions = kept
        policies = {spec.key: self._fallback(spec) for spec in self._specs()}
        self._swap(revision, _present(policies))

    def step(self) -> bool:
        """Look at the store once; True if something new serves now.

        Raises:
            StoreError: It could not be asked; what serves goes on serving.
        """
        if self._keys is not None:
            self._keys.look()  # first: whatever else fails, a revoked key must end
        revision = self._store_definitions().revision()
        state = self._serving.state
        if revision != state.revision:
            self._definitions = self._store_definitions().all()
        numbers = self._store_snapshots().numbers()
        policies = {
            spec.key: self._runnable(spec, numbers.get(spec.key, 0)) for spec in self._specs()
        }
        runnable = _present(policies)
        is_other = self._feed.look()
        is_news = is_other or revision != state.revision or runnable != state.policies
        if is_news:
            self._swap(revision, runnable)
        self._keep(definitions_too=revision != state.revision)
        return is_news

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except StoreError as exc:
                self._failed(str(exc))
            except Exception as exc:  # a bug must not end the thread: serving would grow stale
                log.exception("refreshing failed", extra=event("refresh_failed"))
                self._failed(repr(exc))
            else:
                self.freshness = Freshness(reached_s=self._monotonic_s())
            self.looked.set()
            self._stopping.wait(self._interval_s)

    def _failed(self, error: str) -> None:
        if error != self.freshness.error:
            log.warning("serving what is known: %s", error, extra=event("store_away"))
        self.freshness = replace(self.freshness, error=error)

    def _specs(self) -> list[PolicySpec]:
        return [d.spec for d in self._definitions if isinstance(d.spec, PolicySpec)]

    def _swap(self, revision: int, policies: Mapping[str, RunnablePolicy]) -> None:
        serving = self._serving
        serving.swap(
            assemble(revision, self._definitions, policies, serving.state, self._feed.current)
        )

    def _runnable(self, spec: PolicySpec, number: int) -> RunnablePolicy | None:
        """The policy at snapshot `number`, or the best there is; None if it can't be run at all."""
        have = self._serving.state.policies.get(spec.key)
        if self._refused.get(spec.key) == number or (have and have.snapshot == number):
            return have if have is None or have.spec == spec else replace(have, spec=spec)
        try:
            if number == 0:
                return self._untrained(spec)
            snapshot = self._store_snapshots().get(spec.key, number)
            runnable = self._trained(spec, snapshot)
        except StoreError:
            raise
        except NotFound:  # a replica that lags: it will be there at a later look
            return have or self._fallback(spec)
        except BanditError as exc:
            log.error(
                "snapshot %s@%d is refused: %s",
                spec.key,
                number,
                exc,
                extra=event("snapshot_refused"),
            )
            self._refused[spec.key] = number
            return have or self._fallback(spec)
        self._unkept[spec.key] = snapshot
        return runnable

    def _fallback(self, spec: PolicySpec) -> RunnablePolicy | None:
        """The policy from disk, else untrained."""
        snapshot = self._last_good.snapshot(spec.key)
        for attempt in ("last good", "untrained"):
            try:
                if attempt == "untrained":
                    return self._untrained(spec)
                if snapshot is not None:
                    return self._trained(spec, snapshot)
            except BanditError as exc:
                log.error(
                    "policy %s can not be run %s: %s",
                    spec.key,
                    attempt,
                    exc,
                    extra=event("policy_unusable"),
                )
        return None

    def _keep(self, *, definitions_too: bool) -> None:
        """Save what serves; of what may change twice a second, one in a while."""
        revision = self._serving.state.revision
        try:
            if definitions_too and revision is not None:
                self._last_good.save_definitions(revision, self._definitions)
            if self._monotonic_s() >= self._keep_due_s and (self._unkept or self._feed.has_news):
                self._keep_due_s = self._monotonic_s() + KEEP_EVERY_S
                while self._unkept:
                    _, snapshot = self._unkept.popitem()
                    self._last_good.save_snapshot(snapshot)
                self._feed.keep()
        except OSError as exc:  # serving is right without it; only a start without store is not
            log.warning(
                "the last good state could not be kept: %s", exc, extra=event("last_good_unkept")
            )

    def _untrained(self, spec: PolicySpec) -> RunnablePolicy:
        policy = self._build(spec, None)
        check_canary(policy, spec.key)
        return RunnablePolicy(spec, 0, 0, policy)

    def _trained(self, spec: PolicySpec, snapshot: Snapshot) -> RunnablePolicy:
        label = f"{snapshot.policy}@{snapshot.number}"
        policy = self._build(snapshot.spec, snapshot.weights)
        digest = getattr(policy, "digest", None)
        if digest is not None and digest() != snapshot.digest:
            raise SnapshotCorrupt(f"weights of {label} do not have the digest {snapshot.digest}")
        check_canary(policy, label)
        return RunnablePolicy(spec, snapshot.number, snapshot.created_ms, policy)


def _present(policies: Mapping[str, RunnablePolicy | None]) -> dict[str, RunnablePolicy]:
    return {key: policy for key, policy in policies.items() if policy is not None}


def check_canary(policy: Policy, label: str) -> None:
    """Ask a policy for a few pmfs before it serves.

    Raises:
        SnapshotCorrupt: One of them is no distribution.
    """
    for k in CANARY_SIZES:
        actions = [Action.of(f"canary-{index}", position=index) for index in range(k)]
        try:
            with_floor(policy.pmf(CANARY_CONTEXT, actions), 0.0)
        except BanditError as exc:
            raise SnapshotCorrupt(f"{label} fails its canary of {k} actions: {exc}") from exc
