import hashlib
import random
from functools import partial

import msgspec
import pytest

from bandit.errors import NotFound, SnapshotCorrupt
from bandit.specs import PolicySpec
from bandit.store import snapshots as snapshots_module
from bandit.store.client import Store
from bandit.store.snapshots import Snapshot, Snapshots
from tests.bandit.store.making import T0, at_once


def snapshot(number: int, weights: bytes = b"weights", **changes: object) -> Snapshot:
    fields = {
        "policy": "feed",
        "number": number,
        "parent": number - 1,
        "created_ms": T0 + number,
        "spec_version": 2,
        "spec": PolicySpec(key="feed", type="vw", arguments="--squarecb", surface="home.feed"),
        "format": "vw-9",
        "weights": weights,
        "digest": "d" * 64,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "cursor": {"decisions/home.feed/w'1": 2**40, "rewards//w": number},
        "watermark_ms": T0,
        "trained": 1,
        "defaulted": 2,
        "unseen": 3,
        "late": 4,
        "duplicate": 5,
        "orphan": 6,
        "out_of_bounds": 7,
        "learner": "learner-1",
        "change_id": f"change-{number}",
    }
    return Snapshot(**fields | changes)


@pytest.fixture
def snapshots(store: Store) -> Snapshots:
    return Snapshots(store)


def test_policy_that_never_learned_has_none(snapshots: Snapshots) -> None:
    assert snapshots.newest("feed") is None
    assert snapshots.numbers() == {}
    assert snapshots.lineage("feed") == []
    with pytest.raises(NotFound, match="feed@1 was never published"):
        snapshots.get("feed", 1)


def test_snapshot_comes_back_as_it_was(snapshots: Snapshots) -> None:
    given = snapshot(1, weights=bytes(range(256)))
    assert snapshots.publish(given)
    assert snapshots.get("feed", 1) == given
    assert snapshots.newest("feed") == given


def test_five_megabytes_come_back_byte_for_byte(snapshots: Snapshots) -> None:
    given = snapshot(1, weights=random.Random(1).randbytes(5_000_000))
    assert snapshots.publish(given)
    assert snapshots.get("feed", 1).weights == given.weights


def test_numbers_are_the_newest_of_every_policy(snapshots: Snapshots) -> None:
    for given in (snapshot(1), snapshot(3), snapshot(2), snapshot(9, policy="other")):
        snapshots.publish(given)
    assert snapshots.numbers() == {"feed": 3, "other": 9}
    newest = snapshots.newest("feed")
    assert newest is not None
    assert newest.number == 3


def test_publishing_again_is_the_same_snapshot(snapshots: Snapshots) -> None:
    assert snapshots.publish(snapshot(1))
    assert snapshots.publish(snapshot(1))
    assert len(snapshots.lineage("feed")) == 1


def test_first_of_two_learners_wins_whatever_their_clocks_say(
    snapshots: Snapshots, store: Store
) -> None:
    first = snapshot(1, created_ms=T0 + 9, change_id="z")
    second = snapshot(1, created_ms=T0, change_id="a", weights=b"other")
    assert snapshots.publish(first)
    assert not snapshots.publish(second)
    snapshots._insert(second)  # as if it had asked before the first was there
    assert not snapshots.publish(second)
    store.apply("OPTIMIZE TABLE snapshots$local FINAL")
    assert snapshots.publish(first)
    assert snapshots.newest("feed") == first
    assert snapshots.lineage("feed") == [msgspec.structs.replace(first, weights=b"")]


def test_of_learners_at_once_exactly_one_wins(snapshots: Snapshots) -> None:
    for number in range(1, 4):
        given = [snapshot(number, change_id=change_id) for change_id in "cab"]
        won = at_once(*(partial(snapshots.publish, one) for one in given))
        assert sorted(won) == [False, False, True]
        assert snapshots.get("feed", number) == given[won.index(True)]


def test_bytes_that_are_not_those_that_were_published_are_refused(snapshots: Snapshots) -> None:
    snapshots.publish(snapshot(1, sha256=hashlib.sha256(b"other").hexdigest()))
    with pytest.raises(SnapshotCorrupt, match="feed@1 has SHA-256"):
        snapshots.get("feed", 1)
    with pytest.raises(SnapshotCorrupt):
        snapshots.newest("feed")


def mutations_done(store: Store) -> None:
    """Wait until what was asked for before is done."""
    store.apply(
        "ALTER TABLE snapshots$local UPDATE format = format WHERE 1 SETTINGS mutations_sync = 1"
    )


def test_old_weights_are_thinned_out_and_their_lineage_kept(
    snapshots: Snapshots, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots_module, "KEEP", 3)
    given = {number: snapshot(number, cursor={"rewards//w": number}) for number in range(1, 25)}
    for one in given.values():
        assert snapshots.publish(one)
    mutations_done(store)
    for number in range(1, 25):
        if number in {15, 18, 21, 22, 23, 24}:
            assert snapshots.get("feed", number) == given[number]
        else:
            with pytest.raises(NotFound, match="only its lineage"):
                snapshots.get("feed", number)
    assert [one.number for one in snapshots.lineage("feed")] == list(range(1, 25))
    assert snapshots.newest("feed") == given[24]


def test_the_first_weights_after_so_many_rows_are_kept_for_good(
    snapshots: Snapshots, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots_module, "KEEP", 3)
    monkeypatch.setattr(snapshots_module, "KEEP_ROWS_N", 50)
    for number in range(1, 34):
        cursor = {"decisions/home/w": 5 * number, "rewards//v": 3 * number}
        assert snapshots.publish(snapshot(number, cursor=cursor))
    mutations_done(store)
    kept = {number for number in range(1, 34) if snapshots.kept("feed", number) == number}
    # 8 rows in each: 7 · 8 is the first past 50, 13 · 8 the first past 100 …
    assert kept == {7, 13, 19} | {24, 25, 27} | {30, 31, 32, 33}


def test_the_nearest_kept_is_found(snapshots: Snapshots) -> None:
    for number in (2, 3, 5):
        snapshots.publish(snapshot(number, weights=b"" if number == 3 else b"weights"))
    snapshots.publish(snapshot(4, policy="other"))
    assert [snapshots.kept("feed", number) for number in range(7)] == [0, 0, 2, 2, 2, 5, 5]


def test_part_of_a_lineage_is_read(snapshots: Snapshots) -> None:
    for number in range(1, 7):
        snapshots.publish(snapshot(number))
    part = snapshots.lineage("feed", since=3, upto=5)
    assert part == [snapshot(number, weights=b"", sha256=part[0].sha256) for number in (3, 4, 5)]


def test_thinning_leaves_other_policies_alone(
    snapshots: Snapshots, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots_module, "KEEP", 3)
    snapshots.publish(snapshot(2, policy="other", cursor={}))
    for number in (2, 9):
        snapshots.publish(snapshot(number, cursor={}))
    mutations_done(store)
    assert snapshots.get("other", 2).weights
    with pytest.raises(NotFound):
        snapshots.get("feed", 2)
