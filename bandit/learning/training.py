"""A policy in training: rows in, lessons learned, in one order only."""

import logging
from collections.abc import Callable, Iterable
from typing import cast

from bandit.errors import RecordError, SnapshotCorrupt
from bandit.learning.counts import Counts
from bandit.learning.joiner import SKEW_MS, Joined, Joiner, born_ms
from bandit.logs import event
from bandit.policies.arguments import read_arguments
from bandit.policies.base import LearningPolicy, Lesson, Policy
from bandit.specs import TRAINING_FIELDS, Part, PolicySpec, Surface
from bandit.store.snapshots import Snapshot
from bandit.store.tail import Cursor, Tail, TailBatch

log = logging.getLogger(__name__)

Build = Callable[[PolicySpec, bytes | None], Policy]
"""`bandit.policies.build`."""


class Training:
    """A joiner and the policy that learns what it closes.

    Learner, rebuild and retrain all train through this class, so that they can not differ.

    Attributes:
        joiner: What was read and is not closed, and the counts.
        policy: With everything learned that was closed.
    """

    def __init__(self, spec: PolicySpec, surface: Surface, policy: LearningPolicy) -> None:
        """Start with nothing read.

        Args:
            spec: Whose decisions it learns from, and how.
            surface: Whose log it learns from.
            policy: As declared, or as a snapshot has it.
        """
        only = spec.key if spec.learns_from == "own" else None
        self.joiner = Joiner(surface, only_policy=only)
        self.policy = policy
        self._spec = spec
        self._needs_support = needs_support(spec)

    @classmethod
    def resumed(
        cls,
        snapshot: Snapshot,
        policy: LearningPolicy,
        *,
        spec: PolicySpec,
        surface: Surface,
        tail: Tail,
    ) -> "Training":
        """What an uninterrupted training was when it gave a snapshot.

        Args:
            snapshot: Where it stood.
            policy: What it had learned by then.
            spec: How it goes on; as the snapshot's in all that training depends on.
            surface: Whose rules hold from now on.
            tail: The log.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        training = cls(spec, surface, policy)
        cursor, watermark_ms = snapshot.cursor, snapshot.watermark_ms
        since_ms = Joiner.since_ms(watermark_ms)
        closed = tail.event_ids(surface.key, cursor, since_ms, watermark_ms)
        past = tail.reread(surface.key, cursor, since_ms, decisions_since_ms=watermark_ms + 1)
        training.joiner.restore(closed, past, watermark_ms, Counts.of(snapshot))
        return training

    def take(self, rows: TailBatch, after: Cursor, tail: Tail) -> None:
        """Take rows in.

        A host that was away for hours may bring a decision that another one logged, too, and that
        was closed so long ago that the joiner has forgotten it: the log has not.

        Args:
            rows: What was read after `after`.
            after: Where it begins, or any place from where on nothing was closed.
            tail: The log.

        Raises:
            StoreUnavailable: The store did not answer; this training is of no use any more.
        """
        strays = self.joiner.strays(rows.decisions)
        if strays:
            born = [born_ms(event_id) for event_id in strays]
            since_ms, until_ms = max(0, min(born) - SKEW_MS), max(born) + SKEW_MS
            closed = strays.intersection(
                tail.event_ids(self.joiner.surface.key, after, since_ms, until_ms)
            )
            kept = [d for d in rows.decisions if d.event_id not in closed]
            self.joiner.counts.duplicate += len(rows.decisions) - len(kept)
            rows = rows._replace(decisions=kept)
        self.joiner.add(rows)

    def advance(self, watermark_ms: int) -> int:
        """Close up to a watermark and learn; how many lessons there were."""
        joined = self.joiner.close(watermark_ms)
        return teach(
            self.policy,
            joined,
            self.joiner.counts,
            needs_support=self._needs_support,
            spec=self._spec,
        )


def built(snapshot: Snapshot, build: Build) -> LearningPolicy:
    """The policy that a snapshot holds.

    Raises:
        BadSpec: It can not be built with these weights.
        SnapshotCorrupt: Its weights are not those that were learned.
    """
    policy = cast("LearningPolicy", build(snapshot.spec, snapshot.weights))
    digest = policy.digest()
    if digest != snapshot.digest:
        raise SnapshotCorrupt(
            f"weights of snapshot {snapshot.policy}@{snapshot.number} have digest {digest}, "
            f"must be {snapshot.digest}"
        )
    return policy


def teach(
    policy: LearningPolicy,
    joined: Iterable[Joined],
    counts: Counts,
    *,
    needs_support: bool,
    spec: PolicySpec | None = None,
) -> int:
    """Give a policy the lessons of closed decisions, in their order.

    A slot that was drawn with propensity 1 from several actions (by a `fixed` policy) tells nothing
    about the others. Regression (`--cb_type mtr`, the default) learns the shown action's worth from
    it as from any other; importance weighting (`ips`) would take the silence about the others for
    knowledge, so there it is left out. A lesson that the policy refuses is left out too.

    Args:
        policy: Learns.
        joined: From `Joiner.close`.
        counts: Goes up by one per decision: `trained`, `defaulted`, or `unseen` if nothing of it
            was learned.
        needs_support: Leave out slots in which no other action had a chance.
        spec: Whose `slot_model` decides what lessons say of their slots; None: nothing.

    Returns:
        The number of lessons learned.
    """
    learned_n = 0
    for decision in joined:
        before_n = learned_n
        for lesson in decision.lessons(spec):
            if needs_support and not _has_support(lesson):
                continue
            try:
                policy.learn(lesson)
            except RecordError as exc:
                log.warning(
                    "lesson refused event_id=%s: %s",
                    decision.decision.event_id,
                    exc,
                    extra=event("lesson_refused"),
                )
            else:
                learned_n += 1
        if learned_n == before_n:
            counts.unseen += 1
        elif decision.rewarded:
            counts.trained += 1
        else:
            counts.defaulted += 1
    return learned_n


def needs_support(spec: PolicySpec) -> bool:
    """Whether a policy learns by importance weights, which need every action to have a chance."""
    kinds: list[PolicySpec | Part] = [spec, *spec.parts]
    return any(_weighs(one.arguments) for one in kinds if one.type == "vw")


def learns_alike(spec: PolicySpec, other: PolicySpec) -> bool:
    """Whether one's weights are the other's: equal in all that training depends on."""
    return _training_part(spec) == _training_part(other)


def _training_part(spec: PolicySpec) -> tuple[object, ...]:
    return spec.key, *(getattr(spec, name) for name in TRAINING_FIELDS)


def _weighs(arguments: str) -> bool:
    words = read_arguments(arguments).words
    return "ips" in words and words[words.index("ips") - 1] == "--cb_type"


def _has_support(lesson: Lesson) -> bool:
    return lesson.propensity < 1.0 or len(lesson.actions) == 1
