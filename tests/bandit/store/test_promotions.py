"""Steps of promotions in a real engine: numbered, kept, and one winner for each."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from msgspec.structs import replace

from bandit.errors import NotFound, VersionConflict
from bandit.store.client import Store
from bandit.store.promotions import Promotions, PromotionStep

FIRST = PromotionStep(
    surface="home",
    promotion_id=1,
    seq=1,
    change_id="a",
    state="ramping",
    challenger="new",
    live="old",
    experiment="home.promotion-1",
    stage=0,
    share=0.01,
    reason="The gate was passed: Ünïcode.",
    plan=msgspec.Raw(b'{"ramp":[1.0,100.0]}'),
    evidence=msgspec.Raw(b'{"passed":true}'),
    project="default",
    author="ana",
    at_ms=1_790_000_000_123,
)
SECOND = replace(FIRST, seq=2, change_id="b", state="landing", share=1.0)


def test_steps_come_back_as_they_were_made(store: Store) -> None:
    promotions = Promotions(store)
    assert promotions.newest_id("home") == 0
    promotions.add(FIRST)
    promotions.add(SECOND)
    assert promotions.newest_id("home") == 1
    found = promotions.steps("home", 1)
    assert [msgspec.json.encode(step) for step in found] == [
        msgspec.json.encode(step) for step in (FIRST, SECOND)
    ]


def test_newest_step_of_each_promotion_is_found_by_surface_and_state(store: Store) -> None:
    promotions = Promotions(store)
    for step in (
        FIRST,
        SECOND,
        replace(FIRST, promotion_id=2, state="refused"),
        replace(FIRST, surface="cart"),
    ):
        promotions.add(step)
    newest = [(s.surface, s.promotion_id, s.state) for s in promotions.newest()]
    assert newest == [("cart", 1, "ramping"), ("home", 2, "refused"), ("home", 1, "landing")]
    assert [s.promotion_id for s in promotions.newest("home")] == [2, 1]
    assert [s.surface for s in promotions.newest(states=["ramping"])] == ["cart"]
    assert len(promotions.newest(limit=2)) == 2


def test_of_two_hosts_that_make_one_step_one_wins(store: Store) -> None:
    promotions = Promotions(store)

    def make(name: str) -> str | None:
        try:
            promotions.add(replace(FIRST, change_id=name))
        except VersionConflict:
            return None
        return name

    with ThreadPoolExecutor(4) as pool:
        won = [name for name in pool.map(make, "abcd") if name]
    assert won == [promotions.steps("home", 1)[0].change_id]


def test_step_that_was_made_is_not_made_again(store: Store) -> None:
    promotions = Promotions(store)
    promotions.add(FIRST)
    with pytest.raises(VersionConflict, match="promotion 'home/1' is at version 1"):
        promotions.add(replace(FIRST, change_id="late"))


def test_promotion_that_nobody_began_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound, match="promotion 3 of surface 'home' is not there"):
        Promotions(store).steps("home", 3)
