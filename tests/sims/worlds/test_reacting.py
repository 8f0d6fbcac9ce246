"""Worlds that react to what is drawn in them."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.records import Action
from sims.worlds.base import Following, Round
from sims.worlds.fatigue import TiredWorld
from sims.worlds.meetings import MeetingWorld


class Two:
    """One unit, two actions, both of which always pay 1."""

    name = "two"
    about = "by hand"

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        while True:
            yield Round(
                unit_id="u",
                context=b"{}",
                actions=(Action.of("a"), Action.of("b")),
                rewards=(1.0, 1.0),
                expected=(1.0, 1.0),
            )


def test_what_was_shown_is_worth_less_and_recovers() -> None:
    world = TiredWorld(Two(), tires=0.5, recovers=0.5)
    following = Following(world, np.random.default_rng(1))
    worths = [following.next_round().expected]
    worths += [following.next_round(drawn).expected for drawn in (0, 0, 1)]
    # By hand: h of a is 0, then ½ of one showing, then ½·(½ + 1), then half of that; b follows.
    h = [(0.0, 0.0), (0.5, 0.0), (0.75, 0.0), (0.375, 0.5)]
    assert worths == [tuple(pytest.approx(0.5**one) for one in row) for row in h]


def test_tired_rewards_come_with_the_expected_chance() -> None:
    following = Following(TiredWorld(Two(), recovers=0.9), np.random.default_rng(1))
    rounds = [following.next_round(None if n == 0 else n % 3 % 2) for n in range(4_000)]
    errors = [np.subtract(this.rewards, this.expected) for this in rounds]
    assert np.abs(np.mean(errors, axis=0)).max() < 4.4 * 0.5 / 4_000**0.5


def test_whoever_is_shown_too_often_has_no_time_until_the_period_is_over() -> None:
    world = MeetingWorld(users_n=6, offered_n=5, capacity=2, period_n=4)
    following = Following(world, np.random.default_rng(1))
    this = following.next_round()
    shown: list[str] = []
    for _ in range(300):
        worth = {a.id: e for a, e in zip(this.actions, this.expected, strict=True)}
        busy = {action.id for action in this.actions if b'"full"' in bytes(action.features)}
        assert busy == {user for user in worth if shown[-4:].count(user) >= 2}
        assert {user for user, e in worth.items() if e == 0.0} == busy
        assert f"{this.unit_id}" not in worth
        drawn = min(2, len(this.actions) - 1)
        shown.append(this.actions[drawn].id)
        this = following.next_round(drawn)


def test_meeting_pays_with_the_chance_that_both_like_it() -> None:
    following = Following(MeetingWorld(), np.random.default_rng(1))
    rounds = [following.next_round(None if n == 0 else 0) for n in range(3_000)]
    errors = [np.mean(np.subtract(this.rewards, this.expected)) for this in rounds]
    assert abs(np.mean(errors)) < 4.4 * 0.5 / (3_000 * 10) ** 0.5
    assert all(msgspec.json.decode(this.context).keys() == {"interest", "city"} for this in rounds)


def test_alike_users_like_each_other_more() -> None:
    following = Following(MeetingWorld(capacity=10**6), np.random.default_rng(1))
    alike, others = [], []
    for _ in range(500):
        this = following.next_round(None if not alike and not others else 0)
        mine = msgspec.json.decode(this.context)
        for action, worth in zip(this.actions, this.expected, strict=True):
            theirs = msgspec.json.decode(action.features)
            same = all(mine[name] == theirs[name] for name in mine)
            (alike if same else others).append(worth)
    assert np.mean(alike) > 3 * np.mean(others)


@pytest.mark.parametrize(
    "given", [{"capacity": 0}, {"offered_n": 100}, {"period_n": 0}, {"offered_n": 0}]
)
def test_meetings_that_can_not_be_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(RecordError, match="users are offered"):
        MeetingWorld(**given)
