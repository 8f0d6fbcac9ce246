"""One learner in one world, round by round, with the functions that serve."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.errors import RecordError
from bandit.policies import draw_ranking
from sims.learners import Contender, Learner
from sims.running.draws import generators, seeds_of_draws
from sims.worlds.base import Following, Round, World

Floats = npt.NDArray[np.float64]
CHECKPOINTS = 100


class Timing(NamedTuple):
    """When rewards reach learners.

    Attributes:
        delay_n: Further rounds until a lesson is learned, on top of the world's own delays.
        join_n: Rounds that a reward may take to count; the lesson is closed then, with 0 if none
            came. None: each copy is a lesson when it arrives.
    """

    delay_n: int = 0
    join_n: int | None = None

    def check(self) -> None:
        """Refuse what has no meaning.

        Raises:
            RecordError: A number is negative, or a window is empty.
        """
        if self.delay_n < 0:
            raise RecordError(f"delay_n is {self.delay_n}, must be at least 0")
        if self.join_n is not None and self.join_n < 1:
            raise RecordError(f"join_n is {self.join_n}, must be at least 1")


class Step(NamedTuple):
    """What one round came to: the reward, its mean, and how much less than the best that is."""

    reward: float
    expected: float
    regret: float


class _Lesson(NamedTuple):
    this: Round
    drawn: int
    propensity: float
    reward: float


class Game:
    """A learner in a world with one seed.

    Attributes:
        learner: Who plays.
    """

    def __init__(self, world: World, contender: Contender, seed: int, timing: Timing) -> None:
        """Before the first round.

        Raises:
            RecordError: The timing has no meaning, or the contender can not play here.
        """
        timing.check()
        for_rounds, _ = generators(seed)
        self.learner: Learner = contender.learner(world, seed)
        self._timing = timing
        self._following = Following(world, for_rounds)
        self._seeds = seeds_of_draws(seed)
        self._waiting: dict[int, list[_Lesson]] = {}
        self._drawn: int | None = None
        self._number = 0

    def step(self) -> Step:
        """Decide one round, and learn what is due after it."""
        this = self._following.next_round(self._drawn)
        pmf = self.learner.pmf(this)
        ranking, propensities = draw_ranking(list(map(float, pmf)), 1, next(self._seeds))
        drawn = self._drawn = ranking[0]
        self._await(this, drawn, propensities[0])
        for lesson in self._waiting.pop(self._number, ()):
            self.learner.learn(*lesson)
        self._number += 1
        return Step(this.reward(drawn), this.expected[drawn], this.regret(drawn))

    def _await(self, this: Round, drawn: int, propensity: float) -> None:
        delay_n, join_n = self._timing
        told = this.told_of(drawn)
        if join_n is None:
            for delay in this.delays:
                lesson = _Lesson(this, drawn, propensity, told)
                self._waiting.setdefault(self._number + delay + delay_n, []).append(lesson)
            return
        in_time = any(delay < join_n for delay in this.delays)
        lesson = _Lesson(this, drawn, propensity, told if in_time else 0.0)
        self._waiting.setdefault(self._number + join_n + delay_n, []).append(lesson)


def marks_of(rounds_n: int) -> list[int]:
    """After which rounds a run is looked at: about a hundred, evenly spaced, the last at the end.

    >>> marks_of(3), len(marks_of(950)), marks_of(950)[-1]
    ([1, 2, 3], 100, 950)
    """
    return [int(mark) for mark in np.linspace(0, rounds_n, min(CHECKPOINTS, rounds_n) + 1)[1:]]


def play(
    game: Game, rounds_n: int, watch: Callable[[int, Floats], None] = lambda n, sums: None
) -> Floats:
    """Sums of reward, expected reward and regret at each of `marks_of(rounds_n)`, `(m, 3)`.

    Args:
        game: At its beginning.
        rounds_n: At least 1.
        watch: Told rounds and sums so far at each of them.
    """
    marks = marks_of(rounds_n)
    found = np.zeros((len(marks), 3))
    reward = expected = regret = 0.0
    done = 0
    for place, mark in enumerate(marks):
        for _ in range(mark - done):
            step = game.step()
            reward += step.reward
            expected += step.expected
            regret += step.regret
        done = mark
        found[place] = reward, expected, regret
        watch(mark, found[place])
    return found
