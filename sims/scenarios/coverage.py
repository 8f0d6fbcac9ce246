"""One look: does the relative interval hold the truth, and does it miss on both sides alike?"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from bandit.stats import JointMoments, compare
from bandit.stats.relative import Scale
from sims.scenarios.base import Figure, Scenario, in_blocks, rate
from sims.scenarios.peeking import ALPHA
from sims.scenarios.populations import Conversion, Normal, Population, Revenue
from sims.scenarios.running import MEAN

CASES: tuple[tuple[Population, int, float], ...] = (
    (Normal(), 500, 0.0),
    (Conversion(), 500, 0.3),
    (Conversion(), 5000, 0.0),
    (Revenue(), 500, 0.0),
    (Revenue(), 500, 0.3),
    (Revenue(), 2000, 0.3),
    (Revenue(), 5000, 0.0),
)
"""Population, units per variant, true lift."""
SCALES: tuple[Scale, ...] = ("fieller", "log", "delta")


def look(
    population: Population, n: int, lift: float, rng: np.random.Generator, runs_n: int
) -> Counter[str]:
    """On which side of the truth the intervals lie that miss it."""
    found: Counter[str] = Counter()
    for _ in range(runs_n):
        control = JointMoments.of_columns(population.draw(rng, (n,)))
        treatment = JointMoments.of_columns(population.draw(rng, (n,), lift))
        estimate = MEAN.estimate(control, treatment)
        for scale in SCALES:
            effect = compare(estimate, alpha=ALPHA, relative=scale)
            low, high = effect.relative_ci_low, effect.relative_ci_high
            if low is None or high is None:
                found[f"{scale} none"] += 1
            else:
                found[f"{scale} below"] += high < lift
                found[f"{scale} above"] += low > lift
    return found


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Coverage and tails of each case; others' intervals beside ours."""
    figures = []
    for part, (population, n, lift) in enumerate(CASES):
        work = partial(look, population, n, lift)
        found = sum(in_blocks(work, seed, repetitions, executor, part=part), Counter())
        name = f"{population.name}, {n:,} per variant, lift {lift:.0%}"
        for scale in SCALES:
            given = repetitions - found[f"{scale} none"]
            below, above = found[f"{scale} below"], found[f"{scale} above"]
            if scale == "fieller":
                figures += [
                    rate(f"{name}: covers", given - below - above, given, at_least=0.94),
                    rate(f"{name}: lies below", below, given, at_least=0.015, at_most=0.035),
                    rate(f"{name}: lies above", above, given, at_least=0.015, at_most=0.035),
                ]
                if given < repetitions:
                    none = repetitions - given
                    figures.append(rate(f"{name}: no interval", none, repetitions))
            else:
                figures += [
                    rate(f"{name}: {scale} covers", given - below - above, given),
                    rate(f"{name}: {scale} lies below", below, given),
                ]
    return figures


ONE_LOOK = Scenario(
    name="one-look",
    claim="At one planned look a relative interval holds the true lift, and misses it on both "
    "sides alike, from 500 units per variant on, of skewed revenue too.",
    target="covers ≥ 94 %, each tail 1.5 to 3.5 %",
    repetitions=20_000,
    short=300,
    study=study,
)
