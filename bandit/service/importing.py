"""DSJSON into a surface's log: logs of other services, so that reports and policies read them.

A file is read twice: first all lines are checked, then they are stored, as decisions of the policy
`imported` and what they earned. Its rows have a writer of their own, named by the file's digest,
and are numbered in the order of its lines; so importing it again stores what is missing, and else
nothing.

Learners read a stream as far as it has no hole. So the first row of each stream is stored last:
they see nothing of an import before all of it is there.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit.dsjson import Line, read_line
from bandit.errors import RecordError, StoreUnavailable
from bandit.event_id import make_event_id, surface_tag
from bandit.policies import check_features
from bandit.records import Action, AnyLogRecord, Decision, Reward, check_number
from bandit.service.accepting import derived_reward_id
from bandit.service.aliases import is_ours
from bandit.service.withholding import withholding
from bandit.specs import Surface
from bandit.store.blocks import BLOCKS
from bandit.store.sink import ClickHouseSink
from bandit.wire import RankRequest

POLICY = "imported"
"""What drew an imported decision, as the log calls it; nobody declares it."""
BLOCK = 1_000
_REQUEST = msgspec.json.Decoder(RankRequest)


class BadLine(NamedTuple):
    """A line that can not be imported."""

    number: int
    reason: str


class Checked(NamedTuple):
    """What a file holds.

    Attributes:
        digest: SHA-256 of its bytes, hex.
        good_n: Lines that can be imported.
        skipped_n: Lines that say `_skipLearn` or have no label: nothing can be told from them.
        bad: The others.
    """

    digest: str
    good_n: int
    skipped_n: int
    bad: list[BadLine]


class Stored(NamedTuple):
    """What an import did.

    Attributes:
        new_n: Rows that were stored; the others were there.
    """

    decisions_n: int
    rewards_n: int
    new_n: int


class _Entry(NamedTuple):
    seq: int
    record: AnyLogRecord


class Import:
    """Imports files into one surface."""

    def __init__(self, sink: ClickHouseSink, surface: Surface, *, salt: bytes) -> None:
        self._sink = sink
        self._surface = surface
        self._salt = salt

    def check(self, path: Path) -> Checked:
        """Read a file to its end and store nothing."""
        digest = hashlib.sha256()
        good_n, skipped_n, bad = 0, 0, []
        with path.open("rb") as lines:
            for number, raw in enumerate(lines, start=1):
                digest.update(raw)
                try:
                    records = self._records(raw)
                except RecordError as exc:
                    bad.append(BadLine(number, str(exc)))
                    continue
                good_n += bool(records)
                skipped_n += not records
        return Checked(digest.hexdigest(), good_n, skipped_n, bad)

    def store(self, path: Path, digest: str) -> Stored:
        """Store what is not there yet; lines that are bad are left out.

        Args:
            path: The file.
            digest: As `check` told.

        Raises:
            StoreUnavailable: Not all is stored; do it again.
        """
        writer = _writer(self._surface, digest)
        firsts: list[_Entry] = []
        counts = {"decisions": 0, "rewards": 0}
        new_n = 0
        records = self._all_records(path)
        while block := list(islice(records, BLOCK)):
            for table in ("rewards", "decisions"):
                entries = []
                for record in block:
                    if record.table == table:
                        counts[table] += 1
                        entries.append(_Entry(counts[table], record))
                if entries and entries[0].seq == 1:
                    firsts.append(entries.pop(0))
                new_n += self._insert(table, writer, entries)
        for entry in sorted(firsts, key=lambda entry: entry.record.table, reverse=True):
            new_n += self._insert(entry.record.table, writer, [entry])
        return Stored(counts["decisions"], counts["rewards"], new_n)

    def _all_records(self, path: Path) -> Iterator[AnyLogRecord]:
        with path.open("rb") as lines:
            for raw in lines:
                try:
                    yield from self._records(raw)
                except RecordError:
                    continue

    def _records(self, raw: bytes) -> Sequence[AnyLogRecord]:
        """A decision and its rewards; nothing of a line that nothing can be told from."""
        line = read_line(raw)
        if line.dropped:
            raise RecordError(f"pdrop is {line.dropped!r}, must be 0: a thinned log is not the log")
        if line.skip_learn or line.slots[0].reward is None:
            return ()
        decision = decision_of(line, self._surface, self._salt)
        return [decision, *rewards_of(line, decision, self._surface)]

    def _insert(self, table: str, writer: str, entries: Sequence[_Entry]) -> int:
        stored = 0
        for month in _by_month(table, entries):
            missing = self._sink.missing(table, writer, month)
            if not missing:
                continue
            # The first try may have been lost by the store (FACTS.md), so its token means nothing.
            token = f"{writer}/{table}/{missing[0].seq}-{missing[-1].seq}/{len(missing)}"
            self._sink.insert(table, writer, missing, token)
            stored += len(missing)
            if left := self._sink.missing(table, writer, month):
                raise StoreUnavailable(f"{len(left)} rows of {table} were not stored")
        return stored


def _writer(surface: Surface, digest: str) -> str:
    """Of all that says which rows a file gives: its bytes, and which rewards are rows."""
    rules = (surface.key, surface.default_reward, surface.reward_low, surface.reward_high, digest)
    return f"import-{hashlib.sha256(repr(rules).encode()).hexdigest()[:16]}"


def decision_of(line: Line, surface: Surface, salt: bytes) -> Decision:
    """The decision of a line, down to the last slot in a row that has a label.

    Raises:
        RecordError: It breaks a rule of the log or of features.
    """
    labelled = [slot for slot in line.slots if slot.reward is not None]
    if any(slot.reward is None for slot in line.slots[: len(labelled)]):
        raise RecordError("a slot without a label lies above one with, must be below")
    actions = [Action(id=id_, features=_raw(features)) for id_, features in line.actions]
    request = RankRequest(
        surface=surface.key,
        unit_id=line.event_id,
        context=_raw(line.context),
        actions=actions,
        slots=len(labelled),
        slot_features=[_raw(slot.features) for slot in labelled] if len(line.slots) > 1 else [],
    )
    body = msgspec.json.encode(request)
    if rules := withholding(surface):
        request, body = rules.request(request, salt)
    try:
        _REQUEST.decode(body)
    except msgspec.ValidationError as exc:
        raise RecordError(str(exc)) from exc
    check_features(bytes(request.context), actions)
    pmf = array("f", bytes(4 * len(actions)))
    for index, p in zip(labelled[0].order, labelled[0].probabilities, strict=True):
        pmf[index] = p
    ranking = tuple(slot.order[0] for slot in labelled)
    if len(set(ranking)) < len(ranking):
        raise RecordError(f"an action is drawn twice, must be once: {list(ranking)}")
    top = set(labelled[0].order)
    return Decision(
        ts_ms=line.ts_ms,
        surface=surface.key,
        event_id=_event_id(line, surface, salt),
        unit_id=line.event_id,
        policy=POLICY,
        snapshot=0,
        request=body,
        pmf=pmf.tobytes(),
        ranking=ranking,
        propensities=tuple(slot.propensity for slot in labelled),
        floor=0.0,
        seed=0,
        excluded={"request": out} if (out := _others(len(actions), top)) else {},
    )


def rewards_of(line: Line, decision: Decision, surface: Surface) -> list[Reward]:
    """What the slots of a line earned; what is just the surface's default is no reward.

    Raises:
        RecordError: A reward out of the surface's bounds.
    """
    rewards = []
    for slot, logged in enumerate(line.slots[: len(decision.ranking)]):
        assert logged.reward is not None
        if not logged.observed and logged.reward == surface.default_reward:
            continue
        check_number("reward", logged.reward, surface.reward_low, surface.reward_high)
        name = "reward"
        rewards.append(
            Reward(
                ts_ms=decision.ts_ms,
                surface=surface.key,
                event_id=decision.event_id,
                decision_ts_ms=int(decision.event_id[:8] + decision.event_id[9:13], 16),
                slot=slot,
                name=name,
                value=logged.reward,
                reward_id=derived_reward_id(decision.event_id, name, slot),
            )
        )
    return rewards


def _event_id(line: Line, surface: Surface, salt: bytes) -> str:
    """The line's own if we made it for a decision of that time there, else one made of it."""
    tag = surface_tag(surface.key)
    if is_ours(line.event_id, tag, salt):
        born_ms = int(line.event_id[:8] + line.event_id[9:13], 16)
        if abs(born_ms - line.ts_ms) <= 3_600_000:
            return line.event_id
    named = hashlib.blake2b(
        line.event_id.encode(errors="surrogatepass"), digest_size=6, key=salt, person=b"dsjson"
    )
    return make_event_id(line.ts_ms, tag, named.digest(), salt)


def _others(k: int, eligible: set[int]) -> tuple[int, ...]:
    return tuple(index for index in range(k) if index not in eligible)


def _raw(features: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(features))


def _by_month(table: str, entries: Iterable[_Entry]) -> list[list[_Entry]]:
    """A block goes into the store whole if it is of one month."""
    months: dict[str, list[_Entry]] = {}
    for entry in entries:
        time = datetime.fromtimestamp(BLOCKS[table].time_ms(entry.record) / 1000, UTC)
        months.setdefault(f"{time:%Y%m}", []).append(entry)
    return list(months.values())
