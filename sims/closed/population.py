"""Who asks in a closed loop: rounds of a world as a population, so that every mean is a sum."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bandit.records import Record
from sims.closed.plan import ACTIONS_N, CONTROL, FIRST_WEIGHT, MIXED, Plan
from sims.worlds.base import Round, World

KNOWN_N = 2000
"""Rounds by which the product ranks actions before anything is measured."""


class Truth(Record, frozen=True, kw_only=True):
    """What policies that do not learn earn per decision, before any reward is lost or late."""

    uniform: float
    first: float
    mixed: float

    def of(self, policy: str) -> float:
        """By the last part of its key."""
        values = {CONTROL: self.uniform, "first": self.first, MIXED: self.mixed}
        return values[policy.rpartition("-")[2]]


class Population:
    """A finite set of rounds, each as likely as any other.

    A round asks for one of at most `ACTIONS_N` actions, offered in the order of a product that
    shows what was liked most so far. What an action earns in a round is fixed, so what a policy
    that does not learn earns is a sum over all rounds: exact, whatever the world.

    Args:
        rounds: At least one.
    """

    def __init__(self, rounds: Sequence[Round]) -> None:
        self.rounds = tuple(rounds)

    @classmethod
    def of(cls, world: World, *, rounds_n: int, seed: int) -> "Population":
        """Draw a population from a world; equal arguments give equal ones."""
        for_rounds, for_choice = np.random.default_rng((seed, 0)).spawn(2)
        source = world.rounds(for_rounds)
        liked = _liking(list(islice(source, KNOWN_N)))
        return cls([_offered(this, liked, for_choice) for this in islice(source, rounds_n)])

    @property
    def truth(self) -> Truth:
        """Exact means over all rounds."""
        uniform = float(np.mean([np.mean(this.rewards) for this in self.rounds]))
        first = float(np.mean([this.rewards[0] for this in self.rounds]))
        mixed = FIRST_WEIGHT * first + (1.0 - FIRST_WEIGHT) * uniform
        return Truth(uniform=uniform, first=first, mixed=mixed)

    def mean_reward(self, plan: Plan) -> float:
        """About what a round of the plan earns: what learns is taken for the mixed policy."""
        truth = self.truth
        return (truth.uniform + truth.mixed) / 2.0 if plan.repetitions else truth.uniform

    def regret(self, number: int, action: int) -> float:
        """How much less than the best action one earns in a round, on average."""
        return self.rounds[number].regret(action)

    def served_value(self, number: int, pmf: Sequence[float]) -> float:
        """What a served pmf earns in a round: Σ p(a) r(a)."""
        rewards: NDArray[np.float64] = np.array(self.rounds[number].rewards)
        return float(rewards @ np.asarray(pmf))


def _liking(known: Sequence[Round]) -> dict[str, float]:
    """Mean reward of each action in what the product has seen."""
    earned: dict[str, list[float]] = defaultdict(list)
    for this in known:
        for action, reward in zip(this.actions, this.rewards, strict=True):
            earned[action.id].append(reward)
    return {id_: float(np.mean(rewards)) for id_, rewards in earned.items()}


def _offered(this: Round, liked: dict[str, float], rng: np.random.Generator) -> Round:
    """A random choice of the round's actions, most liked first."""
    k = len(this.actions)
    chosen = rng.choice(k, size=min(k, ACTIONS_N), replace=False).tolist()
    order = sorted(chosen, key=lambda at: -liked.get(this.actions[at].id, 0.0))
    return Round(
        unit_id=this.unit_id,
        context=this.context,
        actions=tuple(this.actions[at] for at in order),
        rewards=tuple(this.rewards[at] for at in order),
        expected=tuple(this.expected[at] for at in order),
    )
