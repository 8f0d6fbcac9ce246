"""The whole way over a real log and real reports: gate, ramp, live; and gate, ramp, back."""

import random
import uuid
from collections.abc import Iterator

import pytest

from bandit.journal.base import Progress
from bandit.service.promoting import PromotionService
from bandit.service.promoting_ramp import experiment_key
from bandit.service.promoting_records import Promotion, PromotionPlan
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.migrations import migrate
from bandit.store.sink import ClickHouseSink
from tests.bandit.logs import T0, LogMaker

HOUR_MS = 3_600_000
PLAN = PromotionPlan(ramp=(10.0, 50.0, 100.0), stage_s=60.0, stage_n=50)


@pytest.fixture(scope="module")
def store(clickhouse_url: str) -> Iterator[Store]:
    store = Store.connect(clickhouse_url, database=f"test_{uuid.uuid4().hex}")
    migrate(store)
    for key in ("old", "new"):
        spec = PolicySpec(key=key, type="uniform", floor=0.2)
        Definitions(store).put(spec, expected=None, author="t", change_id=key, now_ms=T0)
    yield store
    store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
    store.close()


class World:
    """A surface with traffic and a clock; the challenger shows action 0 more often."""

    def __init__(self, store: Store, surface: str) -> None:
        self.store, self.surface, self.now_ms = store, surface, T0 + HOUR_MS
        self.rng = random.Random(11)
        self.log = LogMaker(store, surface=surface)
        spec = Surface(
            key=surface, policy="old", shadows=["old", "new"], join_window_s=1.0, reward_low=0.0,
            max_actions=5,
        )  # fmt: skip
        Definitions(store).put(spec, expected=None, author="t", change_id=surface, now_ms=T0)
        self.promoting = PromotionService(
            store, now_ms=lambda: self.now_ms, new_id=lambda: uuid.uuid4().hex
        )

    def traffic(self, at_ms: int, n: int, chance: tuple[float, float], variant: str = "") -> None:
        """Decisions from a time on, of a variant of the ramp or of the surface's own policy."""
        first = {"": 0.5, "live": 0.5, "challenger": 0.8}[variant]
        for i in range(n):
            action = int(self.rng.random() >= first)
            decision = self.log.decide(
                at_ms - T0 + 10 * i,
                unit=f"{variant}{at_ms}-{i // 2}",
                writer=self.surface,
                experiment=experiment_key(self.surface, 1) if variant else "",
                experiment_version=1,
                variant=variant,
                policy="new" if variant == "challenger" else "old",
                actions_n=2,
                ranking=(action,),
                pmf=(first, 1 - first),
                propensities=((first, 1 - first)[action],),
                floor=0.2,
                shadows={"old": (0.5,), "new": ((0.8, 0.2)[action],)},
            )
            if self.rng.random() < chance[action]:
                self.log.reward(decision, 1.0, writer=self.surface)
        self.log.deliver()

    def pass_(self, after_ms: int) -> Promotion:
        """A host's pass, so much later, when all was delivered."""
        self.now_ms += after_ms
        ClickHouseSink(self.store, now_ms=lambda: self.now_ms).report(
            Progress(
                host="h", drained_through_ms=self.now_ms, backlog_bytes=0, segments_n=0, done=False
            )
        )
        self.promoting.advance(self.surface)
        return self.promoting.get(self.surface, 1)

    def ramp_traffic(self, chance: tuple[float, float]) -> None:
        for variant in ("live", "challenger"):
            self.traffic(self.now_ms, 300, chance, variant)


def test_better_challenger_gets_to_live(store: Store) -> None:
    world = World(store, "better")
    world.traffic(T0, 800, (0.9, 0.1))
    begun = world.promoting.start(world.surface, "new", PLAN, author="ana")
    assert begun.state == "ramping", begun.reason

    waiting = world.pass_(after_ms=120_000)
    assert (waiting.share, waiting.state) == (0.1, "ramping")
    assert waiting.look is not None
    assert "0 decisions of variant live count" in waiting.look.reason

    world.ramp_traffic((0.9, 0.1))
    second = world.pass_(after_ms=120_000)
    assert (second.share, second.state) == (0.5, "ramping"), second.look
    landed = world.pass_(after_ms=120_000)
    assert landed.state == "live", landed.look
    surface = Definitions(store).get("surface", world.surface)
    assert isinstance(surface.spec, Surface)
    assert (surface.spec.policy, surface.author) == ("new", "promotion 1 (promotion)")
    look = landed.steps[-2].look
    assert look is not None
    assert look.effect_low is not None
    assert look.counted_n == {"live": 300, "challenger": 300}


def test_challenger_that_the_shadow_flattered_is_taken_back(store: Store) -> None:
    """Its real traffic earns less than its shadow foretold: the world changed, or the log lied."""
    world = World(store, "flattered")
    world.traffic(T0, 800, (0.9, 0.1))
    assert world.promoting.start(world.surface, "new", PLAN, author="ana").state == "ramping"
    world.ramp_traffic((0.05, 0.95))
    ended = world.pass_(after_ms=120_000)
    assert ended.state == "reverted", ended.look
    assert ended.reason.startswith("The challenger is worse: reward of challenger − live is in [-")
    surface = Definitions(store).get("surface", world.surface).spec
    assert isinstance(surface, Surface)
    assert surface.policy == "old"
    # What the ramp disproved, the log of before does not prove again.
    again = world.promoting.start(world.surface, "new", PLAN, author="ana")
    assert again.state == "refused"
    assert again.gate is not None
    assert again.gate.n == 0
