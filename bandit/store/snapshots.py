"""Published snapshots of policies: weights, lineage, and the cursor they were learned up to."""

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from bandit.errors import NotFound, SnapshotCorrupt, StoreError, StoreUnavailable
from bandit.records import Record
from bandit.specs import PolicySpec
from bandit.store.client import ONE_ORDER, Store
from bandit.store.tail import Cursor

KEEP = 100
"""Weights are kept of the last 100 numbers, and of one in 100 of the last 10,000."""
KEEP_ROWS_N = 30_000
"""And for good of the first after another 30,000 rows of the log: what is not kept is at most that
(and a step) away from what is, which is two seconds of learning."""
_LAST = 2**64 - 1


class Snapshot(Record, frozen=True, kw_only=True):
    """A frozen, numbered state of a policy.

    Attributes:
        number: Counts 1, 2, 3 …; 0 is the policy as declared.
        parent: The number it was learned from.
        spec_version: Version of `spec` among the definitions.
        surface_version: Version of the surface whose rules the rewards were joined by; 0 if nobody
            noted it.
        format: What `weights` are, for whoever loads them.
        weights: Bytes from which `bandit.policies.build` resumes; empty where they were left out.
        digest: SHA-256 over the weights themselves, however they were saved, hex.
        sha256: Of the bytes in `weights`, hex.
        cursor: What was read of the log.
        watermark_ms: Decisions up to then were closed.
        trained, defaulted, unseen, late, duplicate, orphan, out_of_bounds, given_up: Counts
            since the weights were last started from scratch.
        learner: Who made it.
        change_id: Distinguishes it from another learner's snapshot of the same number.
        erasures: How many erasures its policy had undergone when its weights were started; those
            before the last one are not resumed, served or learned again.
    """

    policy: str
    number: int
    parent: int
    created_ms: int
    spec_version: int
    surface_version: int = 0
    spec: PolicySpec
    format: str
    weights: bytes
    digest: str
    sha256: str
    cursor: Cursor
    watermark_ms: int
    trained: int
    defaulted: int
    unseen: int
    late: int
    duplicate: int
    orphan: int
    out_of_bounds: int
    given_up: int = 0
    learner: str
    change_id: str
    erasures: int = 0


_AS_IS = tuple(
    name
    for name in Snapshot.__struct_fields__
    if name not in {"created_ms", "spec", "watermark_ms"}
)
_SPEC = msgspec.json.Decoder(PolicySpec)


class Snapshots:
    """The published snapshots of all policies."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def publish(self, snapshot: Snapshot) -> bool:
        """Publish a snapshot; publishing the same one again does no harm.

        Returns:
            Whether it counts: False if another learner's of that number was there first.

        Raises:
            StoreUnavailable: The outcome is unknown: publish the same one again.
        """
        winner = self._winner(snapshot)
        if winner is None:
            self._insert(snapshot)
            winner = self._winner(snapshot)
        if winner is None:
            raise StoreUnavailable(f"snapshot {snapshot.policy}@{snapshot.number} was not stored")
        if snapshot.number % KEEP == 0:
            with contextlib.suppress(StoreError):  # the next time makes up for it
                self._thin(snapshot)
        return winner == snapshot.change_id

    def newest(self, policy: str) -> Snapshot | None:
        """The snapshot with the highest number, if there is any.

        Raises:
            SnapshotCorrupt: Its bytes are not those that were published.
            StoreUnavailable: The store did not answer.
        """
        number = self.numbers().get(policy)
        return None if number is None else self.get(policy, number)

    def numbers(self) -> dict[str, int]:
        """The newest number of every policy; cheap enough to ask several times a second.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return dict(self._store.rows("snapshot_numbers"))

    def get(self, policy: str, number: int) -> Snapshot:
        """One snapshot with its weights.

        Raises:
            NotFound: There is none of that number, or only its lineage was kept.
            SnapshotCorrupt: Its bytes are not those that were published.
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("snapshot", policy=policy, number=number)
        if not rows:
            raise NotFound(f"snapshot {policy}@{number} was never published")
        snapshot = _snapshot(rows[0])
        if not snapshot.weights:
            raise NotFound(f"snapshot {policy}@{number} keeps no weights, only its lineage")
        sha256 = hashlib.sha256(snapshot.weights).hexdigest()
        if sha256 != snapshot.sha256:
            raise SnapshotCorrupt(
                f"snapshot {policy}@{number} has SHA-256 {sha256}, must be {snapshot.sha256}"
            )
        return snapshot

    def kept(self, policy: str, number: int) -> int:
        """The newest number up to `number` whose weights are kept; 0 if there is none.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        found = self._store.rows("kept_snapshot", policy=policy, number=number)
        return int(found[0][0])

    def lineage(self, policy: str, *, since: int = 0, upto: int = _LAST) -> list[Snapshot]:
        """Snapshots of a policy, oldest first, `weights` left empty.

        Args:
            policy: Whose.
            since: The first number.
            upto: The last one.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("snapshot_lineage", policy=policy, since=since, upto=upto)
        return [_snapshot(row) for row in rows]

    def erasures(self, policy: str) -> int:
        """How many erasures a policy underwent; see `bandit.store.erasures`.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return int(dict(self._store.rows("policy_erasures")).get(policy, 0))

    def _winner(self, snapshot: Snapshot) -> str | None:
        rows = self._store.rows("snapshot_winner", policy=snapshot.policy, number=snapshot.number)
        return rows[0][0] if rows else None

    def _thin(self, newest: Snapshot) -> None:
        """Forget the weights that are nearly as cheaply learned again as kept."""
        rows = self._store.rows(
            "snapshots_to_thin",
            policy=newest.policy,
            number=newest.number,
            keep=KEEP,
            rows_n=KEEP_ROWS_N,
        )
        if rows:
            numbers = [number for (number,) in rows]
            self._store.command("thin_snapshots", policy=newest.policy, numbers=numbers)

    def _insert(self, snapshot: Snapshot) -> None:
        columns = {name: [getattr(snapshot, name)] for name in _AS_IS}
        columns["created_at"] = [snapshot.created_ms]
        columns["watermark"] = [snapshot.watermark_ms]
        columns["spec"] = [msgspec.json.encode(snapshot.spec)]
        # A repeated row does no harm here; a remembered token whose row was lost would.
        self._store.insert("snapshots", columns, settings={**ONE_ORDER, "insert_deduplicate": 0})


def _snapshot(row: Sequence[Any]) -> Snapshot:
    fields = dict(zip(Snapshot.__struct_fields__, row, strict=True))
    return Snapshot(**fields | {"spec": _SPEC.decode(fields["spec"])})
