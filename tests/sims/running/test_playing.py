from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.records import Action
from sims.running.playing import Game, Timing, play
from sims.worlds.base import Round, World


class Scripted:
    """One action; each round's reward arrives after these delays."""

    name = "scripted"
    about = "by hand"

    def __init__(self, delays: Sequence[tuple[int, ...]], told: tuple[float, ...] = ()) -> None:
        self._delays, self._told = delays, told

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        for delays in self._delays:
            yield Round(
                unit_id="u",
                context=b"{}",
                actions=(Action.of("a"),),
                rewards=(0.75,),
                expected=(0.5,),
                told=self._told,
                delays=delays,
            )


class Noting:
    """Notes after which round it was taught what."""

    key = "noting"

    def __init__(self) -> None:
        self.asked_n = 0
        self.lessons: list[tuple[int, float]] = []

    def learner(self, world: World, seed: int) -> "Noting":
        return self

    def pmf(self, this: Round) -> list[float]:
        self.asked_n += 1
        return [1.0]

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        assert (drawn, propensity) == (0, 1.0)
        self.lessons.append((self.asked_n, reward))


def lessons(world: Scripted, n: int, timing: Timing) -> list[tuple[int, float]]:
    noting = Noting()
    play(Game(world, noting, 1, timing), n)
    return noting.lessons


def test_each_copy_is_a_lesson_when_it_arrives_and_what_is_lost_is_none() -> None:
    world = Scripted([(0,), (), (1, 2), (9,), (0,)])
    assert lessons(world, 5, Timing()) == [(1, 0.75), (4, 0.75), (5, 0.75), (5, 0.75)]
    assert lessons(world, 5, Timing(delay_n=2)) == [(3, 0.75)]


def test_join_window_closes_every_round_once_with_nothing_for_what_came_too_late() -> None:
    world = Scripted([(0,), (), (1, 2), (3,), (0,), (0,)])
    # By hand: round t is closed after round t + 2; rewards count while their delay is below 2.
    assert lessons(world, 6, Timing(join_n=2)) == [(3, 0.75), (4, 0.0), (5, 0.75), (6, 0.0)]


def test_learner_is_told_the_lie_and_the_sums_hold_the_truth() -> None:
    world, noting = Scripted([(0,)] * 3, told=(0.25,)), Noting()
    sums = play(Game(world, noting, 1, Timing()), 3)
    assert [reward for _, reward in noting.lessons] == [0.25] * 3
    assert sums[-1].tolist() == [2.25, 1.5, 0.0]


@pytest.mark.parametrize("timing", [Timing(delay_n=-1), Timing(join_n=0)])
def test_timing_without_a_meaning_is_refused(timing: Timing) -> None:
    with pytest.raises(RecordError, match="must be at least"):
        Game(Scripted([]), Noting(), 1, timing)
