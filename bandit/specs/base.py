"""What every declaration has, and shares and buckets."""

import itertools
from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec

from bandit.errors import BadSpec
from bandit.records import Record
from bandit.wire import Key

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Bucket = Annotated[int, msgspec.Meta(ge=0, le=10_000)]

BUCKETS = 10_000
Ranges = list[tuple[Bucket, Bucket]]
"""Half-open ranges `[low, high)` of the 10,000 buckets."""


class Spec(Record, frozen=True, kw_only=True):
    """Base of every declaration.

    Attributes:
        project: Whose it is; it never changes, and what a declaration names is of its own project.
            Keys are one namespace over all projects.
    """

    kind: ClassVar[str]

    key: Key
    project: Key = "default"


def check_ranges(what: str, ranges: Iterable[tuple[int, int]]) -> None:
    """Refuse ranges of buckets that are empty or overlap.

    Raises:
        BadSpec: Naming the range or the bucket.
    """
    ordered = sorted(ranges)
    for low, high in ordered:
        if low >= high:
            raise BadSpec(f"{what} holds [{low}, {high}), must have low < high")
    for (_, end), (start, _) in itertools.pairwise(ordered):
        if start < end:
            raise BadSpec(
                f"{what}: bucket {start} belongs to two ranges, must belong to at most one"
            )
