"""What early looks cost: power with planned looks and with looks at any time, and width."""

import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cache, partial

import numpy as np
from scipy.special import ndtri

from bandit.stats import Effect, Estimate, JointMoments, compare
from bandit.stats.sequential import compare_anytime, compare_planned
from sims.scenarios.base import Figure, Scenario, exact, in_blocks, mean, rate
from sims.scenarios.peeking import ALPHA, FIRST, PAIRS, POPULATIONS, criticals
from sims.scenarios.populations import Floats, Normal, Population
from sims.scenarios.running import (
    MEAN,
    Paths,
    judged_at,
    leaves_out,
    most_extreme,
)

POWER = 0.8
"""Of the fixed test at the end."""
LOOKS = 10
FRACTIONS = tuple((look + 1) / LOOKS for look in range(LOOKS))
TUNED_FOR = 2.0 * PAIRS
"""Units of both variants at the end: what an experiment of that length would be tuned for."""
CHECKED = 50
"""Of so many paths one is judged by `compare_planned` at every look."""


def lift_for(power: float, pairs: int, sd: float = 1.0) -> float:
    """Effect that a fixed two-sided test of so many pairs finds with `power`."""
    drift = float(ndtri(1.0 - ALPHA / 2.0) + ndtri(power))
    return drift * sd * math.sqrt(2.0 / pairs)


def leaves_out_zero(effect: Effect) -> bool:
    """Whether the interval of the effect does."""
    return leaves_out(effect.effect_ci_low, effect.effect_ci_high)


@cache
def bounds() -> tuple[float, ...]:
    """|z| at which each planned look stops: half the width of its interval in standard errors."""
    found = []
    for look in range(1, LOOKS + 1):
        pairs = round(PAIRS * FRACTIONS[look - 1])
        known = Estimate(
            n=(pairs, pairs),
            values=(1.0, 1.0),
            covariance=((1.0 / pairs, 0.0), (0.0, 1.0 / pairs)),
            dfs=(pairs - 1.0, pairs - 1.0),
            kind="mean",
        )
        effect = compare_planned(known, FRACTIONS[:look], alpha=ALPHA, looks=LOOKS)
        found.append((effect.effect_ci_high or 0.0) / (effect.std_error or 1.0))
    return tuple(found)


def stages(rows: Floats) -> list[list[JointMoments]]:
    """Moments of each path after each planned look; the looks' own moments are added up."""
    paths = []
    for path in rows:
        kept: list[JointMoments] = []
        for part in np.split(path, LOOKS):
            new = JointMoments.of_columns(part)
            kept.append(kept[-1] + new if kept else new)
        paths.append(kept)
    return paths


def plan(
    population: Population, lift: float, rng: np.random.Generator, paths_n: int
) -> Counter[str]:
    """Which paths stop at a planned look, and which a fixed test at the end finds."""
    control = stages(population.draw(rng, (paths_n, PAIRS)))
    treatment = stages(population.draw(rng, (paths_n, PAIRS), lift))
    found: Counter[str] = Counter()
    for path, sides in enumerate(zip(control, treatment, strict=True)):
        looks = [MEAN.estimate(*pair) for pair in zip(*sides, strict=True)]
        crossed = [
            e.usable and abs(e.effect) >= bound * e.std_error
            for e, bound in zip(looks, bounds(), strict=True)
        ]
        if path % CHECKED == 0:
            check_looks(looks, crossed)
        stop = crossed.index(True) if any(crossed) else LOOKS - 1
        found["pairs"] += round(PAIRS * FRACTIONS[stop])
        count(found, any(crossed), leaves_out_zero(compare(looks[-1], alpha=ALPHA)))
    return found


def count(found: Counter[str], early: bool, late: bool) -> None:
    """Count one path: found by early looks, by the fixed test at the end."""
    found["early"] += early
    found["fixed"] += late
    found["only early"] += early and not late
    found["only fixed"] += late and not early


def beside_fixed(name: str, found: Counter[str], n: int, at_least: float) -> Figure:
    """Power where a fixed test of the same paths has .80.

    .80 + the mean difference of the two on the same paths: that of the fixed test is known, so its
    chance in this study is taken out of the other's.

    Source: Glasserman (2003), "Monte Carlo methods in financial engineering", sec. 4.1 (control
    variates, with slope 1).
    """
    won, lost = found["only early"], found["only fixed"]
    gains = np.repeat([1.0, -1.0, 0.0], [won, lost, n - won - lost])
    return mean(name, POWER + gains, at_least=at_least)


def check_looks(looks: Sequence[Estimate], crossed: Sequence[bool]) -> None:
    """Refuse a look that `compare_planned` decides otherwise."""
    for number, (estimate, stopped) in enumerate(zip(looks, crossed, strict=True), 1):
        effect = compare_planned(estimate, FRACTIONS[:number], alpha=ALPHA, looks=LOOKS)
        if leaves_out_zero(effect) != stopped:
            raise ArithmeticError(
                f"look {number} is {effect}, must be as its bound says: {stopped}"
            )


def planned_study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Power and level of ten planned looks."""
    lift = lift_for(POWER, PAIRS)
    found = sum(
        in_blocks(partial(plan, Normal(), lift), seed, repetitions, executor, block=100), Counter()
    )
    figures = [
        beside_fixed("power, 10 planned looks", found, repetitions, 0.78),
        rate("the same, counted", found["early"], repetitions),
        rate("power, fixed test at the end", found["fixed"], repetitions),
        exact("mean pairs at the stop", found["pairs"] / repetitions),
    ]
    fewer = max(repetitions // 4, 1)
    for part, population in enumerate(POPULATIONS, 1):
        blocks = in_blocks(
            partial(plan, population, 0.0), seed, fewer, executor, part=part, block=100
        )
        hits = sum(block["early"] for block in blocks)
        figures.append(rate(f"false positives, {population.name}", hits, fewer))
    return figures


def watch(lift: float, tuned_for: float, rng: np.random.Generator, paths_n: int) -> Counter[str]:
    """Which paths a sequence finds at any look, and a fixed test at the end."""
    population = Normal()
    control = population.draw(rng, (paths_n, PAIRS))
    treatment = population.draw(rng, (paths_n, PAIRS), lift)
    paths = Paths.of(control, treatment, FIRST)
    critical = criticals(FIRST, PAIRS, tuned_for)
    beyond = paths.statistic > critical
    # The look of its first crossing, or the one that comes nearest.
    at = np.where(
        beyond.any(axis=1), beyond.argmax(axis=1), most_extreme(paths.statistic, critical)
    )
    ends = np.full(paths_n, PAIRS - FIRST)
    anytime = partial(compare_anytime, alpha=ALPHA, tuned_for=tuned_for)
    crossed = [leaves_out_zero(e) for e in judged_at(control, treatment, paths, at, anytime)]
    fixed = judged_at(control, treatment, paths, ends, partial(compare, alpha=ALPHA))
    found: Counter[str] = Counter()
    for look, early, late in zip(at, crossed, map(leaves_out_zero, fixed), strict=True):
        found["pairs"] += FIRST + int(look) if early else PAIRS
        count(found, early, late)
    return found


def open_ended_study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Power of looking after every pair, tuned for the length or left as it is."""
    figures = []
    lift = lift_for(POWER, PAIRS)
    for part, (name, tuned_for) in enumerate(
        (("tuned for its length", TUNED_FOR), ("default tuning", TUNED_FOR / 2.0))
    ):
        work = partial(watch, lift, tuned_for)
        found = sum(in_blocks(work, seed, repetitions, executor, part=part), Counter())
        figures += [
            beside_fixed(f"power at any look, {name}", found, repetitions, 0.54),
            rate("the same, counted", found["early"], repetitions),
            rate("power, fixed test at the end", found["fixed"], repetitions),
            exact("mean pairs at the stop", found["pairs"] / repetitions),
        ]
    return figures


def widths(population: Population, rng: np.random.Generator, paths_n: int) -> list[list[float]]:
    """Width of the sequence ÷ width of the fixed interval at the tuned size, on both scales."""
    found = []
    for _ in range(paths_n):
        estimate = MEAN.estimate(
            *(JointMoments.of_columns(population.draw(rng, (PAIRS,))) for _ in range(2))
        )
        sequence = compare_anytime(estimate, alpha=ALPHA, tuned_for=TUNED_FOR)
        fixed = compare(estimate, alpha=ALPHA)
        found.append([a / b for a, b in zip(_widths(sequence), _widths(fixed), strict=True)])
    return found


def _widths(effect: Effect) -> tuple[float, float]:
    assert effect.effect_ci_low is not None
    assert effect.effect_ci_high is not None
    assert effect.relative_ci_low is not None
    assert effect.relative_ci_high is not None
    return (
        effect.effect_ci_high - effect.effect_ci_low,
        effect.relative_ci_high - effect.relative_ci_low,
    )


def width_study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Widths at the tuned size."""
    figures = []
    for part, population in enumerate(POPULATIONS):
        blocks = in_blocks(partial(widths, population), seed, repetitions, executor, part=part)
        table = np.array([row for block in blocks for row in block])
        name = f"{population.name}: sequence ÷ fixed, "
        figures.append(mean(name + "absolute", table[:, 0], at_most=1.55))
        # Fieller's widths grow faster than the multiple, the more so the noisier the control is.
        figures.append(mean("" + name + "relative", table[:, 1]))
    return figures


PLANNED = Scenario(
    name="planned-looks",
    claim="Ten planned looks cost next to no power.",
    target="power ≥ .78 where a fixed test of the same size has .80",
    repetitions=10_000,
    short=300,
    study=planned_study,
)
OPEN_ENDED = Scenario(
    name="open-ended",
    claim="Whoever looks after every pair of units still finds more than half of what one look at "
    "the end finds with .80.",
    target="power ≥ .54 at the tuned size",
    repetitions=10_000,
    short=300,
    study=open_ended_study,
)
WIDTH = Scenario(
    name="width",
    claim="An interval that holds at any time is about half as wide again as one for one look.",
    target="width ≤ 1.55 × fixed at the tuned size",
    repetitions=1000,
    short=50,
    study=width_study,
)
