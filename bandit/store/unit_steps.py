"""Unit states go forward: claimed, written, done; by any number of hosts, cut off anywhere.

A step is an interval of time. Whoever wants to go forward claims the next one; of several claims
the first to become visible holds for everybody, and everybody does it: a state says which step it
has gone through, so nothing is added twice, and what was cut off is completed by whoever comes
next. `done` says how many states there are then, and a digest of them.

What arrives late (rows of a time that a step has gone over) is told by counting what arrived around
and since the claim. Then the build is `spoilt`, and the next one starts from the log, unless the
log has lost what the states were made of: then they stay as they are.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from bandit.records import Record
from bandit.store.client import ONE_ORDER, Store
from bandit.store.retention import DAY_MS, Retention
from bandit.store.unit_answers import Caps
from bandit.store.unit_parts import UnitParts
from bandit.store.unit_plan import REPEATED_MS, UnitPlan

SLACK_MS = 120_000
"""A row may become visible so much later than the store's clock says it came."""
NEWEST_N = 8
"""Notes that are looked at, newest first: of what is done, claimed after it, and spoilt."""
STALE_MS = 7 * DAY_MS
"""States of definitions that nobody has advanced for so long are removed."""

Fault = Literal["late", "altered"]
"""`late`: rows came that a step should have read; `altered`: states are not those it wrote."""


class Arrived(Record, frozen=True, kw_only=True):
    """What had arrived when a step was claimed.

    Attributes:
        at_ms: When that was, by the store's clock.
        rows_n: Rows of the slack before that, of the times that the steps go over.
    """

    at_ms: int
    rows_n: int


class StepNotes(Record, frozen=True, kw_only=True):
    """What is noted beside a step.

    Attributes:
        caps: Those that were found up to it; they hold from then on.
        first_ms: When the first unit came.
    """

    arrived: Arrived
    caps: Caps = {}
    first_ms: int = 0


class Step(NamedTuple):
    """A step, claimed or done."""

    build: int
    step: int
    state: str
    from_ms: int
    through_ms: int
    states_n: int
    digest: int
    notes: StepNotes


class Progress(NamedTuple):
    """How far a generation has come.

    Attributes:
        build: The one that counts.
        done: Its newest step that counts; None: none does.
        claimed: The step after that, if anybody has begun it.
        caps: With the time from which on each holds, of all builds.
    """

    build: int
    done: Step | None
    claimed: Step | None
    caps: dict[str, tuple[float, int]]


class _Told(NamedTuple):
    """What the states of a build are, all together."""

    states_n: int
    digest: int
    newest: int
    decisions_n: int
    first_ms: int


class UnitSteps:
    """The steps of one plan's generation."""

    def __init__(self, store: Store, plan: UnitPlan) -> None:
        self._store = store
        self._plan = plan

    def progress(self) -> Progress:
        """How far it is. Raises `StoreUnavailable`."""
        given = {"generation": self._plan.generation}
        steps = [
            Step._make((*row[:-1], msgspec.json.decode(row[-1], type=StepNotes)))
            for row in self._store.rows("unit_steps", **given, most_n=NEWEST_N)
        ]
        build = max((s.build + (s.state == "spoilt") for s in steps), default=0)
        own = [s for s in steps if s.build == build]
        newest = next((s for s in own if s.state == "done"), None)
        number = newest.step if newest else 0
        claimed = [s for s in own if s.state == "claimed" and s.step == number + 1]
        caps: dict[str, tuple[float, int]] = {}
        # Few experiments have any: the others need not ask.
        found = self._store.rows("unit_caps", **given) if self._plan.finds_caps else []
        for text, through_ms in found:
            for metric, cap in msgspec.json.decode(text, type=Caps).items():
                caps.setdefault(metric, (cap, through_ms))
        return Progress(build, newest, claimed[0] if claimed else None, caps)

    def fault(self, progress: Progress) -> Fault | None:
        """What is wrong with the states of the newest step; None: nothing.

        While a step is under way, or was cut off, they can not be compared with what was written.
        """
        done = progress.done
        if done is None:
            return None
        if progress.claimed is None:
            now = self._told(progress.build)
            # Unless somebody has gone forward meanwhile.
            if (now.states_n, now.digest) != (done.states_n, done.digest) and (
                self.progress() == progress
            ):
                return "altered"
        return self.late(progress)

    def late(self, progress: Progress) -> Fault | None:
        """Whether rows came that the newest step should have read. Raises `StoreUnavailable`."""
        done = progress.done
        if done is None:
            return None
        arrived = done.notes.arrived
        before_n, after_n = self._arrivals(done.through_ms, arrived.at_ms)
        return "late" if after_n or before_n > arrived.rows_n else None

    def claim(self, progress: Progress, through_ms: int) -> Step:
        """The next step: as somebody has claimed it, or else up to a time."""
        if progress.claimed is not None:
            return progress.claimed
        done = progress.done
        at_ms = self._now_ms()
        rows_n, _ = self._arrivals(through_ms, at_ms)
        step = Step(
            build=progress.build,
            step=done.step + 1 if done else 1,
            state="claimed",
            from_ms=done.through_ms if done else -1,
            through_ms=through_ms,
            states_n=0,
            digest=0,
            notes=StepNotes(
                arrived=Arrived(at_ms=at_ms, rows_n=rows_n),
                caps={metric: cap for metric, (cap, _) in progress.caps.items()},
            ),
        )
        self._note(step)
        claimed = self.progress().claimed
        # Somebody may have done it meanwhile: then to do it again changes nothing.
        return claimed or step

    def write(self, step: Step) -> None:
        """Write the states of a step; again, if need be."""
        reach_ms = max(0, step.from_ms + 1 - max(self._plan.reach_ms, REPEATED_MS))
        interval = {"from_ms": step.from_ms, "through_ms": step.through_ms}
        parts = UnitParts.of(self._store, self._plan, step.from_ms, step.through_ms)
        of_step = {
            "generation": self._plan.generation,
            "build": step.build,
            "step": step.step,
        }
        of_units = {**of_step, **interval, "reach_ms": reach_ms}
        for shard in parts.shards():
            self._store.command("unit_states_of_step", **(self._plan.added() | of_units | shard))
        for part in parts.sums(self._plan) if self._plan.surface is not None else ():
            self._store.command("unit_sums_of_step", **(self._plan.joined() | of_step | part))

    def finish(self, step: Step, caps: Caps) -> bool:
        """Say that a step is done; False: what was written does not add up.

        Every decision is in the state of one unit and in one sum beside the units, so both have as
        many, or something was lost or counted twice on the way.
        """
        now = self._told(step.build)
        if now.newest > step.step:
            return True  # somebody has done it, and gone on from there
        if self._plan.surface is not None:
            [(decisions_n,)] = self._store.rows(
                "unit_sums_total", generation=self._plan.generation, build=step.build
            )
            if decisions_n != now.decisions_n:
                return False
        notes = msgspec.structs.replace(step.notes, caps=caps, first_ms=now.first_ms)
        self._note(
            step._replace(state="done", states_n=now.states_n, digest=now.digest, notes=notes)
        )
        return True

    def spoil(self, progress: Progress) -> None:
        """Have the next build start from the log."""
        key = self._plan.experiment.key
        mark_spoilt(self._store, self._plan.generation, key, progress.build)

    def clear(self, progress: Progress) -> None:
        """Remove the states of builds that were spoilt, and of definitions long gone."""
        given = {"generation": self._plan.generation, "build": progress.build}
        if progress.build:
            self._store.command("remove_unit_states", **given)
            self._store.command("remove_state_sums", **given)
        rows = self._store.rows(
            "stale_generations",
            experiment=self._plan.experiment.key,
            generation=self._plan.generation,
            age_ms=STALE_MS,
        )
        if rows:
            for table in ("unit_states", "state_sums", "state_steps"):
                local = table if self._store.cluster is None else f"{table}_local"
                stale = [row[0] for row in rows]
                self._store.command("remove_generations", table=local, generations=stale)

    def is_log_whole(self, progress: Progress) -> bool:
        """Whether the log still holds all that the states were made of."""
        days = [kept for kept in Retention(self._store).days().values() if kept is not None]
        if progress.done is None or not days:
            return True
        first_ms = progress.done.notes.first_ms - self._plan.reach_ms
        return first_ms > self._now_ms() - min(days) * DAY_MS

    def _told(self, build: int) -> "_Told":
        """What the states of a build are, all together."""
        [row] = self._store.rows(
            "unit_states_digest", generation=self._plan.generation, build=build
        )
        return _Told(*row)

    def _now_ms(self) -> int:
        [(now_ms,)] = self._store.rows("store_now")
        return int(now_ms)

    def _arrivals(self, through_ms: int, at_ms: int) -> tuple[int, int]:
        """Rows up to a time that arrived in the slack before a moment, and after."""
        added = self._plan.added()
        names = ("surface", "experiment", "project", "outcome_names", "window_ms")
        [(before_n, after_n)] = self._store.rows(
            "unit_arrivals",
            **{name: added[name] for name in names},
            through_ms=through_ms,
            since_ms=at_ms - SLACK_MS,
            until_ms=at_ms,
        )
        return int(before_n), int(after_n)

    def _note(self, step: Step) -> None:
        _note(self._store, self._plan.generation, self._plan.experiment.key, step)


def mark_spoilt(store: Store, generation: str, experiment: str, build: int) -> None:
    """Say that the states of a build count no more; the next one starts from the log."""
    notes = StepNotes(arrived=Arrived(at_ms=0, rows_n=0))
    _note(store, generation, experiment, Step(build, 0, "spoilt", 0, 0, 0, 0, notes))


def _note(store: Store, generation: str, experiment: str, step: Step) -> None:
    columns: dict[str, Sequence[Any]] = {
        "generation": [generation],
        "build": [step.build],
        "experiment": [experiment],
        "step": [step.step],
        "state": [step.state],
        "from_ts": [step.from_ms],
        "through_ts": [step.through_ms],
        "states_n": [step.states_n],
        "digest": [step.digest],
        "sums": [msgspec.json.encode(step.notes).decode()],
    }
    # A repeated row does no harm here; a remembered token whose row was lost would.
    settings = {**ONE_ORDER, "insert_deduplicate": 0}
    store.insert("state_steps", columns, settings=settings)
