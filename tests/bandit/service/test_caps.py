"""Caps on the rewards of a unit: by the hour, in bounded memory."""

import pytest

from bandit.errors import TooManyRewards
from bandit.service.caps import HOUR_MS, Earning, RewardCaps

HOUR = 497_222 * HOUR_MS


def earn(unit: str = "u", cap: int = 3, surface: str = "home.feed") -> Earning:
    return Earning(surface, unit, cap, "$.token")


def test_unit_earns_its_cap_and_no_more() -> None:
    caps = RewardCaps()
    for _ in range(3):
        caps.take([earn()], HOUR)
    with pytest.raises(TooManyRewards, match=r"its 3 rewards of an hour, .* - at `\$\.token`"):
        caps.take([earn()], HOUR + 1000)
    caps.take([earn("another")], HOUR)
    caps.take([earn(surface="home.hero")], HOUR)


def test_request_over_the_cap_counts_nothing() -> None:
    caps = RewardCaps()
    with pytest.raises(TooManyRewards) as caught:
        caps.take([earn("v"), *[earn()] * 4], HOUR + HOUR_MS // 4)
    assert caught.value.retry_after_s == 2700
    caps.take([earn()] * 3, HOUR)


def test_hour_before_counts_for_what_is_left_of_it() -> None:
    caps = RewardCaps()
    caps.take([earn(cap=4)] * 4, HOUR)
    later = HOUR + HOUR_MS + HOUR_MS // 2
    caps.take([earn(cap=4)] * 2, later)
    with pytest.raises(TooManyRewards):
        caps.take([earn(cap=4)], later)
    caps.take([earn(cap=4)] * 4, HOUR + 3 * HOUR_MS)


def test_memory_is_bounded_and_a_flood_of_units_refuses_nobody() -> None:
    caps = RewardCaps(units=10)
    for number in range(1000):
        caps.take([earn(f"u{number}", cap=1)], HOUR)
    assert len(caps) == 10
    with pytest.raises(TooManyRewards):
        caps.take([earn("u0", cap=1)], HOUR)
    for number in range(1000):
        caps.take([earn(f"v{number}", cap=1)], HOUR + HOUR_MS)
    assert len(caps) == 20
