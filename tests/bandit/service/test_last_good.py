"""The last good state on disk: whole or not at all."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from bandit.records import Action
from bandit.service.last_good import SNAPSHOTS_KEPT, LastGood
from bandit.service.serving_catalogue import ServingCatalogue
from bandit.specs import Metric, PolicySpec
from bandit.store.snapshots import Snapshot
from tests.bandit.service.making import EXPERIMENT, FIXED, SURFACE, UNIFORM, defined, snapshot

LEARNER = PolicySpec(key="feed", type="vw", surface="home.feed")


@pytest.fixture
def kept(tmp_path: Path) -> LastGood:
    return LastGood(tmp_path, writer="w")


def test_definitions_come_back_as_they_were(kept: LastGood) -> None:
    definitions = defined(UNIFORM, FIXED, SURFACE, EXPERIMENT, Metric(key="m", source="reward"))
    kept.save_definitions(17, definitions)
    assert kept.definitions() == (17, definitions)


def test_nothing_is_kept_before_the_first_time(kept: LastGood) -> None:
    assert kept.definitions() is None
    assert kept.snapshot("feed") is None


def test_newest_snapshot_comes_back_and_old_ones_go(kept: LastGood, tmp_path: Path) -> None:
    for number in (9, 10, 11):
        kept.save_snapshot(snapshot(LEARNER, number, b"weights"))
    assert kept.snapshot("feed") == snapshot(LEARNER, 11, b"weights")
    assert len(list((tmp_path / "snapshots").iterdir())) == SNAPSHOTS_KEPT


def test_snapshots_from_before_an_erasure_go(kept: LastGood, tmp_path: Path) -> None:
    def learned(number: int, erasures: int) -> Snapshot:
        return replace(snapshot(LEARNER, number, b"weights"), erasures=erasures)

    kept.save_snapshot(learned(7, 0))
    kept.save_snapshot(learned(8, 1))
    assert len(list((tmp_path / "snapshots").iterdir())) == 1
    assert kept.snapshot("feed") == learned(8, 1)
    part = tmp_path / "snapshots" / "feed@000000000009.other.part"
    part.write_bytes(b"half")
    assert kept.drop_snapshots("feed", 1) == 0
    assert kept.drop_snapshots("feed", 2, parts=True) == 2
    assert kept.snapshot("feed") is None
    assert not part.exists()


def test_policies_do_not_mix(kept: LastGood) -> None:
    other = PolicySpec(key="feed.two", type="vw", surface="home.feed")
    kept.save_snapshot(snapshot(other, 3, b"theirs"))
    assert kept.snapshot("feed") is None


def test_catalogues_come_back_in_their_order(kept: LastGood) -> None:
    for surface, version in (("home.part", 3), ("home", 4)):
        actions = [Action.of("b", topic="go"), Action.of("a/\n", n=version)]
        catalogue = ServingCatalogue(version, {action.id: action for action in actions})
        kept.save_catalogue(surface, catalogue)
    found = kept.catalogues()
    assert {surface: one.version for surface, one in found.items()} == {"home.part": 3, "home": 4}
    assert found["home"].whole == (Action.of("b", topic="go"), Action.of("a/\n", n=4))


def test_damaged_catalogue_is_as_good_as_none(kept: LastGood, tmp_path: Path) -> None:
    kept.save_catalogue("home", ServingCatalogue(1, {"a": Action.of("a")}))
    [path] = (tmp_path / "catalogues").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert kept.catalogues() == {}


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_file_is_as_good_as_none(kept: LastGood, tmp_path: Path, damage: str) -> None:
    kept.save_definitions(1, defined(UNIFORM))
    for number in (1, 2):
        kept.save_snapshot(snapshot(LEARNER, number, b"weights"))
    newest = max((tmp_path / "snapshots").iterdir())
    for path in (tmp_path / "definitions", newest):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes({"flip": data, "cut": data[: len(data) // 2], "empty": b""}[damage])
    assert kept.definitions() is None
    older = kept.snapshot("feed")
    assert older is not None
    assert older.number == 1


def test_file_that_was_never_finished_is_not_read(kept: LastGood, tmp_path: Path) -> None:
    kept.save_snapshot(snapshot(LEARNER, 1, b"weights"))
    (tmp_path / "snapshots" / "feed@000000000002.w.part").write_bytes(b"half")
    found = kept.snapshot("feed")
    assert found is not None
    assert found.number == 1
