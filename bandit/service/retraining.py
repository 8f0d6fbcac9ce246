"""Policies of snapshots whose weights are not kept, for replays."""

from collections.abc import Callable
from functools import cache

from bandit.learning.retraining import Retrainer
from bandit.policies import build
from bandit.policies.base import Policy
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail


def retraining(store: Callable[[], Store]) -> Callable[[str, int], Policy]:
    """What `ReplayService` takes as `retrain`; not for several threads at once.

    Args:
        store: Gives the store, always the same one; raises `StoreUnavailable`.
    """

    @cache
    def retrainer() -> Retrainer:
        connected = store()
        return Retrainer(
            tail=Tail(connected),
            snapshots=Snapshots(connected),
            definitions=Definitions(connected),
            build=build,
        )

    return lambda policy, number: retrainer().retrain(policy, number)
