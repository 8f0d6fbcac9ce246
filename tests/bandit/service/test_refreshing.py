"""Refreshing: new snapshots serve after their checks, bad ones never, and disk stands in."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from bandit.errors import SnapshotCorrupt, StoreUnavailable
from bandit.records import Action
from bandit.service.last_good import LastGood
from bandit.service.refreshing import KEEP_EVERY_S, Refresher, check_canary
from bandit.service.serving_state import Serving
from bandit.specs import AnySpec, PolicySpec, Surface
from bandit.store.catalogue import ChangedAction
from bandit.store.snapshots import Snapshot
from tests.bandit.service.making import (
    MemoryCatalogues,
    MemoryDefinitions,
    MemorySnapshots,
    snapshot,
    wait_until,
)

LEARNER = PolicySpec(key="feed", type="vw", surface="home.feed")
SURFACE = Surface(key="home.feed", policy="feed")


class Learned:
    """A policy whose weights are what its digest says; `bad…` ones give no distribution."""

    def __init__(self, weights: bytes) -> None:
        self.weights = weights

    def pmf(self, context: bytes, actions: Sequence[Action]) -> list[float]:
        good = 1.0 / len(actions)
        return [float("nan") if self.weights.startswith(b"bad") else good] * len(actions)

    def digest(self) -> str:
        return f"digest of {self.weights.decode()}"


def build(spec: PolicySpec, weights: bytes | None) -> Learned:
    return Learned(weights or b"nothing")


class Rig:
    """A refresher over memory and a folder."""

    def __init__(self, folder: Path, *specs: AnySpec, snapshots: Sequence[Snapshot] = ()) -> None:
        self.definitions = MemoryDefinitions(*(specs or (LEARNER, SURFACE)))
        self.snapshots = MemorySnapshots(snapshots)
        self.catalogues = MemoryCatalogues()
        self.serving = Serving()
        self.folder = folder
        self.now_s = 0.0
        self.refresher = self.another()

    def another(self) -> Refresher:
        return Refresher(
            self.serving,
            definitions=lambda: self.definitions,  # type: ignore[arg-type, return-value]
            snapshots=lambda: self.snapshots,  # type: ignore[arg-type, return-value]
            catalogues=lambda: self.catalogues,  # type: ignore[arg-type, return-value]
            last_good=LastGood(self.folder, writer="w"),
            interval_s=0.001,
            monotonic_s=lambda: self.now_s,
            build=build,
        )

    def publish(self, number: int, weights: bytes = b"good", **changes: object) -> None:
        self.snapshots.snapshots["feed", number] = snapshot(LEARNER, number, weights, **changes)

    def restart(self, *, store_away: bool) -> None:
        self.definitions.away = self.snapshots.away = self.catalogues.away = store_away
        self.serving = Serving()
        self.refresher = self.another()

    @property
    def label(self) -> str:
        return self.serving.state.surface("home.feed").policy.label


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_policy_serves_untrained_until_it_has_a_snapshot(rig: Rig) -> None:
    assert rig.refresher.step()
    assert rig.label == "feed@0"
    rig.publish(1)
    assert rig.refresher.step()
    assert rig.label == "feed@1"


def test_step_without_news_changes_and_loads_nothing(rig: Rig) -> None:
    rig.publish(1)
    rig.refresher.step()
    before = rig.serving.state
    assert not rig.refresher.step()
    assert rig.serving.state is before
    assert rig.snapshots.fetched == [1]


def test_new_definition_keeps_the_policy_that_is_loaded(rig: Rig) -> None:
    rig.publish(1)
    rig.refresher.step()
    loaded = rig.serving.state.policies["feed"].policy
    rig.definitions.put(
        replace(LEARNER, floor=0.001), expected=1, author="", change_id="", now_ms=0
    )
    assert rig.refresher.step()
    policy = rig.serving.state.surface("home.feed").policy
    assert policy.policy is loaded
    assert policy.spec.floor == 0.001


@pytest.mark.parametrize(
    ("weights", "changes"),
    [(b"bad", {}), (b"good", {"digest": "another"})],
    ids=["fails its canary", "has another digest"],
)
def test_bad_snapshot_never_serves_and_is_not_fetched_again(
    rig: Rig, weights: bytes, changes: dict[str, object]
) -> None:
    rig.publish(1)
    rig.refresher.step()
    rig.publish(2, weights, **changes)
    for _ in range(3):
        rig.refresher.step()
    assert rig.label == "feed@1"
    assert rig.refresher.refused == {"feed": 2}
    assert rig.snapshots.fetched == [1, 2]
    rig.publish(3)
    rig.refresher.step()
    assert rig.label == "feed@3"


def test_worker_that_meets_a_bad_snapshot_first_serves_the_one_on_disk(rig: Rig) -> None:
    rig.publish(1)
    rig.refresher.step()
    rig.publish(2, b"bad")
    rig.restart(store_away=False)
    rig.refresher.step()
    assert rig.label == "feed@1"


def test_worker_starts_from_disk_while_the_store_is_away(rig: Rig) -> None:
    rig.publish(7)
    rig.refresher.step()
    rig.restart(store_away=True)
    rig.refresher.restore()
    assert rig.label == "feed@7"
    with pytest.raises(StoreUnavailable):
        rig.refresher.step()
    assert rig.label == "feed@7"


def test_snapshots_that_come_quickly_are_kept_one_in_a_while(rig: Rig) -> None:
    for number in (1, 2, 3):
        rig.publish(number)
        rig.refresher.step()
    kept = LastGood(rig.folder, writer="w").snapshot("feed")
    assert kept is not None
    assert kept.number == 1
    rig.now_s += KEEP_EVERY_S
    assert not rig.refresher.step()
    kept = LastGood(rig.folder, writer="w").snapshot("feed")
    assert kept is not None
    assert kept.number == 3


def test_worker_with_nothing_on_disk_waits_for_the_store(rig: Rig) -> None:
    rig.restart(store_away=True)
    rig.refresher.restore()
    assert rig.serving.state.revision is None


def test_store_that_goes_away_halfway_changes_nothing(rig: Rig) -> None:
    rig.refresher.step()
    rig.publish(1)
    rig.snapshots.away = True
    rig.definitions.put(
        replace(SURFACE, max_actions=9), expected=1, author="", change_id="", now_ms=0
    )
    with pytest.raises(StoreUnavailable):
        rig.refresher.step()
    assert rig.serving.state.surface("home.feed").spec.max_actions == SURFACE.max_actions
    rig.snapshots.away = False
    rig.refresher.step()
    assert rig.serving.state.surface("home.feed").spec.max_actions == 9
    assert rig.label == "feed@1"


def test_disk_that_refuses_does_not_stop_serving(rig: Rig, tmp_path: Path) -> None:
    rig.folder = tmp_path / "a file"
    rig.folder.write_text("in the way")
    rig.refresher = rig.another()
    assert rig.refresher.step()
    assert rig.label == "feed@0"


def held(rig: Rig) -> tuple[int, list[str]]:
    """Version and ids of the catalogue that serves."""
    catalogue = rig.serving.state.surface("home.feed").catalogue
    return (0, []) if catalogue is None else (catalogue.version, list(catalogue.actions))


def test_catalogue_serves_as_it_is_now_and_unchanged_actions_are_the_same(rig: Rig) -> None:
    rig.refresher.step()
    assert held(rig) == (0, [])
    rig.catalogues.hold("home.feed", Action.of("b", topic="go"), Action.of("a"))
    assert rig.refresher.step()
    assert held(rig) == (1, ["b", "a"])
    first = rig.serving.state.surface("home.feed").catalogue
    assert first is not None
    changes = [ChangedAction("c", Action.of("c").features), ChangedAction("a", None)]
    rig.catalogues.put("home.feed", changes, expected=1, author="", change_id="", now_ms=0)
    assert rig.refresher.step()
    assert held(rig) == (2, ["b", "c"])
    second = rig.serving.state.surface("home.feed").catalogue
    assert second is not None
    assert second.actions["b"] is first.actions["b"]
    assert (list(first.actions), second.ids) == (["b", "a"], b'["b","c"]')
    assert rig.catalogues.loaded == [("home.feed", 1)]
    assert not rig.refresher.step()


def test_worker_serves_the_catalogue_from_disk_while_the_store_is_away(rig: Rig) -> None:
    rig.catalogues.hold("home.feed", Action.of("b", topic="go"), Action.of("a"))
    rig.refresher.step()
    rig.restart(store_away=True)
    rig.refresher.restore()
    assert held(rig) == (1, ["b", "a"])
    catalogue = rig.serving.state.surface("home.feed").catalogue
    assert catalogue is not None
    assert catalogue.actions["b"] == Action.of("b", topic="go")
    rig.catalogues.away = rig.definitions.away = rig.snapshots.away = False
    rig.catalogues.hold("home.feed", Action.of("c"))
    rig.refresher.step()
    assert held(rig) == (2, ["b", "a", "c"])
    assert rig.catalogues.loaded == [("home.feed", 1)]


def test_catalogue_of_a_store_that_lost_it_is_what_the_store_has(rig: Rig) -> None:
    for id_ in "abc":
        rig.catalogues.hold("home.feed", Action.of(id_))
    rig.refresher.step()
    del rig.catalogues.made["home.feed"][1:]
    rig.refresher.step()
    assert held(rig) == (1, ["a"])
    rig.catalogues.made.clear()
    rig.refresher.step()
    assert held(rig) == (0, [])


def test_thread_follows_the_store_and_outlives_its_absence(rig: Rig) -> None:
    rig.refresher.start()
    try:
        assert rig.refresher.looked.wait(10)
        rig.definitions.away = True
        wait_until(lambda: rig.refresher.freshness.error is not None)
        assert "connection refused" in str(rig.refresher.freshness.error)
        rig.publish(1)
        rig.definitions.away = False
        wait_until(lambda: rig.label == "feed@1")
        wait_until(lambda: rig.refresher.freshness.error is None)
    finally:
        rig.refresher.stop()


def test_canary_names_the_snapshot_and_what_is_wrong() -> None:
    check_canary(Learned(b"good"), "feed@1")
    with pytest.raises(SnapshotCorrupt, match=r"feed@2 fails its canary of 1 actions: pmf\[0\] is"):
        check_canary(Learned(b"bad"), "feed@2")
