"""After a bandit: plain means mislead, means of scores with the logged propensities do not."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cache, partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.stats import (
    Effect,
    JointMoments,
    action_weights,
    aipw_scores,
    compare,
    running_means,
    weighted_means,
)
from bandit.stats.adaptive import Kind, effective_draws
from bandit.stats.sequential import anytime_mean, critical_value, mixture_precision
from bandit.stats.sequential.scores import FIRST_DRAWS
from sims.scenarios.base import Figure, Scenario, exact, in_blocks, mean, rate
from sims.scenarios.peeking import ALPHA
from sims.scenarios.populations import Floats
from sims.scenarios.running import MEAN, leaves_out
from sims.scenarios.thompson import Design, run

DECISIONS = 1000
FIRST = 50
FIXED = 1.96
"""Standard errors of an interval for one look."""
DESIGNS = (
    Design("3 equal actions, floor .01", (1.0, 1.0, 1.0), 0.01),
    Design("3 equal actions, floor t^-.7/3", (1.0, 1.0, 1.0)),
    Design("actions .9, 1.0, 1.1, floor t^-.7/3", (0.9, 1.0, 1.1)),
    Design("2 equal actions, floor .01", (1.0, 1.0), 0.01),
)
KINDS: tuple[Kind, ...] = ("uniform", "stable_variance", "two_point")
WAYS = ("plain", *KINDS)


class Log(NamedTuple):
    """One run's log."""

    arms: NDArray[np.int_]
    rewards: Floats
    propensities: Floats

    @property
    def scores(self) -> Floats:
        """AIPW scores of every action, predicted by what it had earned before."""
        k = self.propensities.shape[1]
        predictions = running_means(self.arms, self.rewards, k)
        return aipw_scores(self.arms, self.rewards, self.propensities, predictions)

    def differences(self) -> list[list[Effect]]:
        """Effect of each pair of actions, in each of `WAYS`."""
        k = self.propensities.shape[1]
        rows = [self.rewards[self.arms == w] for w in range(k)]
        plain, drawn = [JointMoments.of_columns(of) for of in rows], [of.size for of in rows]
        scores, found, pairs = self.scores, [], list(combinations(range(k), 2))
        found.append([compare(MEAN.estimate(plain[i], plain[j]), alpha=ALPHA) for i, j in pairs])
        for kind in KINDS:
            weights = action_weights(self.propensities, kind)
            means = weighted_means(scores, weights, kind=kind)
            worth = effective_draws(self.arms, self.propensities, weights)
            found.append(
                [compare(means.estimate(i, j, drawn, worth), alpha=ALPHA) for i, j in pairs]
            )
        return found


def judge(design: Design, rng: np.random.Generator, runs_n: int) -> Floats:
    """Share of pairs covered, and mean width, of each run in each way, `(runs, ways, 2)`."""
    logs = run(design, rng, runs_n, DECISIONS)
    truth = [b - a for a, b in combinations(design.means, 2)]
    table = np.empty((runs_n, len(WAYS), 2))
    for number, log in enumerate(zip(*logs, strict=True)):
        for way, effects in enumerate(Log(*log).differences()):
            ends = [(e.effect_ci_low, e.effect_ci_high) for e in effects]
            misses = [leaves_out(*pair, true) for pair, true in zip(ends, truth, strict=True)]
            widths = [high - low for low, high in ends if low is not None and high is not None]
            # A pair of which one action was drawn once at most has no plain interval.
            table[number, way] = 1.0 - np.mean(misses), np.mean(widths) if widths else np.nan
    return table


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Coverage of the differences between actions after each design."""
    figures = []
    for part, design in enumerate(DESIGNS):
        table = np.concatenate(
            in_blocks(partial(judge, design), seed, repetitions, executor, part=part)
        )
        covered, width = table[:, :, 0], np.nanmean(table[:, :, 1], axis=0)
        figures += [
            mean(f"{design.name}: AIPW covers", covered[:, 1], at_least=0.93),
            mean(f"{design.name}: plain means cover", covered[:, 0]),
        ]
        for way in (2, 3):
            name = f"{design.name}: {WAYS[way]} weights"
            figures += [
                mean(f"{name} cover", covered[:, way]),
                exact(f"{name}, width ÷ AIPW's", float(width[way] / width[1])),
            ]
    return figures


@cache
def criticals() -> Floats:
    """How many standard errors the sequence of scores reaches after each decision."""
    precision = mixture_precision(DECISIONS, ALPHA)
    sizes = range(FIRST, DECISIONS + 1)
    return np.array([critical_value(float(n), ALPHA, precision) for n in sizes])


def draws_so_far(log: Log) -> Floats:
    """`effective_draws` of the less drawn of the first two actions after each decision."""
    rows = np.zeros_like(log.propensities)
    at = np.arange(log.arms.size)
    rows[at, log.arms] = 1.0 / log.propensities[at, log.arms]
    squares = np.cumsum(rows**2, axis=0)
    worth = np.divide(
        np.cumsum(rows, axis=0) ** 2, squares, out=np.zeros_like(rows), where=squares > 0.0
    )
    least: Floats = worth[:, :2].min(axis=1)
    return least


def watch(design: Design, rng: np.random.Generator, runs_n: int) -> NDArray[np.int_]:
    """Runs whose first difference is ever left out, ever given, and left out by a fixed test."""
    logs = run(design, rng, runs_n, DECISIONS)
    truth = design.means[1] - design.means[0]
    n, found = np.arange(FIRST, DECISIONS + 1, dtype=np.float64), np.zeros(3, dtype=np.int_)
    for rows in zip(*logs, strict=True):
        log = Log(*rows)
        gaps = log.scores[:, 1] - log.scores[:, 0]
        means = np.cumsum(gaps - truth)[FIRST - 1 :] / n
        squares = np.cumsum((gaps - truth) ** 2)[FIRST - 1 :] / n
        errors = np.sqrt(np.maximum(squares - means**2, 1e-12) / (n - 1.0))
        enough = draws_so_far(log)[FIRST - 1 :] >= FIRST_DRAWS
        z = np.where(enough, np.abs(means) / errors, 0.0)
        # The look that is farthest beyond the sequence is the one that has to hold.
        at = FIRST + int(np.argmax(z / criticals()))
        worth = min(effective_draws(log.arms[:at], log.propensities[:at])[:2])
        look = anytime_mean(gaps[:at], alpha=ALPHA, tuned_for=DECISIONS, draws=worth)
        missed = leaves_out(look.effect_ci_low, look.effect_ci_high, truth)
        found += missed, look.reason is None, bool(z.max() > FIXED)
    return found


def anytime_study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """How often a sequence of scores holds the difference at every look together."""
    figures = []
    for part, design in enumerate(DESIGNS):
        blocks = in_blocks(partial(watch, design), seed, repetitions, executor, part=part)
        missed, given, fixed = np.sum(blocks, axis=0).tolist()
        figures += [
            rate(
                f"{design.name}: holds at every look",
                repetitions - missed,
                repetitions,
                at_least=0.95,
            ),
            rate(f"{design.name}: has an interval at any look", given, repetitions),
            rate(
                f"{design.name}: 1.96 standard errors hold at every look",
                repetitions - fixed,
                repetitions,
            ),
        ]
    return figures


ADAPTIVE = Scenario(
    name="adaptive",
    claim="After Thompson sampling, differences between actions from the logged propensities are "
    "covered as they should be; plain means are not.",
    target="AIPW intervals cover ≥ 93 % (plain means of equal actions 87 to 92 %)",
    repetitions=2000,
    short=50,
    study=study,
)
ADAPTIVE_ANYTIME = Scenario(
    name="adaptive-anytime",
    claim="After Thompson sampling, a sequence of scores holds the difference of two actions at "
    "every look together.",
    target=f"holds ≥ 95 %, looks after every decision from {FIRST} to {DECISIONS:,}",
    repetitions=2000,
    short=50,
    study=anytime_study,
)
