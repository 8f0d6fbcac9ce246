"""Weights that are not kept any more, learned again from the log."""

import logging
from typing import NamedTuple, cast

from bandit.errors import BadSpec, NotFound, SnapshotCorrupt
from bandit.learning.lineage import check_not_erased, learn_steps, started, steps_of, surface_of
from bandit.learning.training import Build, Training, built
from bandit.logs import event
from bandit.policies.base import LearningPolicy
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshot, Snapshots
from bandit.store.tail import Cursor, Tail

log = logging.getLogger(__name__)


class _Standing(NamedTuple):
    """A training at one snapshot of its lineage."""

    snapshot: Snapshot
    training: Training


class Retrainer:
    """Makes the weights of any snapshot; not for several threads at once.

    It begins at the nearest ancestor whose weights are kept, or where the last retraining ended if
    that is nearer: whoever asks for ascending numbers has each step learned once.
    """

    def __init__(
        self, *, tail: Tail, snapshots: Snapshots, definitions: Definitions, build: Build
    ) -> None:
        """Nothing is read yet.

        Args:
            tail: The log.
            snapshots: Lineages, and the weights that are kept.
            definitions: The surface's rules at each step.
            build: `bandit.policies.build`.
        """
        self._tail = tail
        self._snapshots = snapshots
        self._definitions = definitions
        self._build = build
        self._standing: _Standing | None = None

    def retrain(self, policy: str, number: int) -> LearningPolicy:
        """The policy as a snapshot had it, whether or not its weights are kept.

        Raises:
            NotFound: There is no such snapshot, or the log does not hold all that it learned from.
            NotDeclared: Its surface is not declared, or not in a version it was learned by.
            SnapshotCorrupt: Other weights come out than were published.
            StoreUnavailable: The store did not answer.
        """
        standing, self._standing = self._standing, None  # what fails half-way is not gone on with
        way = self._way(policy, number, standing)
        lessons_n = learn_steps(
            way.training, way.steps, after=way.after, tail=self._tail, definitions=self._definitions
        )
        learned = way.training.policy
        digest = learned.digest()
        if digest != way.goal.digest:
            raise SnapshotCorrupt(
                f"snapshot {policy}@{number} comes out of the log with digest {digest}, "
                f"must be {way.goal.digest}"
            )
        log.debug(
            "retrained snapshot=%s@%d steps=%d lessons=%d",
            policy,
            number,
            len(way.steps),
            lessons_n,
            extra=event("snapshot_retrained"),
        )
        self._standing = _Standing(way.goal, way.training)
        return cast("LearningPolicy", self._build(way.goal.spec, learned.save()))

    def _way(self, policy: str, number: int, standing: _Standing | None) -> "_Way":
        """From the nearest place to begin at."""
        below = number
        while True:
            near = (
                standing.snapshot.number if standing and _is_up_to(standing, policy, below) else 0
            )
            root = max(near, self._snapshots.kept(policy, below))
            lineage = self._snapshots.lineage(policy, since=root, upto=number)
            if not lineage or lineage[-1].number != number:
                raise NotFound(f"snapshot {policy}@{number} was never published")
            check_not_erased(lineage[-1], self._snapshots.erasures(policy))
            try:
                steps = steps_of(lineage, root)
                if steps[0].number != root:
                    spec = steps[0].spec
                    return _Way(
                        started(spec, self._definitions, self._build), {}, steps, lineage[-1]
                    )
                begin = standing if standing and root == near else self._kept(policy, root)
            except (NotFound, SnapshotCorrupt, BadSpec) as exc:  # no ancestor, or of no use
                if root == 0:
                    raise
                log.warning(
                    "passed over snapshot=%s@%d: %s",
                    policy,
                    root,
                    exc,
                    extra=event("snapshot_unusable"),
                )
                below = root - 1
            else:
                return _Way(begin.training, begin.snapshot.cursor, steps[1:], lineage[-1])

    def _kept(self, policy: str, number: int) -> _Standing:
        """A training at a snapshot whose weights are kept."""
        snapshot = self._snapshots.get(policy, number)
        training = Training.resumed(
            snapshot,
            built(snapshot, self._build),
            spec=snapshot.spec,
            surface=surface_of(snapshot.spec, self._definitions),
            tail=self._tail,
        )
        return _Standing(snapshot, training)


class _Way(NamedTuple):
    """What is to be learned by whom to come to a snapshot."""

    training: Training
    after: Cursor
    steps: list[Snapshot]
    goal: Snapshot


def _is_up_to(standing: _Standing, policy: str, number: int) -> bool:
    return standing.snapshot.policy == policy and standing.snapshot.number <= number
