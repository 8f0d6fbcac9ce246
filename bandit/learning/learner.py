"""One policy's learner: reads, closes, trains, publishes; exactly where the last one stopped."""

import hashlib
import logging
from collections.abc import Callable
from typing import NamedTuple, cast

import msgspec

from bandit.errors import BadSpec, NotFound, SnapshotCorrupt
from bandit.learning.counts import Counts
from bandit.learning.reading import Reader
from bandit.learning.running import Descent, Pace, Running
from bandit.learning.totals import window_ms
from bandit.learning.training import Build, Training, built, learns_alike
from bandit.learning.watching import Watch
from bandit.logs import event
from bandit.policies.base import LearningPolicy
from bandit.records import Record
from bandit.specs import PolicySpec, Surface
from bandit.store.definitions import Definition
from bandit.store.snapshots import Snapshot, Snapshots
from bandit.store.tail import Tail

__all__ = ["QUIET_S", "STAND_BY_S", "LearnStep", "Learner", "Pace", "Task"]

log = logging.getLogger(__name__)

QUIET_S = 60.0
"""Counts that changed without anything learned are published this seldom."""
STAND_BY_S = 5.0
"""How long a learner rests that found another one at its policy."""


class Task(Record, frozen=True, kw_only=True):
    """What a learner is to learn: the definitions as they are now.

    Attributes:
        erasures: How many erasures the policy underwent: weights from before the last one are of
            another kind.
    """

    policy: PolicySpec
    policy_version: int
    surface: Surface
    surface_version: int
    erasures: int = 0

    @classmethod
    def of(cls, policy: Definition, surface: Definition, erasures: int = 0) -> "Task":
        """The task that two definitions make."""
        return cls(
            policy=cast("PolicySpec", policy.spec),
            policy_version=policy.version,
            surface=cast("Surface", surface.spec),
            surface_version=surface.version,
            erasures=erasures,
        )


class LearnStep(NamedTuple):
    """What a step did.

    Attributes:
        rows_n: Rows read.
        lessons_n: Lessons learned.
        snapshot: The number published; None if nothing was.
        more: Whether there is more to do at once.
        behind_ms: Whatever was accepted longer ago is read; None if nothing was read.
        waiting_n: Decisions read whose window has not ended.
        holes_n: Streams that stand still because a number is missing.
        silent_n: Hosts that are not waited for, because they have said nothing lately.
        unread_n: Rows that are there and were not read.
    """

    rows_n: int = 0
    lessons_n: int = 0
    snapshot: int | None = None
    more: bool = False
    behind_ms: int | None = None
    waiting_n: int = 0
    holes_n: int = 0
    silent_n: int = 0
    unread_n: int = 0


class Learner:
    """Trains one policy; `step` it for as long as it lives.

    Decisions are closed only in order to publish, so the snapshots are the steps: whoever follows
    their cursors and watermarks over the log learns the same lessons in the same order. After each
    snapshot the learner is what one resumed from that snapshot would be.

    Of two learners of one policy the slower one loses each number, resumes from what the other
    published, and so stands by to take over.
    """

    def __init__(
        self,
        task: Task,
        *,
        tail: Tail,
        snapshots: Snapshots,
        build: Build,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        name: str,
        pace: Pace,
    ) -> None:
        """Nothing is read before the first step.

        Args:
            task: What to learn.
            tail: Its own one: a tail remembers where its reader is.
            snapshots: Where to resume from and publish to.
            build: `bandit.policies.build`.
            now_ms: The time now.
            new_id: Makes change ids.
            name: Says in a snapshot who made it.
            pace: How often, how much.
        """
        self._task = task
        self._tail = tail
        self._snapshots = snapshots
        self._build = build
        self._now_ms = now_ms
        self._new_id = new_id
        self._name = name
        self._pace = pace
        self._running: Running | None = None
        self._unconfirmed: Snapshot | None = None
        self._is_outdated = False
        self._stand_by_until_ms = 0
        self._watch = Watch(task.policy.key)

    @property
    def counts(self) -> Counts:
        """As of now, published or not; zeros while nothing runs."""
        return self._running.training.joiner.counts if self._running else Counts()

    @property
    def watermark_ms(self) -> int | None:
        """Decisions up to then are closed; None while nothing runs or nothing was ever closed."""
        return (self._running.training.joiner.watermark_ms or None) if self._running else None

    def redeclare(self, task: Task) -> None:
        """Go on with changed definitions.

        Another surface definition holds for what is closed from now on. A policy whose training
        changes, or that had to forget a unit, starts a fresh lineage: from scratch, over the whole
        log of the surface.
        """
        is_alike = learns_alike(task.policy, self._task.policy)
        if not is_alike or task.erasures != self._task.erasures:
            self._forget()
        self._task = task
        self._is_outdated = False
        if self._running is not None:
            joiner = self._running.training.joiner
            joiner.surface = task.surface
            self._running.closable_ms = joiner.watermark_ms  # the window may be another

    def step(self, *, finish: bool = False) -> LearnStep:
        """Read what is new, and train and publish if it is time.

        Args:
            finish: It is time if there is anything to publish.

        Raises:
            StoreUnavailable: Try again later; nothing is lost or learned twice.
        """
        if self._is_outdated or self._now_ms() < self._stand_by_until_ms:
            return LearnStep()
        running = self._running or self._resume()
        if running is None:
            return LearnStep()
        if self._unconfirmed is not None:
            return self._publish(running, self._unconfirmed, LearnStep(more=True))
        now_ms = self._now_ms()
        done = LearnStep(more=True)
        if not running.is_full(self._pace):
            done = self._read(running, now_ms)
        if not self._is_time(running, now_ms, finish=finish):
            return done
        return self._close(running, now_ms, done)

    def _read(self, running: Running, now_ms: int) -> LearnStep:
        """Take in what is new, unless nobody knows how far that goes."""
        joiner = running.training.joiner
        drained = self._tail.drained_through_ms(now_ms)  # before reading: rows may come in between
        if drained.through_ms is None:
            return LearnStep(waiting_n=len(joiner), silent_n=drained.silent_n)
        before = running.reader.cursor
        rows, through_ms, more = running.reader.read(drained.through_ms)
        self._watch.look(drained, rows.holes, now_ms)
        self._running = None  # a cursor that went on without its rows is not gone on with
        running.training.take(rows, before, self._tail)
        self._running = running
        running.decisions_n += len(rows.decisions)
        closable_ms = through_ms - window_ms(joiner.surface)
        running.closable_ms = max(joiner.watermark_ms, closable_ms)
        if closable_ms >= joiner.watermark_ms:
            running.behind_since_ms = None
        elif running.behind_since_ms is None:
            running.behind_since_ms = now_ms
        return LearnStep(
            rows_n=len(rows.decisions) + len(rows.rewards) + len(rows.exposures),
            more=more,
            behind_ms=now_ms - through_ms,
            waiting_n=len(joiner),
            holes_n=len(rows.holes),
            silent_n=drained.silent_n,
            unread_n=rows.unread_n,
        )

    def _is_time(self, running: Running, now_ms: int, *, finish: bool) -> bool:
        joiner, closable_ms = running.training.joiner, running.closable_ms
        if running.is_behind(now_ms) and not running.is_full(self._pace):
            return False
        if joiner.can_close(closable_ms):
            is_due = _passed(running.published_ms, now_ms, self._pace.interval_s)
            return finish or is_due or running.is_full(self._pace)
        if finish or _passed(running.looked_ms, now_ms, QUIET_S):
            running.looked_ms = now_ms
            return joiner.counts != running.published or not joiner.is_settled(closable_ms)
        return False

    def _close(self, running: Running, now_ms: int, done: LearnStep) -> LearnStep:
        joiner = running.training.joiner
        self._running = None  # what fails half-way is not gone on with
        watermark_ms = joiner.bounded(running.closable_ms, self._pace.rows_n)
        lessons_n = running.training.advance(watermark_ms)
        snapshot = self._snapshot(running, now_ms)
        self._running = running
        is_left = joiner.can_close(running.closable_ms)
        running.decisions_n = self._pace.rows_n if is_left else 0
        done = done._replace(lessons_n=lessons_n, more=done.more or is_left, waiting_n=len(joiner))
        return self._publish(running, snapshot, done)

    def _snapshot(self, running: Running, now_ms: int) -> Snapshot:
        policy, joiner = running.training.policy, running.training.joiner
        weights = policy.save()
        return Snapshot(
            policy=self._task.policy.key,
            number=running.lineage.number,
            parent=running.lineage.parent,
            created_ms=now_ms,
            spec_version=self._task.policy_version,
            surface_version=self._task.surface_version,
            spec=self._task.policy,
            format=self._task.policy.type,
            weights=weights,
            digest=policy.digest(),
            sha256=hashlib.sha256(weights).hexdigest(),
            cursor=running.reader.cursor,
            watermark_ms=joiner.watermark_ms,
            learner=self._name,
            change_id=self._new_id(),
            erasures=self._task.erasures,
            **msgspec.structs.asdict(joiner.counts),
        )

    def _publish(self, running: Running, snapshot: Snapshot, done: LearnStep) -> LearnStep:
        """Publish; until it is known to be, nothing else is done."""
        self._unconfirmed = snapshot
        won = self._snapshots.publish(snapshot)
        self._unconfirmed = None
        label = f"{snapshot.policy}@{snapshot.number}"
        if not won:
            log.warning(
                "superseded snapshot=%s: another learner is at work, standing by",
                label,
                extra=event("snapshot_superseded"),
            )
            self._forget()
            self._stand_by_until_ms = self._now_ms() + int(STAND_BY_S * 1000)
            return LearnStep()
        running.published_ms = running.looked_ms = snapshot.created_ms
        running.published = running.training.joiner.counts.copy()
        running.lineage = Descent(snapshot.number + 1, snapshot.number)
        log.debug(
            "published snapshot=%s lessons=%d waiting=%d bytes=%d digest=%.12s",
            label,
            done.lessons_n,
            done.waiting_n,
            len(snapshot.weights),
            snapshot.digest,
            extra=event("snapshot_published"),
        )
        return done._replace(snapshot=snapshot.number)

    def _forget(self) -> None:
        self._running = None
        self._unconfirmed = None

    def _resume(self) -> Running | None:
        """Become what the newest snapshot was; None if definitions are older than it is."""
        spec = self._task.policy
        newest_n = self._snapshots.numbers().get(spec.key, 0)
        snapshot, policy = self._newest_usable(newest_n)
        if snapshot is not None and (
            snapshot.spec_version > self._task.policy_version
            or snapshot.erasures > self._task.erasures
        ):
            log.warning(
                "waiting policy=%s: its definition here is old",
                spec.key,
                extra=event("learner_outdated"),
            )
            self._is_outdated = True
            return None
        if snapshot is None or policy is None:
            parent = snapshot.number if snapshot is not None else 0
            self._running = self._fresh(Descent(newest_n + 1, parent))
            if snapshot is not None and snapshot.erasures != self._task.erasures:
                self._running.published = None
        else:
            lineage = Descent(newest_n + 1, snapshot.number)
            self._running = self._continued(snapshot, policy, lineage)
        return self._running

    def _newest_usable(self, newest_n: int) -> tuple[Snapshot | None, LearningPolicy | None]:
        """The newest snapshot whose weights are whole, and them unless they were learned otherwise.

        A snapshot of another spec, or from before an erasure, is given without a policy: what
        follows it starts from scratch.
        """
        key = self._task.policy.key
        for newest in self._snapshots.lineage(key, since=newest_n) if newest_n else ():
            if newest.erasures != self._task.erasures:  # its weights may be gone, as all before it
                return newest, None
        for number in range(newest_n, 0, -1):
            try:
                snapshot = self._snapshots.get(key, number)
                if not learns_alike(snapshot.spec, self._task.policy):
                    return snapshot, None
                policy = built(snapshot, self._build)
            except (SnapshotCorrupt, NotFound, BadSpec) as exc:
                log.error(
                    "unusable snapshot=%s@%d: %s",
                    key,
                    number,
                    exc,
                    extra=event("snapshot_unusable"),
                )
            else:
                return snapshot, policy
        return None, None

    def _fresh(self, lineage: Descent) -> Running:
        task = self._task
        log.info(
            "started policy=%s snapshot=%d from scratch",
            task.policy.key,
            lineage.number,
            extra=event("learner_started"),
        )
        policy = cast("LearningPolicy", self._build(task.policy, None))
        training = Training(task.policy, task.surface, policy)
        return Running(training, self._reader({}), lineage)

    def _continued(self, snapshot: Snapshot, policy: LearningPolicy, lineage: Descent) -> Running:
        task = self._task
        training = Training.resumed(
            snapshot, policy, spec=task.policy, surface=task.surface, tail=self._tail
        )
        log.info(
            "resumed snapshot=%s@%d",
            snapshot.policy,
            snapshot.number,
            extra=event("learner_resumed"),
        )
        return Running(training, self._reader(snapshot.cursor), lineage)

    def _reader(self, cursor: dict[str, int]) -> Reader:
        return Reader(self._tail, self._task.surface.key, cursor, limit=self._pace.rows_n)


def _passed(since_ms: int, now_ms: int, seconds: float) -> bool:
    """Whether a time has passed; also if the clock was set back in between."""
    return not 0 <= now_ms - since_ms < seconds * 1000
