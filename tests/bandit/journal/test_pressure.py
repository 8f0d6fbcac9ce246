import hashlib
import math
from itertools import pairwise

import pytest

from bandit.journal.disk import Space
from bandit.journal.pressure import (
    LEAST_SHARE,
    Pressure,
    Watermarks,
    backlog_share,
    kept,
)
from bandit.settings import Settings
from tests.bandit.journal.fakes import event_id

GIB = 1 << 30


@pytest.mark.parametrize(
    ("used", "level"),
    [(0.0, "OK"), (0.79, "OK"), (0.8, "WARN"), (0.9, "OPTIONAL"), (0.95, "FULL"), (1.0, "FULL")],
)
def test_level_is_the_highest_mark_that_is_reached(used: float, level: str) -> None:
    space = Space(10 * GIB, round((1 - used) * 10 * GIB))
    assert Watermarks().level(space) is Pressure[level]


@pytest.mark.parametrize(
    ("free_gib", "level"), [(65, "OK"), (63, "WARN"), (31, "OPTIONAL"), (15, "FULL")]
)
def test_large_disk_counts_as_full_by_what_is_free(free_gib: int, level: str) -> None:
    space = Space(10_000 * GIB, free_gib * GIB)
    assert Watermarks().level(space) is Pressure[level]


def test_marks_are_those_of_the_settings() -> None:
    settings = Settings(disk_warn_share=0.5, disk_optional_share=0.6, disk_full_share=0.7)
    assert Watermarks.of(settings) == Watermarks(0.5, 0.6, 0.7, settings.disk_headroom_bytes)


def test_file_system_without_any_room_is_full() -> None:
    assert Space(0, 0).used_share == 1.0
    assert Watermarks().level(Space(0, 0)) is Pressure.FULL


def test_share_falls_as_the_disk_fills_up_and_ends_at_nothing() -> None:
    shares = [Watermarks().share(Space(1000, 1000 - used)) for used in range(1001)]
    assert shares == sorted(shares, reverse=True)
    assert list(dict.fromkeys(shares)) == [1.0, 0.5, 0.25, 0.125, 0.0625, 0.0]
    assert shares.count(1.0) == 900


def test_backlog_settles_where_the_store_keeps_up() -> None:
    limit, made, taken = 1_000_000, 50_000, 5_000  # bytes a second: the store takes a tenth
    backlog, shares = 0, []
    for _ in range(10_000):
        shares.append(backlog_share(backlog, limit))
        backlog = max(0, backlog + round(made * shares[-1]) - taken)
    settled = shares[-1_000:]
    assert limit < backlog < 2 * limit
    assert sum(settled) / len(settled) == pytest.approx(taken / made, rel=0.05)
    assert backlog_share(10**15, limit) == LEAST_SHARE


def test_hash_that_keeps_has_golden_values() -> None:
    # By hand from the formula; a change would keep others than the log says.
    digest = hashlib.blake2b(event_id(7).encode(), person=b"keep").digest()
    fraction = int.from_bytes(digest[:8], "big") / 2**64
    assert fraction == pytest.approx(0.32225414696449395, abs=1e-15)
    assert not kept(event_id(7), fraction)
    assert kept(event_id(7), math.nextafter(fraction, 1.0))


def test_ids_are_kept_as_often_as_the_share_says_and_by_every_larger_one() -> None:
    ids = [event_id(n) for n in range(20_000)]
    by_share = [{id_ for id_ in ids if kept(id_, share)} for share in (0.0, 0.1, 0.5, 1.0)]
    for share, found in zip((0.0, 0.1, 0.5, 1.0), by_share, strict=True):
        off = abs(len(found) - share * len(ids))
        assert off <= 4.4 * math.sqrt(len(ids) * share * (1 - share))
    for fewer, more in pairwise(by_share):
        assert fewer <= more
