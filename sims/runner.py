"""Run a policy in a world, in process, with the functions that serve."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np

from bandit.event_id import make_event_id, surface_tag
from bandit.policies import (
    LearningPolicy,
    Lesson,
    Policy,
    build,
    check_spec,
    draw_ranking,
    seed_of,
    with_floor,
)
from bandit.records import Record
from bandit.specs import PolicySpec
from sims.worlds.base import World

SURFACE = "simulation"
CHECKPOINTS = 100
SALT = b"bandit simulate"
"""A simulation keeps no secret; its draws must be equal on every machine."""
FIRST_MS = 1_700_000_000_000


class Checkpoint(Record, frozen=True, kw_only=True):
    """How far a run was after so many rounds; reward and regret are sums over all of them."""

    rounds_n: int
    reward: float
    regret: float


class Run(Record, frozen=True, kw_only=True):
    """What a policy did in a world.

    Attributes:
        delay_n: After how many further rounds a reward was learned from.
        reward: Sum over all rounds.
        regret: Sum over all rounds of what the best action would have earned more, on average.
        digest: Of the weights in the end; empty for a policy that does not learn.
        checkpoints: About a hundred, evenly spaced, the last at the end.
    """

    world: str
    policy: PolicySpec
    seed: int
    rounds_n: int
    delay_n: int
    reward: float
    regret: float
    digest: str
    checkpoints: tuple[Checkpoint, ...]

    @property
    def mean_reward(self) -> float:
        """Reward per round."""
        return self.reward / self.rounds_n

    @property
    def mean_reward_late(self) -> float:
        """Reward per round in the last quarter, when most is learned."""
        start = self.checkpoints[(len(self.checkpoints) - 1) * 3 // 4]
        if start.rounds_n == self.rounds_n:
            return self.mean_reward
        return (self.reward - start.reward) / (self.rounds_n - start.rounds_n)


class Step(Record, frozen=True, kw_only=True):
    """What one round came to."""

    reward: float
    regret: float
    lesson: Lesson


def run(
    world: World,
    spec: PolicySpec,
    *,
    rounds_n: int,
    seed: int,
    delay_n: int = 0,
    watch: Callable[[int, float], None] = lambda rounds_n, reward: None,
) -> Run:
    """Run a policy in a world; equal arguments give equal results.

    Args:
        world: Makes the rounds; the same ones for every policy that is run with this seed.
        spec: What to build.
        rounds_n: At least 1.
        seed: Of the rounds and of the draws.
        delay_n: After how many further rounds a reward is learned from: in the service that is
            the join window and the way to the next snapshot.
        watch: Told rounds and reward so far at every checkpoint.

    Raises:
        BadSpec: `spec` can not be served.
    """
    check_spec(spec)
    policy = build(spec)
    learner = cast(LearningPolicy, policy) if spec.learns else None
    waiting: deque[Lesson] = deque()
    reward = regret = 0.0
    checkpoints = []
    marks = set(np.linspace(0, rounds_n, min(CHECKPOINTS, rounds_n) + 1, dtype=int).tolist())
    for done, step in enumerate(_steps(world, policy, spec.floor, rounds_n, seed), 1):
        reward += step.reward
        regret += step.regret
        waiting.append(step.lesson)
        if len(waiting) > delay_n:
            lesson = waiting.popleft()
            if learner:
                learner.learn(lesson)
        if done in marks:
            checkpoints.append(Checkpoint(rounds_n=done, reward=reward, regret=regret))
            watch(done, reward)
    return Run(
        world=world.name,
        policy=spec,
        seed=seed,
        rounds_n=rounds_n,
        delay_n=delay_n,
        reward=reward,
        regret=regret,
        digest=learner.digest() if learner else "",
        checkpoints=tuple(checkpoints),
    )


def _steps(world: World, policy: Policy, floor: float, rounds_n: int, seed: int) -> Iterator[Step]:
    """Decide each round as the service does; whoever takes a step may teach before the next."""
    for_rounds, for_ids = np.random.default_rng(seed).spawn(2)
    tag = surface_tag(SURFACE)
    rounds = world.rounds(for_rounds)
    for number in range(rounds_n):
        this = next(rounds)
        event_id = make_event_id(FIRST_MS + number, tag, for_ids.bytes(6), SALT)
        pmf = with_floor(policy.pmf(this.context, this.actions), floor)
        ranking, propensities = draw_ranking(pmf, 1, seed_of(event_id, SALT))
        reward = this.reward(ranking[0])
        yield Step(
            reward=reward,
            regret=this.regret(ranking[0]),
            lesson=Lesson(
                context=this.context,
                actions=this.actions,
                drawn=ranking[0],
                propensity=propensities[0],
                reward=reward,
            ),
        )
