"""Three worlds in which a log judges another policy: good overlap, ε-greedy, heavy tails.

They are those in which the peers' intervals were measured: see `ope_coverage.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bandit.ope import LoggedBatch

Array = npt.NDArray[np.float64]


class Judged(NamedTuple):
    """A log, what is known of its contexts, and the truth.

    Attributes:
        context: `(n, d)` features.
        truth: Value of the target, over the world and not only over this log's contexts.
    """

    log: LoggedBatch
    context: Array
    truth: float


class World(Protocol):
    """Whatever makes logs whose target has a known value."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def k(self) -> int:
        """Actions."""

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions with their rewards."""


@dataclass(frozen=True)
class LogWorld:
    """Contexts, chances of a reward, a policy that logs, and a target.

    Chances are logistic in the context, with an offset; scores of policies are linear in it.

    Attributes:
        name: What tables call it.
        k: Actions.
        d: Numbers in a context, standard normal.
        offset: Of the logit of a reward.
        taste: Spread of the logit over contexts and actions.
        logging: Temperature of the logging policy's scores, which know the tastes in part; None:
            ε-greedy on them.
        target: Temperature of the target's, which know others; None: always its best.
        epsilon: Of an ε-greedy log.
        floor: Least probability of an action in the log.
        informed: Whether both policies score actions by their true chances (as obp's generator has
            it), not by beliefs of their own.
    """

    name: str
    k: int
    d: int
    offset: float
    taste: float
    logging: float | None
    target: float | None
    epsilon: float = 0.2
    floor: float = 0.0
    informed: bool = False

    def parameters(self) -> tuple[Array, Array, Array]:
        """`(d, k)` of rewards, of what the logging policy and of what the target believe."""
        rng = np.random.default_rng(sum(self.name.encode()))
        rewards, first, second = rng.normal(0.0, 1.0 / np.sqrt(self.d), size=(3, self.d, self.k))
        return rewards, 0.5 * rewards + first, 0.7 * rewards + second

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, Array, Array]:
        """`(n, d)` contexts, `(n, k)` chances, logging and target probabilities."""
        rewards, believed, better = self.parameters()
        context = rng.normal(size=(n, self.d))
        chance = 1.0 / (1.0 + np.exp(-self.offset - self.taste * context @ rewards))
        first, second = (
            (chance, chance) if self.informed else (context @ believed, context @ better)
        )
        logged = self._policy(first, self.logging, self.epsilon)
        logged = self.floor + (1.0 - self.k * self.floor) * logged
        target = self._policy(second, self.target, 0.0)
        return context, chance, logged, target

    def _policy(self, scores: Array, temperature: float | None, epsilon: float) -> Array:
        if temperature is None:
            best: Array = np.full(scores.shape, epsilon / self.k)
            best[np.arange(len(scores)), scores.argmax(axis=1)] += 1.0 - epsilon
            return best
        powers = np.exp(temperature * (scores - scores.max(axis=1, keepdims=True)))
        soft: Array = powers / powers.sum(axis=1, keepdims=True)
        return soft

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions with their rewards."""
        context, chance, logged, target = self.draw(rng, n)
        action = (rng.random(n)[:, None] > logged.cumsum(axis=1)).sum(axis=1)
        action = np.minimum(action, self.k - 1)
        rows = np.arange(n)
        batch = LoggedBatch.of(
            action=action,
            propensity=logged[rows, action],
            reward=(rng.random(n) < chance[rows, action]).astype(float),
            logged_pmf=logged,
            target_pmf=target,
            reward_range=(0.0, 1.0),
        )
        return Judged(batch, context, self.truth())

    def truth(self) -> float:
        """Value of the target, over 400,000 contexts (its error is under 0.0003)."""
        if self.name not in _TRUTHS:
            _, chance, _, target = self.draw(np.random.default_rng(1), 400_000)
            _TRUTHS[self.name] = float((chance * target).sum() / len(chance))
        return _TRUTHS[self.name]


_TRUTHS: dict[str, float] = {}

OVERLAP = LogWorld("G1 moderate overlap", 5, 4, 0.4, 1.0, 0.5, 0.8)
GREEDY = LogWorld("G2 ε-greedy log", 10, 5, -2.5, 1.0, None, None)
HEAVY = LogWorld("G3 heavy tails", 20, 5, 1.0, 0.7, 2.5, 1.0, floor=0.001)
SOFT = LogWorld("E1 logging against the target", 10, 5, 0.5, 1.0, -3.0, 6.0, informed=True)
FAR = LogWorld("E2 far against the target", 10, 5, 0.5, 1.0, -8.0, 8.0, informed=True)
NEAR = LogWorld("E3 logging near the target", 10, 5, 0.5, 1.0, 3.0, 8.0, informed=True)
WORLDS = (OVERLAP, GREEDY, HEAVY)
