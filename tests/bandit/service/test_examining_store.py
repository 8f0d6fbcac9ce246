"""`bandit doctor` on a ClickHouse in which each thing is wrong in turn."""

from collections.abc import Sequence

import pytest

from bandit.service.examining_store import (
    KEYS_MS,
    drain_findings,
    key_findings,
    reader_findings,
    server_findings,
    stream_findings,
)
from bandit.store.checkup import EndingKey, Hole, HostProgress, Migrations, Server
from tests.bandit.service.test_examining_host import codes

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
NOTHING = Migrations((), (), ())


class FakeCheckup:
    """Tells what it was told."""

    def __init__(self, **told: object) -> None:
        self._told = {
            "server": Server("26.9.2.1", NOW_MS, 0, True),
            "migrations": NOTHING,
            "progress": [],
            "holes": [],
            "ending_keys": [],
        } | told

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: self._told[name]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, {}),
        ({"server": Server("24.8.1", NOW_MS, 0, True)}, {"old_version": "warning"}),
        ({"server": Server("25.3.1", NOW_MS + 900, 0, True)}, {}),
        ({"server": Server("26.9", NOW_MS - 2_000, 0, True)}, {"clock_skew": "warning"}),
        ({"server": Server("26.9", NOW_MS + 40_000, 0, True)}, {"clock_skew": "problem"}),
        ({"server": Server("26.9", NOW_MS, 0, False)}, {"no_database": "warning"}),
        ({"migrations": Migrations(("0007",), (), ())}, {"migration_missing": "warning"}),
        ({"migrations": Migrations((), ("0007",), ())}, {"migration_changed": "problem"}),
        ({"migrations": Migrations((), (), ("0099",))}, {"newer_tables": "warning"}),
    ],
)
def test_server_and_tables(told: dict[str, object], expected: dict[str, str]) -> None:
    assert codes(server_findings(FakeCheckup(**told), NOW_MS)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("readonly", "expected"), [(0, {"reader_can_write": "problem"}), (1, {})])
def test_a_reader_that_may_write(readonly: int, expected: dict[str, str]) -> None:
    checkup = FakeCheckup(server=Server("26.9", NOW_MS, readonly, True))
    assert codes(reader_findings(checkup)) == expected  # type: ignore[arg-type]


def host(*, lag_ms: int = 300, silent_ms: int = 500) -> HostProgress:
    said_ms = NOW_MS - silent_ms
    return HostProgress("h", said_ms - lag_ms, 5 << 20, said_ms)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([host()], {}),
        ([], {"no_host": "warning"}),
        ([host(), host(silent_ms=301_000)], {"silent_host": "warning"}),
        ([host(lag_ms=61_000)], {"drain_behind": "warning"}),
        ([host(lag_ms=601_000)], {"drain_behind": "problem"}),
        ([host(silent_ms=DAY_MS + 1)], {"lost_host": "problem"}),
        ([host(silent_ms=DAY_MS + 1)._replace(backlog_bytes=0)], {}),
        ([host(silent_ms=31 * DAY_MS)], {}),
        ([host(silent_ms=301_000)._replace(done=True)], {}),
    ],
)
def test_drains(hosts: Sequence[HostProgress], expected: dict[str, str]) -> None:
    found = drain_findings(FakeCheckup(progress=hosts), NOW_MS, 300_000)  # type: ignore[arg-type]
    assert codes(found) == expected


def test_holes_are_named_and_many_are_counted() -> None:
    holes = [Hole("rewards", "home", f"w{n}", 3) for n in range(7)]
    assert codes(stream_findings(FakeCheckup(), NOW_MS)) == {}  # type: ignore[arg-type]
    found = list(stream_findings(FakeCheckup(holes=holes), NOW_MS))  # type: ignore[arg-type]
    assert codes(found) == {"hole": "problem"}
    assert "3 rewards of surface 'home' by w0" in found[0].text
    assert "2 more" in found[-1].text


def test_keys_that_end_soon_or_have_just_ended() -> None:
    keys = [
        EndingKey("0123abcd", "shop", NOW_MS + 3_600_000),
        EndingKey("4567abcd", "app", NOW_MS - 1),
        EndingKey("89ababcd", "gone", NOW_MS - KEYS_MS - 1),
    ]
    found = list(key_findings(FakeCheckup(ending_keys=keys), NOW_MS))  # type: ignore[arg-type]
    assert [each.text for each in found] == [
        "Key 0123abcd of 'shop' ends in 1.0 h.",
        "Key 4567abcd of 'app' has ended.",
    ]
    assert codes(found) == {"key_ends": "warning"}
