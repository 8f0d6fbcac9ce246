"""Who plays in worlds: our policies as they serve, and peers behind the same small contract."""

from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from bandit.policies import LearningPolicy, Lesson, build, check_spec, with_floor
from bandit.specs import PolicySpec
from sims.worlds.base import Round, World

Floats = npt.NDArray[np.float64]

SURFACE = "simulation"


class Learner(Protocol):
    """Decides rounds and learns from them.

    It is handed whole rounds and may look at `unit_id`, `context` and `actions` only: the rest is
    the truth.
    """

    def pmf(self, this: Round) -> Floats | Sequence[float]:
        """`(k,)` probabilities over the round's actions, floor included; what is drawn from."""
        ...

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """Learn from one round.

        Args:
            this: Which.
            drawn: Index of its action that was drawn.
            propensity: With which it was drawn.
            reward: What arrived for it, which may be late, or not the truth.
        """
        ...


class Contender(Protocol):
    """What can be run in a world: pickled into processes, built once for each seed.

    A `PolicySpec` is one by `contender_of`. A peer's adapter is a frozen dataclass or named tuple
    with its parameters as fields: `repr` tells two contenders apart when a run is resumed.
    """

    @property
    def key(self) -> str:
        """Its name in tables; every contender of a run has another one."""
        ...

    def learner(self, world: World, seed: int) -> Learner:
        """An untrained learner.

        Args:
            world: Where it will play; of a `BatchWorld` it may ask `actions` and `features`.
            seed: Of its own randomness, if it has any: it must be a function of this alone.
        """
        ...


@runtime_checkable
class Digested(Protocol):
    """A learner that can tell its weights apart."""

    def digest(self) -> str:
        """SHA-256 over the weights, in hex; empty if there are none."""
        ...


class Served:
    """A declared policy, asked and taught by the functions that serve."""

    def __init__(self, spec: PolicySpec) -> None:
        self._floor = spec.floor
        self._policy = build(spec)
        self._learner = cast("LearningPolicy", self._policy) if spec.learns else None

    def pmf(self, this: Round) -> list[float]:
        """With the floor mixed in."""
        return with_floor(self._policy.pmf(this.context, this.actions), self._floor)

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """Teach the policy one lesson; one that does not learn ignores it."""
        if self._learner is not None:
            self._learner.learn(
                Lesson(
                    context=this.context,
                    actions=this.actions,
                    drawn=drawn,
                    propensity=propensity,
                    reward=reward,
                )
            )

    def digest(self) -> str:
        """Of the policy's weights; empty for a policy that does not learn."""
        return self._learner.digest() if self._learner is not None else ""


class Declared:
    """A `PolicySpec` as a contender.

    Raises:
        BadSpec: It can not be served.
    """

    def __init__(self, spec: PolicySpec) -> None:
        check_spec(spec)
        self.spec = spec

    def __repr__(self) -> str:
        return repr(self.spec)

    @property
    def key(self) -> str:
        """The policy's own."""
        return self.spec.key

    def learner(self, world: World, seed: int) -> Served:
        """Untrained; the seed counts for nothing, because its draws are the runner's."""
        return Served(self.spec)


def contender_of(what: PolicySpec | Contender) -> Contender:
    """A contender as it is; a spec as one.

    Raises:
        BadSpec: The spec can not be served.
    """
    return Declared(what) if isinstance(what, PolicySpec) else what
