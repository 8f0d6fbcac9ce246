"""`bandit doctor` on surfaces, policies and experiments of which each is wrong in turn."""

from typing import Any

import pytest

from bandit.service.examining_surfaces import (
    learner_findings,
    propensity_findings,
    split_findings,
    surface_findings,
)
from bandit.specs import Experiment, PolicySpec, Surface, Variant
from bandit.store.checkup import Propensities, Traffic
from bandit.store.definitions import Definition
from bandit.store.reports import SnapshotCounts, VariantUnits
from tests.bandit.service.test_examining_host import codes
from tests.bandit.service.test_examining_store import NOW_MS, FakeCheckup

HOME = Surface(key="home", policy="vw", join_window_s=10)
VW = PolicySpec(key="vw", type="vw", surface="home")
SPLIT = Experiment(
    key="e",
    salt="s",
    surface="home",
    variants=(
        Variant(key="a", policy="vw", allocation=((0, 5000),)),
        Variant(key="b", policy="vw", allocation=((5000, 10000),)),
    ),
    control="a",
    status="running",
)


def defined(*specs: Any) -> list[Definition]:
    kinds = {Surface: "surface", PolicySpec: "policy", Experiment: "experiment"}
    return [
        Definition(
            kind=kinds[type(spec)], key=spec.key, version=1, created_ms=0, author="me",
            change_id="c", spec=spec,
        )
        for spec in specs
    ]  # fmt: skip


class FakeReports(FakeCheckup):
    """Tells what it was told of snapshots and units."""


def traffic(closed_n: int, rewarded_n: int, newest_ms: int = NOW_MS) -> Traffic:
    return Traffic("home", closed_n + 5, newest_ms, closed_n, rewarded_n)


def snapshot(**changes: int) -> SnapshotCounts:
    given = dict.fromkeys(SnapshotCounts._fields, 0) | {
        "number": 7, "created_ms": NOW_MS - 1_000, "watermark_ms": NOW_MS - 11_000, "trained": 900,
    }  # fmt: skip
    return SnapshotCounts(**given | changes)


@pytest.mark.parametrize(
    ("surface", "found", "expected"),
    [
        (HOME, [traffic(200, 20)], {}),
        (HOME, [traffic(0, 0)], {}),
        (HOME, [traffic(99, 0)], {}),
        (HOME, [traffic(100, 0)], {"no_rewards": "problem"}),
        (HOME, [], {"no_traffic": "warning"}),
        (
            Surface(key="home", policy="vw", join_window_s=10, killed=True),
            [],
            {"killed": "warning"},
        ),
    ],
)
def test_surfaces(surface: Surface, found: list[Traffic], expected: dict[str, str]) -> None:
    checkup: Any = FakeCheckup(traffic=found)
    assert codes(surface_findings(checkup, defined(surface), NOW_MS)) == expected


def test_nothing_declared() -> None:
    checkup: Any = FakeCheckup(traffic=[])
    assert codes(surface_findings(checkup, [], NOW_MS)) == {"nothing_declared": "warning"}


@pytest.mark.parametrize(
    ("snapshots", "found", "expected"),
    [
        ([snapshot()], [traffic(200, 20)], {}),
        ([], [traffic(0, 0)], {}),
        ([], [], {}),
        ([], [traffic(1, 0)], {"not_learning": "problem"}),
        ([snapshot(watermark_ms=NOW_MS - 80_000)], [traffic(9, 9)], {"learner_behind": "warning"}),
        ([snapshot(watermark_ms=NOW_MS - 700_000)], [traffic(9, 9)], {"learner_behind": "problem"}),
        # Nothing has come since: there is nothing to be behind of.
        ([snapshot(watermark_ms=NOW_MS - 80_000)], [traffic(9, 9, NOW_MS - 79_000)], {}),
        ([snapshot(orphan=100)], [traffic(9, 9)], {"many_orphans": "warning"}),
        ([snapshot(late=100)], [traffic(9, 9)], {"many_late": "warning"}),
        ([snapshot(trained=50, late=40)], [traffic(9, 9)], {}),
    ],
)
def test_learners(
    snapshots: list[SnapshotCounts], found: list[Traffic], expected: dict[str, str]
) -> None:
    reports: Any = FakeReports(snapshots=snapshots)
    checkup: Any = FakeCheckup(traffic=found)
    assert codes(learner_findings(reports, checkup, defined(HOME, VW), NOW_MS)) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Propensities("vw", 1000, 0, 9_000.0, 3.0), {}),
        (Propensities("vw", 1000, 0, 9_000.0, -7.0), {"propensity_alarm": "problem"}),
        (Propensities("vw", 1000, 0, 900.0, -7.0), {}),
        (Propensities("vw", 1000, 1, 9_000.0, 0.0), {"propensity_mismatch": "problem"}),
    ],
)
def test_propensities(found: Propensities, expected: dict[str, str]) -> None:
    checkup: Any = FakeCheckup(propensities=[found])
    assert codes(propensity_findings(checkup, NOW_MS)) == expected


@pytest.mark.parametrize(
    ("units", "expected"),
    [({"a": 500, "b": 510}, {}), ({"a": 500, "b": 700}, {"srm": "problem"}), ({}, {})],
)
def test_splits(units: dict[str, int], expected: dict[str, str]) -> None:
    reports: Any = FakeReports(variant_units=VariantUnits(units, 0, 0))
    assert codes(split_findings(reports, defined(SPLIT), NOW_MS)) == expected
