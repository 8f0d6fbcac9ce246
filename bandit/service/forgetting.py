"""Forgets a unit: in the log, in the files beside it, and in all that learned from it.

```
wait      until all that was accepted before is in the store, and no segment of this host holds it
list      the unit's rows and event ids, and the policies that learned from its surfaces
declare   gaps, so that no stream stops, and no drain takes the rows for lost
remove    set-aside files, exports; rewards, exposures, outcomes, assignments; decisions last, for
          they tell what else there is; then what reports keep of the unit
note      "erased": from now on learners everywhere take these policies' weights for another kind's,
          and start over
rebuild   empty the old weights, here and in caches; learn again from what is left of the log
scrub     wait until the store has removed the files that held what was removed
```
Whatever is cut off is done again by the next run, which goes on with the same receipt. What is sent
of the unit or its decisions after it began is new: rows are told by the time they were accepted.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from bandit.errors import StoreUnavailable
from bandit.journal import erasing
from bandit.learning.learner import Learner, Task
from bandit.records import TABLES
from bandit.service.exports import Exports
from bandit.service.last_good import LastGood
from bandit.specs import Experiment, PolicySpec
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.erasures import Erasure, Erasures, Place, State, unit_digest
from bandit.store.gaps import Gap, declare, gaps_at
from bandit.store.snapshots import Snapshot, Snapshots
from bandit.store.tail import Tail
from bandit.store.unit_erasures import StatePlace, UnitErasures

log = logging.getLogger(__name__)

PAUSE_S = 0.2
_IN_ORDER = (*(table for table in TABLES if table != "decisions"), "decisions")


class Draining(Protocol):
    """What delivers this host's journal, or stands by while another process does."""

    def step(self) -> object:
        """One pass."""
        ...


class Kept(NamedTuple):
    """What this host keeps beside the store.

    Attributes:
        journal_dir: Where its writers and its drain work.
        drain: Works there.
        last_good: Caches.
        exports: What was exported here.
    """

    journal_dir: Path
    drain: Draining
    last_good: LastGood
    exports: Exports


class Ambient(NamedTuple):
    """Clock, ids and patience."""

    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    sleep: Callable[[float], None]
    patience_ms: int
    """How long each wait may last."""


class Forgotten(NamedTuple):
    """What came of it.

    Attributes:
        receipts: One for each unit.
        unreached: What a person must see to, in words.
    """

    receipts: list[Erasure]
    unreached: list[str]


@dataclass
class _Unit:
    unit_id: str
    erasure_id: str
    digest: str
    requested_ms: int
    removed: Counter[str] = field(default_factory=Counter)
    policies: set[str] = field(default_factory=set)
    event_ids: set[str] = field(default_factory=set)
    is_resumed: bool = False


class Forgetting:
    """Forgets units; one run at a time on a host."""

    def __init__(
        self,
        store: Store,
        kept: Kept,
        ambient: Ambient,
        *,
        salt: bytes,
        author: str,
        tail: Tail,
        hire: Callable[[Task], Learner],
    ) -> None:
        """Nothing is done yet.

        Args:
            store: As a user that may change tables; its answers may take minutes.
            kept: What this host keeps beside it.
            ambient: Clock, ids and patience.
            salt: The project's secret.
            author: Who runs it, for the receipt.
            tail: Tells how far the drains are.
            hire: Makes a learner for a task.
        """
        self._store = store
        self._erasures = Erasures(store)
        self._kept_of_units = UnitErasures(store)
        self._snapshots = Snapshots(store)
        self._definitions = Definitions(store)
        self._kept = kept
        self._ambient = ambient
        self._salt = salt
        self._author = author
        self._tail = tail
        self._hire = hire
        self._unreached: dict[str, None] = {}

    def forget(self, unit_ids: Sequence[str]) -> Forgotten:
        """Forget units, and learn again what had learned from their surfaces.

        Raises:
            StoreUnavailable: It did not come to its end: do it again.
            StoreRejected: The store refused a step.
            OSError: A file could not be changed: do it again.
        """
        units = [self._begun(unit_id) for unit_id in dict.fromkeys(unit_ids)]
        self._erasures.remove_promptly(promptly=True)
        try:
            until_ms = self._ambient.now_ms()
            self._await_log(until_ms)
            self._take_out(units, until_ms)
            for unit in units:
                self._note(unit, "erased")
            digests = self._rebuild(sorted({p for unit in units for p in unit.policies}))
            if any(unit.removed or unit.is_resumed for unit in units):
                self._await_scrubbed()
        finally:
            self._erasures.remove_promptly(promptly=False)
        for unit in units:
            of_unit = {at: d for at, d in digests.items() if at.split("@")[0] in unit.policies}
            self._note(unit, "rebuilt", of_unit)
        self._look_for_overrides(units)
        receipts = [self._erasures.get(unit.erasure_id) for unit in units]
        return Forgotten(receipts, list(self._unreached))

    def _begun(self, unit_id: str) -> _Unit:
        """A unit with its receipt: that of a run that was cut off, or a new one."""
        digest = unit_digest(unit_id, self._salt)
        open_id = self._erasures.unfinished(digest)
        now_ms = self._ambient.now_ms()
        unit = _Unit(unit_id, open_id or self._ambient.new_id(), digest, now_ms)
        if open_id is not None:
            unit.is_resumed = True
            unit.policies = set(self._erasures.get(open_id).policies)
        self._note(unit, "requested")
        return unit

    def _note(self, unit: _Unit, state: State, digests: dict[str, str] | None = None) -> None:
        self._erasures.note(
            Erasure(
                erasure_id=unit.erasure_id,
                unit_digest=unit.digest,
                state=state,
                removed=dict(unit.removed),
                policies=sorted(unit.policies),
                digests=digests or {},
                requested_ms=unit.requested_ms,
                at_ms=self._ambient.now_ms(),
                author=self._author,
            )
        )

    def _await_log(self, until_ms: int) -> None:
        """Wait until all that was accepted by a time is in the store, and in no segment here."""
        held = erasing.segments(self._kept.journal_dir)

        def is_there() -> bool:
            self._kept.drain.step()
            drained = self._tail.drained_through_ms(self._ambient.now_ms())
            if drained.silent_n:
                self._unreached[
                    f"{drained.silent_n} hosts have said nothing for 5 minutes: run it again "
                    "once their journals are delivered"
                ] = None
            is_stored = drained.through_ms is None or drained.through_ms > until_ms
            return is_stored and not held & erasing.segments(self._kept.journal_dir)

        self._wait(is_there, "the journal is not delivered yet (is a drain at work?)")

    def _take_out(self, units: Sequence[_Unit], until_ms: int) -> None:
        """Remove rows and records of units, decisions last; what is cut off is found again."""
        gaps: list[Gap] = []
        experiments: set[str] = set()
        states: list[StatePlace] = []
        places: dict[str, list[Place]] = {table: [] for table in _IN_ORDER}
        for unit in units:
            theirs = self._theirs(unit, until_ms)
            taken = erasing.erase(self._kept.journal_dir, theirs)
            unit.removed.update({"journal": taken.records_n} if taken.files_n else {})
            gaps += [Gap(*numbers) for numbers in taken.numbers]
            experiments.update(self._kept_of_units.experiments(unit.unit_id))
            of_unit = self._kept_of_units.places(unit.unit_id)
            unit.removed.update({"unit_states": len(of_unit)} if of_unit else {})
            states += of_unit
            for table in _IN_ORDER:
                found = self._erasures.places(table, unit.unit_id, until_ms)
                unit.removed.update({table: len(found)} if found else {})
                places[table] += found
                gaps += gaps_at((table, *place) for place in found)
                if table == "decisions":
                    unit.policies.update(self._learned_from({place.surface for place in found}))
        self._purge_exports(units)
        declare(self._store, gaps, reason="forgotten", now_ms=self._ambient.now_ms())
        for unit in units:
            self._note(unit, "requested")
        for table in _IN_ORDER:
            self._erasures.remove(table, places[table])
        surfaces = {place.surface for place in places["decisions"]}
        for key in self._kept_of_units.remove(states, experiments, surfaces):
            self._unreached[
                f"numbers kept of experiment {key!r} have the unit in their sums: the log to make "
                "them from again has expired"
            ] = None

    def _theirs(self, unit: _Unit, until_ms: int) -> erasing.Theirs:
        unit.event_ids.update(self._erasures.event_ids(unit.unit_id, until_ms))
        unit.event_ids.update(erasing.decided(self._kept.journal_dir, {unit.unit_id}))
        return erasing.Theirs(frozenset({unit.unit_id}), frozenset(unit.event_ids))

    def _learned_from(self, surfaces: set[str]) -> set[str]:
        """Policies that learn from surfaces, or did."""
        if not surfaces:
            return set()
        return {
            d.key
            for d in self._definitions.all()
            if isinstance(d.spec, PolicySpec) and d.spec.learns and d.spec.surface in surfaces
        } | set(self._erasures.policies_that_learned(sorted(surfaces)))

    def _purge_exports(self, units: Sequence[_Unit]) -> None:
        purged = self._kept.exports.purge({id_ for unit in units for id_ in unit.event_ids})
        for unit in units:
            lines_n = sum(event_id in unit.event_ids for event_id in purged.event_ids)
            unit.removed.update({"exports": lines_n} if lines_n else {})
        for path in purged.gone:
            self._unreached[f"exported file {path} is not there: it was moved or removed"] = None
        if purged.streams_n:
            self._unreached[
                f"{purged.streams_n} exports went to standard output: nobody knows where they are"
            ] = None

    def _rebuild(self, policies: Sequence[str]) -> dict[str, str]:
        """Remove what policies had learned, and learn it again; `policy@number` → digest."""
        erased = self._erasures.of_policies()
        declared = {(d.kind, d.key): d for d in self._definitions.all()}
        digests = {}
        for policy in policies:
            before = self._newest(policy)
            self._remove_weights(policy, erased[policy])
            definition = declared["policy", policy]
            surface = declared.get(("surface", str(cast("PolicySpec", definition.spec).surface)))
            if surface is None or before is None:
                continue
            again = self._learn(definition, surface, before.watermark_ms, erased[policy])
            digests[f"{policy}@{again.number}"] = again.digest
            self._remove_weights(policy, erased[policy])  # of a learner that had not heard yet
        return digests

    def _remove_weights(self, policy: str, erasures_n: int) -> None:
        self._erasures.remove_weights(policy, erasures_n)
        self._kept.last_good.drop_snapshots(policy, erasures_n, parts=True)

    def _learn(
        self, policy: Definition, surface: Definition, watermark_ms: int, erasures_n: int
    ) -> Snapshot:
        """Learn a policy as far as it was, or wait until its own learner has; its snapshot."""
        learner = self._hire(Task.of(policy, surface, erasures_n))

        def is_learned() -> bool:
            self._kept.drain.step()  # learners wait for its word
            if learner.step(finish=True).more:
                return False
            newest = self._newest(policy.key)
            return (
                newest is not None
                and newest.erasures >= erasures_n
                and newest.watermark_ms >= watermark_ms
            )

        self._wait(is_learned, f"policy {policy.key!r} has not learned all again")
        newest = self._newest(policy.key)
        assert newest is not None
        return newest

    def _newest(self, policy: str) -> Snapshot | None:
        number = self._snapshots.numbers().get(policy)
        return self._snapshots.lineage(policy, since=number)[-1] if number else None

    def _await_scrubbed(self) -> None:
        files = self._erasures.replaced_files()
        self._wait(
            lambda: not files & self._erasures.replaced_files(),
            "the store still has the files that held what was removed",
        )

    def _look_for_overrides(self, units: Sequence[_Unit]) -> None:
        asked = {unit.unit_id for unit in units}
        for definition in self._definitions.all():
            for version in self._definitions.history(definition.kind, definition.key):
                if isinstance(version.spec, Experiment) and asked & version.spec.overrides.keys():
                    self._unreached[
                        f"experiment {definition.key!r} names the unit in its overrides: that is "
                        "a declaration, whose versions are kept"
                    ] = None

    def _wait(self, is_done: Callable[[], bool], else_why: str) -> None:
        """Wait for something.

        Raises:
            StoreUnavailable: Patience ended first.
        """
        end_ms = self._ambient.now_ms() + self._ambient.patience_ms
        while not is_done():
            if self._ambient.now_ms() > end_ms:
                raise StoreUnavailable(f"{else_why}: run it again")
            self._ambient.sleep(PAUSE_S)
