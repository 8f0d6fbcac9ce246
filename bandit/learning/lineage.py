"""The steps of a policy's lineage, learned once more from the log."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import cast

from bandit.errors import NotFound
from bandit.learning.training import Build, Training, learns_alike
from bandit.policies.base import LearningPolicy
from bandit.specs import PolicySpec, Surface
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshot
from bandit.store.tail import Cursor, Tail, TailBatch

ROWS_N = 30_000
"""Steps are fetched together up to about so many rows."""


def steps_of(lineage: Sequence[Snapshot], root: int = 0) -> list[Snapshot]:
    """The snapshots that led to the newest one, oldest first.

    They begin with number `root` if it is among them, else with the first that was trained from
    scratch: one without a parent, or with one that was trained as another spec said, or before an
    erasure.

    Args:
        lineage: Oldest first; whatever is older than `root` may be missing.
        root: Where to stop looking back.

    Raises:
        NotFound: A parent is not in the lineage.
    """
    by_number = {snapshot.number: snapshot for snapshot in lineage}
    steps: list[Snapshot] = []
    snapshot = lineage[-1] if lineage else None
    while snapshot is not None:
        steps.append(snapshot)
        if snapshot.number == root:
            break
        parent = by_number.get(snapshot.parent)
        if snapshot.parent and parent is None:
            raise NotFound(f"snapshot {snapshot.policy}@{snapshot.parent} is not in the lineage")
        snapshot = parent if parent and _goes_on(parent, snapshot) else None
    return steps[::-1]


def check_not_erased(snapshot: Snapshot, erasures: int) -> None:
    """Refuse to learn again what a unit that was forgotten may have been part of.

    Args:
        snapshot: What is to be made again.
        erasures: How many erasures its policy underwent by now.

    Raises:
        NotFound: It is from before the last one.
    """
    if snapshot.erasures < erasures:
        raise NotFound(
            f"snapshot {snapshot.policy}@{snapshot.number} is from before a unit was forgotten, "
            "so its weights were removed and can not be learned again"
        )


def learn_steps(
    training: Training,
    steps: Sequence[Snapshot],
    *,
    after: Cursor,
    tail: Tail,
    definitions: Definitions,
) -> int:
    """Learn what was learned on the way to each of some snapshots, in their order.

    Args:
        training: As it was before the first of them.
        steps: Consecutive ones of one lineage.
        after: What `training` has read.
        tail: The log.
        definitions: The surface's rules at each step.

    Returns:
        How many lessons there were.

    Raises:
        NotFound: The log does not hold all that was learned from.
        NotDeclared: The surface is not declared, or not in a version it was learned by.
        StoreUnavailable: The store did not answer; `training` is of no use any more.
    """
    surface = training.joiner.surface.key
    surfaces = _Surfaces(definitions, surface)
    if steps:
        tail.check_retained(surface, after, steps[-1].cursor, steps[0].created_ms)
    lessons_n = 0
    for snapshot, rows in _rows_of(steps, after, tail, surface):
        training.joiner.surface = surfaces.at(snapshot.surface_version)
        training.take(rows, after, tail)
        lessons_n += training.advance(snapshot.watermark_ms)
        after = snapshot.cursor
        training.policy.save()  # where the learner saved: some go on otherwise than unsaved
    return lessons_n


def started(spec: PolicySpec, definitions: Definitions, build: Build) -> Training:
    """A training that has read and learned nothing yet.

    Raises:
        NotDeclared: The policy's surface is not declared.
    """
    policy = cast("LearningPolicy", build(spec, None))
    return Training(spec, surface_of(spec, definitions), policy)


def surface_of(spec: PolicySpec, definitions: Definitions) -> Surface:
    """The surface that a policy learns from, as it is declared now.

    Raises:
        NotDeclared: It is not.
    """
    return cast("Surface", definitions.get(Surface.kind, str(spec.surface)).spec)


class _Surfaces:
    """Versions of a surface, each asked for once."""

    def __init__(self, definitions: Definitions, key: str) -> None:
        self._definitions = definitions
        self._key = key
        self._known: dict[int, Surface] = {}

    def at(self, version: int) -> Surface:
        """A version; 0 is the newest."""
        if version not in self._known:
            definition = self._definitions.get(Surface.kind, self._key, version or None)
            self._known[version] = cast("Surface", definition.spec)
        return self._known[version]


def _rows_of(
    steps: Sequence[Snapshot], after: Cursor, tail: Tail, surface: str
) -> Iterator[tuple[Snapshot, TailBatch]]:
    """Each step with the rows that were read for it; fetched for many small steps at once."""
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
    parts[-1] = parts[-1]._replace(given_up_n=fetched.given_up_n)
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


def _goes_on(parent: Snapshot, snapshot: Snapshot) -> bool:
    """Whether a snapshot's weights are its parent's and what was learned since."""
    is_alike = learns_alike(parent.spec, snapshot.spec)
    return is_alike and parent.erasures == snapshot.erasures


def _distance(after: Cursor, upto: Cursor) -> int:
    return sum(seq - after.get(stream, 0) for stream, seq in upto.items())
