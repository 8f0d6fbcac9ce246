"""Another policy's value from our own log of rankings: unbiased, and do the intervals cover?

The log is made by the functions that serve: a policy that learns while it serves draws rankings of
three slots, users look down and stop at their first click. The truth is added up over all rankings.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import cache
from itertools import permutations
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from bandit.ope import CascadeDr, Rips, Sips, SlateBatch, cressie_read_slates, student_t
from bandit.ope.terms import Terms
from bandit.policies import LearningPolicy, build
from sims.scenarios.base import Figure, Scenario, exact, in_blocks, mean, rate
from sims.slots import (
    FLOOR_OF_LOG,
    Chooser,
    Tilted,
    asked_of,
    chances_of,
    draw,
    lessons_of,
    small_worlds,
    spec_of,
    true_values,
)
from sims.worlds.slots import SlotRound, SlotWorld

ROUNDS_N = 1000
BLOCK = 5
TARGET = spec_of("shared")
Array = npt.NDArray[np.float64]


class PastMeans:
    """Clicks on a slot by segment and action, of the rankings so far; no row has seen itself."""

    def __init__(self, slots_n: int, actions_n: int) -> None:
        self._clicks: dict[bytes, Array] = defaultdict(lambda: np.full((slots_n, actions_n), 0.5))
        self._shown: dict[bytes, Array] = defaultdict(lambda: np.full((slots_n, actions_n), 3.0))

    def add(self, this: SlotRound, ranking: Sequence[int], clicks: Sequence[float]) -> None:
        """Learn from one ranking."""
        for slot, (action, click) in enumerate(zip(ranking, clicks, strict=True)):
            self._clicks[this.context][slot, action] += click
            self._shown[this.context][slot, action] += 1.0

    def of(self, this: SlotRound) -> Array:
        """`(slots, actions)` clicks that a slot gets with an action."""
        means: Array = self._clicks[this.context] / self._shown[this.context]
        return means


def log_of(world: SlotWorld, seed: int) -> SlateBatch:
    """A log of `ROUNDS_N` rankings with the target's chances, and a model of each slot."""
    for_rounds, for_ids, for_clicks = np.random.default_rng(seed).spawn(3)
    spec, target = spec_of("shared", FLOOR_OF_LOG), Tilted()
    policy, chooser = cast("LearningPolicy", build(spec)), Chooser(for_ids)
    every = world.every_round()
    model = PastMeans(world.slots_n, len(every[0].actions))
    rows: dict[str, list[Sequence[float]]] = defaultdict(list)
    for _ in range(ROUNDS_N):
        this = every[int(for_rounds.integers(len(every)))]
        drawn = draw(asked_of(policy, spec, this), this, world.slots_n, chooser.seed())
        ranking = list(drawn.ranking)
        clicks = this.model.clicks(this.appeals(ranking), for_clicks)
        pmf = np.array(target.pmf(this.context, this.actions))
        rows["propensity"].append(drawn.propensities)
        rows["target"].append(chances_of(asked_of(target, TARGET, this), this, ranking))
        rows["reward"].append(clicks)
        worth, slots = model.of(this), range(world.slots_n)
        rows["predicted"].append([worth[slot, ranking[slot]] for slot in slots])
        rows["direct"].append([_expected(pmf, worth[slot], ranking[:slot]) for slot in slots])
        model.add(this, ranking, clicks)
        for lesson in lessons_of(spec, this, drawn, clicks):
            policy.learn(lesson)
    return SlateBatch.of(**rows)


def _expected(pmf: Array, worth: Array, above: Sequence[int]) -> float:
    """What the target's next draw is worth, of what the slots above leave."""
    left = pmf.copy()
    left[list(above)] = 0.0
    return float(left @ worth / left.sum())


def terms_of(log: SlateBatch) -> Mapping[str, Terms]:
    """The whole ranking's value, and each slot's, one contribution a ranking."""
    found = {"rips": Rips().terms(log), "cascade_dr": CascadeDr().terms(log)}
    found["beside it: sips"] = Sips().terms(log)
    found["beside it: sn_rips"] = Rips(normalised=True).terms(log)
    earned = log.cumulative * log.reward
    for slot in range(earned.shape[1]):
        ones = np.ones((1, len(earned)))
        found[f"slot {slot}"] = Terms(np.zeros(len(earned)), earned[:, slot][None], ones)
    return found


class Known(NamedTuple):
    """What is known before any log.

    Attributes:
        truths: The target's true clicks on each slot.
        bounds: The greatest weight of each slot's draw: the target's greatest chance of an action,
            given any above, ÷ the least that the floor leaves the log.
    """

    world: SlotWorld
    truths: tuple[float, ...]
    bounds: tuple[float, ...]


@cache
def cascade() -> Known:
    """The world of the study."""
    [world] = [one for one in small_worlds() if one.name == "cascade"]
    target = Tilted()
    chances = [
        chances_of(asked_of(target, TARGET, this), this, ranking)
        for this in world.every_round()
        for ranking in permutations(range(len(this.actions)), world.slots_n)
    ]
    least = [FLOOR_OF_LOG / (1.0 - slot * FLOOR_OF_LOG) for slot in range(world.slots_n)]
    bounds = [max(each) / p for each, p in zip(zip(*chances, strict=True), least, strict=True)]
    return Known(world, tuple(true_values(world, TARGET, target)), tuple(bounds))


def look(rng: np.random.Generator, runs_n: int) -> dict[str, list[tuple[float, bool, float]]]:
    """Estimate less truth, whether the interval holds it, and its width, of each estimator."""
    world, truths, bounds = cascade()
    found: dict[str, list[tuple[float, bool, float]]] = defaultdict(list)
    for _ in range(runs_n):
        log = log_of(world, int(rng.integers(2**32)))
        for name, terms in terms_of(log).items():
            slot = int(name[5:]) if name.startswith("slot") else None
            truth = math.fsum(truths) if slot is None else truths[slot]
            one = student_t(terms)
            if name == "rips" or slot is not None:
                one = cressie_read_slates(
                    log, reward_range=(0.0, 1.0), weight_bounds=bounds, slot=slot
                )
            found[name].append((terms.value - truth, one.low <= truth <= one.high, one.width))
    return dict(found)


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Bias, coverage and width of each estimator."""
    joined: dict[str, list[tuple[float, bool, float]]] = defaultdict(list)
    for block in in_blocks(look, seed, repetitions, executor, block=BLOCK):
        for name, runs in block.items():
            joined[name] += runs
    figures = []
    for name, runs in joined.items():
        errors, hits, widths = zip(*runs, strict=True)
        bias = np.array(errors)
        z = float(bias.mean()) / (float(bias.std(ddof=1)) / math.sqrt(len(bias)))
        least = None if name.startswith("beside") else 0.93
        limit = None if name.startswith("beside") else 3.0
        figures += [
            mean(f"{name}: bias × 1,000", bias * 1e3),
            exact(f"{name}: |bias| in standard errors", abs(z), at_most=limit),
            rate(f"{name}: covers", sum(hits), len(hits), at_least=least),
            mean(f"{name}: is wide", widths),
        ]
    return figures


OPE_SLATES = Scenario(
    name="ope-slates",
    claim="Our own log of rankings judges another policy without bias, slot by slot and as a "
    "whole, and the intervals hold the truth.",
    target="bias within 3 standard errors; intervals cover ≥ 93 %",
    repetitions=800,
    short=4,
    study=study,
)
