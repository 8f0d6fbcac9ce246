"""A policy's weights from nothing but the log: the proof that its snapshots are its cache."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import cast

from bandit.errors import NotFound
from bandit.learning.counts import Counts
from bandit.learning.learner import Build
from bandit.learning.training import Training, learns_alike
from bandit.policies.base import LearningPolicy
from bandit.records import Record
from bandit.specs import Surface
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshot, Snapshots
from bandit.store.tail import Cursor, Tail, TailBatch

ROWS_N = 30_000
"""Steps are fetched together up to about so many rows."""


class RebuildReport(Record, frozen=True, kw_only=True):
    """What came of retraining a policy.

    Attributes:
        policy: Which.
        number: The snapshot that was rebuilt.
        digest: Of the weights that came out.
        expected: What the snapshot says.
        equal: Whether they are the same.
        counts_equal: Whether as much was trained, defaulted, late … as the snapshot says.
        steps_n: Snapshots from scratch to that one.
        lessons_n: Lessons learned on the way.
    """

    policy: str
    number: int
    digest: str
    expected: str
    equal: bool
    counts_equal: bool
    steps_n: int
    lessons_n: int


def rebuild(
    policy: str,
    *,
    tail: Tail,
    snapshots: Snapshots,
    definitions: Definitions,
    build: Build,
) -> RebuildReport:
    """Retrain a policy from the log, step by step as its lineage says, and compare the weights.

    Args:
        policy: Key of a policy that has snapshots.
        tail: The log.
        snapshots: Whose newest lineage is followed from where it started from scratch.
        definitions: The surface's rules at each step.
        build: `bandit.policies.build`.

    Raises:
        NotFound: The policy has no snapshot, or the log does not hold all that it learned from.
        NotDeclared: Its surface is not declared, or not in a version it was learned by.
        StoreUnavailable: The store did not answer.
    """
    steps = lineage_from_scratch(snapshots.lineage(policy))
    if not steps:
        raise NotFound(f"policy {policy!r} has no snapshot to rebuild")
    newest = steps[-1]
    surfaces = _Surfaces(definitions, str(newest.spec.surface))
    learner = cast("LearningPolicy", build(newest.spec, None))
    training = Training(newest.spec, surfaces.at(steps[0].surface_version), learner)
    lessons_n = 0
    for snapshot, rows in _rows_of(steps, tail, str(newest.spec.surface)):
        training.joiner.surface = surfaces.at(snapshot.surface_version)
        training.joiner.add(rows)
        lessons_n += training.advance(snapshot.watermark_ms)
    digest = learner.digest()
    return RebuildReport(
        policy=policy,
        number=newest.number,
        digest=digest,
        expected=newest.digest,
        equal=digest == newest.digest,
        counts_equal=training.joiner.counts == Counts.of(newest),
        steps_n=len(steps),
        lessons_n=lessons_n,
    )


def lineage_from_scratch(lineage: Sequence[Snapshot]) -> list[Snapshot]:
    """The snapshots that led to the newest one, from the first that started from scratch.

    One starts from scratch if it has no parent, or one that was trained as another spec said.
    """
    by_number = {snapshot.number: snapshot for snapshot in lineage}
    steps: list[Snapshot] = []
    snapshot = lineage[-1] if lineage else None
    while snapshot is not None:
        steps.append(snapshot)
        parent = by_number.get(snapshot.parent)
        if snapshot.parent and parent is None:
            raise NotFound(f"snapshot {snapshot.policy}@{snapshot.parent} is not in the lineage")
        snapshot = parent if parent and learns_alike(parent.spec, snapshot.spec) else None
    return steps[::-1]


class _Surfaces:
    """Versions of a surface, each asked for once."""

    def __init__(self, definitions: Definitions, key: str) -> None:
        self._definitions = definitions
        self._key = key
        self._known: dict[int, Surface] = {}

    def at(self, version: int) -> Surface:
        """A version; 0 is the newest."""
        if version not in self._known:
            definition = self._definitions.get("surface", self._key, version or None)
            self._known[version] = cast("Surface", definition.spec)
        return self._known[version]


def _rows_of(
    steps: Sequence[Snapshot], tail: Tail, surface: str
) -> Iterator[tuple[Snapshot, TailBatch]]:
    """Each step with the rows that were read for it; fetched for many small steps at once."""
    after: Cursor = {}
    group: list[Snapshot] = []
    for place, snapshot in enumerate(steps):
        group.append(snapshot)
        is_last = place + 1 == len(steps)
        if is_last or _distance(after, steps[place + 1].cursor) > ROWS_N:
            yield from zip(group, _split(tail, surface, after, group), strict=True)
            after, group = snapshot.cursor, []


def _split(tail: Tail, surface: str, after: Cursor, group: Sequence[Snapshot]) -> list[TailBatch]:
    """Rows up to the last of some snapshots, apart by the first of them that had read them."""
    fetched = tail.between(surface, after, group[-1].cursor)
    parts = [TailBatch([], [], [], snapshot.cursor) for snapshot in group]
    read = {
        stream: [snapshot.cursor.get(stream, 0) for snapshot in group]
        for stream in group[-1].cursor
    }

    def part(table: str, surface: str, writer: str, seq: int) -> TailBatch:
        return parts[bisect_left(read[f"{table}/{surface}/{writer}"], seq)]

    for decision in fetched.decisions:
        part("decisions", decision.surface, decision.writer, decision.seq).decisions.append(
            decision
        )
    for reward in fetched.rewards:
        part("rewards", reward.record.surface, reward.writer, reward.seq).rewards.append(reward)
    for shown in fetched.exposures:
        part("exposures", shown.record.surface, shown.writer, shown.seq).exposures.append(shown)
    return parts


def _distance(after: Cursor, upto: Cursor) -> int:
    return sum(seq - after.get(stream, 0) for stream, seq in upto.items())
