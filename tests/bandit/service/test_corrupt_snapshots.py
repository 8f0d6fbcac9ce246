"""However a snapshot is damaged, in the store, before it came there, or on disk: it never serves.

Real weights of Vowpal Wabbit through the real snapshots, checks and refresher; truncated at every
5 %, and with 1,000 single bits flipped.
"""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from bandit.policies import build
from bandit.policies.base import LearningPolicy, Lesson
from bandit.records import Action
from bandit.service.last_good import LastGood
from bandit.service.refreshing import KEEP_EVERY_S, Refresher
from bandit.service.serving_state import Serving
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.snapshots import Snapshot, Snapshots
from tests.bandit.service.making import MemoryCatalogues, MemoryDefinitions, snapshot
from tests.simulation.store import SimulatedStore

SPEC = PolicySpec(
    key="feed", type="vw", arguments="--squarecb --cb_type mtr -b 8", surface="home.feed"
)
ACTIONS = tuple(Action.of(f"a{n}", n=n) for n in range(4))
FLIPS_N = 1_000


class Worker:
    """A worker of the API, as far as it serves; its store is in memory."""

    def __init__(self, folder: Path) -> None:
        self.store = SimulatedStore(lambda: 0, random.Random(0))
        self.snapshots = Snapshots(cast("Store", self.store))
        self.definitions = MemoryDefinitions(SPEC, Surface(key="home.feed", policy="feed"))
        self.folder = folder
        self.now_s = 0.0
        self.start()

    def start(self) -> None:
        self.serving = Serving()
        self.refresher = Refresher(
            self.serving,
            definitions=lambda: self.definitions,  # type: ignore[arg-type, return-value]
            snapshots=lambda: self.snapshots,
            catalogues=lambda: MemoryCatalogues(),  # type: ignore[arg-type, return-value]
            last_good=LastGood(self.folder, writer="w"),
            interval_s=1.0,
            monotonic_s=lambda: self.now_s,
        )

    def follow(self) -> None:
        self.now_s += 2 * KEEP_EVERY_S
        self.refresher.step()

    @property
    def label(self) -> str:
        return self.serving.state.surface("home.feed").policy.label

    @property
    def pmf(self) -> list[float]:
        return list(self.serving.state.policies["feed"].policy.pmf(b"{}", ACTIONS))


@pytest.fixture(scope="module")
def good() -> Snapshot:
    policy = cast("LearningPolicy", build(SPEC, None))
    for n in range(60):
        drawn = n % 4
        policy.learn(
            Lesson(
                context=b'{"hour":9}',
                actions=ACTIONS,
                drawn=drawn,
                propensity=0.25,
                reward=float(drawn == 2),
            )
        )
    weights = policy.save()
    sha256 = hashlib.sha256(weights).hexdigest()
    return replace(snapshot(SPEC, 1, b""), weights=weights, digest=policy.digest(), sha256=sha256)


@pytest.fixture
def worker(tmp_path: Path, good: Snapshot) -> Worker:
    worker = Worker(tmp_path)
    assert worker.snapshots.publish(good)
    worker.follow()
    assert worker.label == "feed@1"
    return worker


def damaged(whole: bytes, flips_n: int) -> Iterator[bytes]:
    """Cut at every 5 %, then with one bit flipped."""
    for percent in range(0, 100, 5):
        yield whole[: len(whole) * percent // 100]
    chance = random.Random(7)
    for _ in range(flips_n):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        yield bytes(flipped)


def test_what_was_damaged_in_the_store_never_serves(worker: Worker, good: Snapshot) -> None:
    pmf = worker.pmf
    served = 0
    for number, weights in enumerate(damaged(good.weights, FLIPS_N), start=2):
        bad = replace(good, number=number, weights=weights, change_id=f"c{number}")
        assert worker.snapshots.publish(bad)
        worker.follow()
        served += worker.label != "feed@1"
        worker.store.blocks.pop()
    assert (served, worker.pmf) == (0, pmf)
    whole = replace(good, number=5_000, change_id="whole")
    worker.snapshots.publish(whole)
    worker.follow()
    assert (worker.label, worker.pmf) == ("feed@5000", pmf)


def test_what_was_damaged_before_it_was_published_never_serves(
    worker: Worker, good: Snapshot
) -> None:
    pmf = worker.pmf
    for number, weights in enumerate(damaged(good.weights, 100), start=2):
        sha256 = hashlib.sha256(weights).hexdigest()  # the store has what it was given
        worker.snapshots.publish(
            replace(good, number=number, weights=weights, sha256=sha256, change_id=f"c{number}")
        )
        worker.follow()
        assert worker.label == "feed@1", f"damage {number - 2} serves"
        worker.store.blocks.pop()
    assert worker.pmf == pmf


def test_what_was_damaged_on_disk_never_serves(worker: Worker, good: Snapshot) -> None:
    (path,) = (worker.folder / "snapshots").iterdir()
    kept = path.read_bytes()
    worker.store.trouble.is_down = True
    worker.start()
    worker.refresher.restore()
    assert worker.label == "feed@1"
    for number, data in enumerate(damaged(kept, FLIPS_N // 5)):
        path.write_bytes(data)
        assert LastGood(worker.folder, writer="w").snapshot("feed") is None
        if number % 50 == 0:
            worker.start()
            worker.refresher.restore()
            assert worker.label == "feed@0", f"damage {number} serves"
