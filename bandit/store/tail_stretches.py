"""Stretches of the log's streams: which rows a reader may take, up to which hole or limit.

A stream is what one writer put into one table for one surface: `table/surface/writer`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bandit.store.gaps import NO_GAPS, StreamGaps

_TABLES = ("decisions", "rewards", "exposures")


class Stretch(NamedTuple):
    """Rows `after < seq ≤ upto` of a stream."""

    stream: str
    after: int
    upto: int
    gaps: StreamGaps = NO_GAPS

    @property
    def writer(self) -> str:
        """Whose rows they are."""
        return self.stream.split("/", 2)[2]

    @property
    def given_up_n(self) -> int:
        """Numbers of it that will never come."""
        return self.gaps.within(self.after, self.upto) if self.gaps else 0

    @property
    def rows_n(self) -> int:
        """Rows that there must be."""
        return self.upto - self.after - self.given_up_n


class Run(NamedTuple):
    """What can be read of a stretch: all up to its end, or up to a hole."""

    stretch: Stretch
    is_cut: bool


def streams_of(surface: str, cursor: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Streams that a learner of `surface` follows."""
    for stream, seq in cursor.items():
        table, of, _ = stream.split("/", 2)
        if table in _TABLES and of in {surface, ""}:
            yield stream, seq


def by_table_and_surface(
    stretches: Iterable[Stretch],
) -> Iterator[tuple[tuple[str, str], list[Stretch]]]:
    """Spans by their table and surface, in the order of their streams."""
    groups: dict[tuple[str, str], list[Stretch]] = defaultdict(list)
    for stretch in sorted(stretches, key=lambda stretch: stretch.stream):
        table, surface, _ = stretch.stream.split("/", 2)
        groups[table, surface].append(stretch)
    yield from groups.items()


def end_of_run(after: int, seqs: Sequence[int], gaps: StreamGaps) -> int:
    """Last number before the first hole.

    >>> end_of_run(3, [6, 4, 5, 9], NO_GAPS), end_of_run(3, [4, 6, 9], StreamGaps([(5, 7)]))
    (6, 7)
    """
    end = gaps.after(after)
    for seq in sorted(seqs):
        if seq > end + 1:
            break
        end = gaps.after(max(end, seq))
    return end


def shared_out(runs: Sequence[Stretch], limit: int) -> list[Stretch]:
    """Each run cut so that a table gives `limit` rows at most; the short ones stay whole first.

    None is left out, so of more than `limit` streams there is one row each: what a reader has not
    read of any stream is then younger than what it has.

    >>> ends = {"rewards//a": 90, "rewards//b": 10, "rewards//c": 90}
    >>> runs = [Stretch(stream, 0, upto) for stream, upto in ends.items()]
    >>> [stretch.rows_n for stretch in shared_out(runs, 100)]
    [10, 45, 45]
    """
    cut: list[Stretch] = []
    tables: dict[str, list[Stretch]] = defaultdict(list)
    for run in runs:
        tables[run.stream.split("/", 1)[0]].append(run)
    for stretches in tables.values():
        stretches.sort(key=lambda stretch: (stretch.rows_n, stretch.stream))
        left = limit
        for place, stretch in enumerate(stretches):
            rows_n = min(stretch.rows_n, max(1, left // (len(stretches) - place)))
            left -= rows_n
            whole = rows_n == stretch.rows_n
            upto = stretch.upto if whole else stretch.gaps.reach(stretch.after, rows_n)
            cut.append(stretch._replace(upto=upto))
    return cut
