"""Numbers that a writer gave and that its segments do not hold any more: what a disk lost.

A writer counts each stream 1, 2, 3 …, so a number that is skipped was a record. Learners wait for
it until somebody says that it will never come.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from bandit.journal.base import Entry, Numbers, Sink

Stream = tuple[str, str]
"""Table and surface."""


class Continuity:
    """Follows one writer's streams through its segments, in their order."""

    def __init__(self, writer: str, sink: Sink, *, is_from_start: bool) -> None:
        """Nothing was read yet.

        Args:
            writer: Whose segments.
            sink: Has what was removed already.
            is_from_start: No segment was removed before: every stream begins with 1.
        """
        self._writer = writer
        self._sink = sink
        self._is_from_start = is_from_start
        self._last: dict[Stream, int] = {}

    def skipped(self, entries: Iterable[Entry]) -> list[Numbers]:
        """Numbers that are missing before or between some entries, which come next.

        Raises:
            StoreUnavailable: The sink does not say what came before them; ask again.
        """
        seqs = _by_stream(entries)
        last = self._known(seqs)
        missing: list[Numbers] = []
        for (table, surface), numbers in sorted(seqs.items()):
            before = last[table, surface]
            for seq in numbers:
                if seq > before + 1:
                    missing.append(Numbers(table, surface, self._writer, before + 1, seq - 1))
                before = max(before, seq)
        return missing

    def passed(self, entries: Iterable[Entry]) -> None:
        """These were read, and what was skipped is noted."""
        for stream, numbers in _by_stream(entries).items():
            self._last[stream] = max(self._last.get(stream, 0), *numbers)

    def _known(self, seqs: Mapping[Stream, list[int]]) -> dict[Stream, int]:
        """The last number before these of each stream."""
        last = dict.fromkeys(seqs, 0) | self._last
        if self._is_from_start:
            return last
        tables: dict[str, dict[str, int]] = defaultdict(dict)
        for (table, surface), numbers in seqs.items():
            if (table, surface) not in self._last and min(numbers) > 1:
                tables[table][surface] = min(numbers)
        for table, firsts in tables.items():
            for surface, seq in self._sink.preceding(table, self._writer, firsts).items():
                last[table, surface] = seq
        return last


def _by_stream(entries: Iterable[Entry]) -> dict[Stream, list[int]]:
    seqs: dict[Stream, list[int]] = defaultdict(list)
    for seq, record in entries:
        seqs[record.table, record.surface].append(seq)
    return seqs
