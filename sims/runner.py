"""Run one policy in one world with one seed, in process, with the functions that serve."""

from collections.abc import Callable

from bandit.records import Record
from bandit.specs import PolicySpec
from sims.learners import SURFACE, Declared, Digested
from sims.running.draws import FIRST_MS, SALT
from sims.running.playing import Floats, Game, Timing, play
from sims.worlds.base import World

__all__ = ["FIRST_MS", "SALT", "SURFACE", "Checkpoint", "Run", "run"]


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
    game = Game(world, Declared(spec), seed, Timing(delay_n))
    checkpoints: list[Checkpoint] = []

    def note(done: int, sums: Floats) -> None:
        reward, _, regret = sums.tolist()
        checkpoints.append(Checkpoint(rounds_n=done, reward=reward, regret=regret))
        watch(done, reward)

    play(game, rounds_n, note)
    return Run(
        world=world.name,
        policy=spec,
        seed=seed,
        rounds_n=rounds_n,
        delay_n=delay_n,
        reward=checkpoints[-1].reward,
        regret=checkpoints[-1].regret,
        digest=game.learner.digest() if isinstance(game.learner, Digested) else "",
        checkpoints=tuple(checkpoints),
    )
