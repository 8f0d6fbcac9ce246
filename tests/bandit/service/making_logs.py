"""A small world with a known truth, and a real ClickHouse that holds its log."""

import numpy as np

from bandit.records import Action, LoggedDecision
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.logged import LoggedReward
from tests.bandit.learning import making
from tests.bandit.learning.filling import RealLog
from tests.bandit.learning.making import T0

SURFACE = Surface(key="home", policy="uniform", join_window_s=10.0, reward_low=0.0, reward_high=1.0)
EVERY_MS = 100
ACTIONS = tuple(Action.of(f"a{i}", size=i) for i in range(3))
CHANCE = np.array([[0.2, 0.8, 0.4], [0.7, 0.1, 0.5]])  # of a reward, by place and action
PLACES = ("north", "south")


class Log:
    """Decisions that were drawn uniformly, one every 100 ms, and what they earned.

    Attributes:
        decisions: In the order in which they were made.
        rewards: Of those that earned anything, a second later.
        places: Row of `CHANCE` of each.
        through_ms: Every join window has ended by then, and everything is delivered.
    """

    def __init__(self, n: int, seed: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.places = rng.integers(2, size=n)
        self.decisions: list[LoggedDecision] = []
        self.rewards: list[LoggedReward] = []
        for i, place in enumerate(self.places.tolist()):
            drawn = int(rng.integers(3))
            made = making.decision(
                i + 1,
                T0 + i * EVERY_MS,
                unit_id=f"u{i % 97}",
                policy="uniform",
                context=b'{"place":"%s","n":%d}' % (PLACES[place].encode(), i % 7),
                actions=ACTIONS,
                pmf=(np.float32(1 / 3),) * 3,
                ranking=(drawn,),
                propensities=(1 / 3,),
            )
            self.decisions.append(made)
            if rng.random() < CHANCE[place, drawn]:
                self.rewards.append(making.reward(made, after_ms=1_000, seq=len(self.rewards) + 1))
        self.through_ms = T0 + n * EVERY_MS + 3_600_000

    def store(self, store: Store, *more: object) -> None:
        """Put it into a store, as delivered, with the surface declared."""
        log = RealLog(store)
        log.write(*self.decisions, *self.rewards, *more)  # type: ignore[arg-type]
        log.drained(self.through_ms, self.through_ms)
        Definitions(store).put(
            SURFACE, expected=None, author="test", change_id="change-1", now_ms=T0
        )


def learning(arguments: str = "--epsilon 0.1 -q UA", **changes: object) -> PolicySpec:
    given = {
        "key": "candidate",
        "type": "vw",
        "arguments": arguments,
        "surface": "home",
        "floor": 0.01,
        **changes,
    }
    return PolicySpec(**given)  # type: ignore[arg-type]
