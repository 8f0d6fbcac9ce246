from pathlib import Path

import pytest

from bandit.errors import StoreUnavailable
from bandit.service.key_feed import SAID_EVERY_MS, KeyFeed
from bandit.service.key_ring import KeyRing
from bandit.service.last_good import LastGood
from bandit.service.refreshing import Refresher
from bandit.service.serving_state import Serving
from tests.bandit.service.making import NOW_MS
from tests.bandit.service.making_keys import MemoryKeys, key_service, made


class Worker:
    """A ring and its feed, as one start of a worker has them."""

    def __init__(self, keys: MemoryKeys, folder: Path) -> None:
        self.ring = KeyRing()
        last_good = LastGood(folder, writer="w")
        self.feed = KeyFeed(self.ring, lambda: keys, last_good, host="h")  # type: ignore[arg-type, return-value]
        self.feed.restore()

    def knows(self, text: str) -> bool:
        return self.ring.find(text.encode(), NOW_MS) is not None


def test_a_key_is_good_after_the_next_look_and_no_more_after_it_was_revoked(tmp_path: Path) -> None:
    keys = MemoryKeys()
    worker = Worker(keys, tmp_path)
    worker.feed.look()
    key, text = made(keys, "shop", "rank")
    assert not worker.knows(text)
    worker.feed.look()
    assert worker.knows(text)
    key_service(keys).revoke(key.key_id)
    worker.feed.look()
    assert not worker.knows(text)


def test_a_worker_that_starts_without_the_store_accepts_the_keys_known_last(tmp_path: Path) -> None:
    keys = MemoryKeys()
    _, good = made(keys, "shop", "rank")
    revoked, bad = made(keys, "shop", "rank", client="app")
    key_service(keys).revoke(revoked.key_id)
    Worker(keys, tmp_path).feed.look()
    keys.away = True
    worker = Worker(keys, tmp_path)
    with pytest.raises(StoreUnavailable):
        worker.feed.look()
    assert worker.knows(good)
    assert not worker.knows(bad)


@pytest.mark.parametrize("harm", [lambda raw: raw[:-1], lambda raw: raw[:40] + b"x" + raw[41:]])
def test_keys_on_disk_that_fail_their_digest_let_nobody_in(tmp_path: Path, harm: object) -> None:
    keys = MemoryKeys()
    made(keys, "shop", "rank")
    Worker(keys, tmp_path).feed.look()
    path = tmp_path / "keys"
    path.write_bytes(harm(path.read_bytes()))  # type: ignore[operator]
    assert not Worker(keys, tmp_path).ring.is_known


def test_no_text_of_a_key_is_on_disk(tmp_path: Path) -> None:
    keys = MemoryKeys()
    _, text = made(keys, "shop", "rank")
    Worker(keys, tmp_path).feed.look()
    assert text.rpartition("_")[2].encode() not in (tmp_path / "keys").read_bytes()


def test_a_use_is_said_at_once_and_then_a_few_times_an_hour(tmp_path: Path) -> None:
    keys = MemoryKeys()
    key, text = made(keys, "shop", "rank")
    worker = Worker(keys, tmp_path)
    for ms in (0, 1, 1000, SAID_EVERY_MS - 1, SAID_EVERY_MS, SAID_EVERY_MS + 1):
        worker.feed.look()
        worker.ring.find(text.encode(), NOW_MS + ms)
    worker.feed.look()
    said = [("h", {key.key_id: NOW_MS}), ("h", {key.key_id: NOW_MS + SAID_EVERY_MS})]
    assert keys.noted == said


def test_a_store_that_takes_no_uses_goes_on_telling_keys(tmp_path: Path) -> None:
    keys = MemoryKeys()
    keys.takes_uses = False
    _, text = made(keys, "shop", "rank")
    worker = Worker(keys, tmp_path)
    worker.feed.look()
    assert worker.knows(text)
    worker.feed.look()
    _, other = made(keys, "shop", "rank", client="app")
    worker.feed.look()
    assert worker.knows(other)


def test_a_disk_that_keeps_nothing_is_tried_again(tmp_path: Path) -> None:
    keys = MemoryKeys()
    made(keys, "shop", "rank")
    folder = tmp_path / "cache"
    folder.write_text("no folder")
    worker = Worker(keys, folder)
    worker.feed.look()
    folder.unlink()
    worker.feed.look()
    assert Worker(keys, folder).ring.is_known


def test_a_revoked_key_ends_though_nothing_else_can_be_refreshed(tmp_path: Path) -> None:
    keys = MemoryKeys()
    key, text = made(keys, "shop", "rank")
    worker = Worker(keys, tmp_path)

    def broken() -> None:
        raise RuntimeError("a bug, at every look")

    refresher = Refresher(
        Serving(),
        definitions=broken,  # type: ignore[arg-type]
        snapshots=broken,  # type: ignore[arg-type]
        catalogues=broken,  # type: ignore[arg-type]
        last_good=LastGood(tmp_path, writer="w"),
        interval_s=1.0,
        monotonic_s=lambda: 0.0,
        keys=worker.feed,
    )
    with pytest.raises(RuntimeError):
        refresher.step()
    assert worker.knows(text)
    key_service(keys).revoke(key.key_id)
    with pytest.raises(RuntimeError):
        refresher.step()
    assert not worker.knows(text)
