"""Looking after every pair of units: how often nothing is called something."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from bandit.stats import compare, delta
from bandit.stats.sequential import TUNED_FOR, compare_anytime, critical_value, mixture_precision
from sims.scenarios.base import Figure, Scenario, in_blocks, rate
from sims.scenarios.populations import Conversion, Floats, Normal, Population, Revenue
from sims.scenarios.running import (
    Paths,
    estimate_at,
    judged_at,
    leaves_out,
    most_extreme,
)

ALPHA = 0.05
PAIRS = 5000
FIRST = 50
"""Pairs at the first look: a sequence says nothing of fewer than 100 units."""
GUARDED = 100
"""Pairs from which the delta method is judged, as where its 17.7 % were measured."""
POPULATIONS: tuple[Population, ...] = (Normal(), Conversion(), Revenue())


def criticals(first: int, pairs: int, tuned_for: float = TUNED_FOR) -> Floats:
    """How many standard errors the sequence reaches after each pair."""
    precision = mixture_precision(tuned_for, ALPHA)
    return np.array([critical_value(2.0 * n, ALPHA, precision) for n in range(first, pairs + 1)])


def watch(population: Population, rng: np.random.Generator, paths_n: int) -> Counter[str]:
    """False alarms of paths without any effect, looked at after every pair."""
    control = population.draw(rng, (paths_n, PAIRS))
    treatment = population.draw(rng, (paths_n, PAIRS))
    paths, critical = Paths.of(control, treatment, FIRST), criticals(FIRST, PAIRS)
    late = GUARDED - FIRST
    delta_statistic = paths.delta_statistic
    worst = most_extreme(paths.statistic, critical)
    # Where the delta method is most wrong, ours is looked at, too.
    worst_delta = late + most_extreme(delta_statistic[:, late:], critical[late:])
    looks = [
        judged_at(control, treatment, paths, at, compare_anytime) for at in (worst, worst_delta)
    ]
    found: Counter[str] = Counter()
    for path, both in enumerate(zip(*looks, strict=True)):
        found["absolute"] += any(leaves_out(e.effect_ci_low, e.effect_ci_high) for e in both)
        found["relative"] += any(leaves_out(e.relative_ci_low, e.relative_ci_high) for e in both)
        at = int(worst_delta[path])
        effect, error = delta(estimate_at(control[path], treatment[path], FIRST + at))
        found["delta"] += abs(effect) > critical[at] * error
    fixed = judged_at(control, treatment, paths, np.argmax(paths.statistic, axis=1), compare)
    found["fixed"] += sum((e.p_value or 1.0) < ALPHA for e in fixed)
    return found


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """False alarms of each population, by how it is judged."""
    figures = []
    for number, population in enumerate(POPULATIONS):
        blocks = in_blocks(partial(watch, population), seed, repetitions, executor, part=number)
        found = sum(blocks, Counter())
        for what, at_most in (
            ("absolute", ALPHA),
            ("relative", ALPHA),
            ("delta", None),
            ("fixed", None),
        ):
            name = f"{population.name}: {WORDS[what]}"
            figures.append(rate(name, found[what], repetitions, at_most=at_most))
    return figures


WORDS = {
    "absolute": "sequence, absolute",
    "relative": "sequence, relative (Fieller)",
    "delta": "same sequence, relative by the delta method (GrowthBook, Eppo)",
    "fixed": "Welch's test at every look",
}

PEEKING = Scenario(
    name="peeking",
    claim="Looked at after every pair of units, a null is called an effect in at most 5 % of "
    "experiments, on both scales.",
    target=f"≤ 5 % false positives, looks after every pair from {FIRST} to {PAIRS:,} per variant",
    repetitions=4000,
    short=250,
    study=study,
)
