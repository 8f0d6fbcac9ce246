"""Sample-ratio mismatch watched daily: exact chances, and a simulation beside them."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from scipy.special import gammaln, xlog1py, xlogy

from bandit.stats import srm
from bandit.stats.sequential import sequential_srm
from sims.scenarios.base import Figure, Scenario, exact, in_blocks, rate
from sims.scenarios.populations import Floats

DAYS = 28
PER_DAY = 500
LARGE = 5000
WEIGHTS: Mapping[str, float] = {"control": 1.0, "treatment": 1.0}
Rule = Callable[[int, int], bool]


@cache
def sequential_alarm(control_n: int, n: int) -> bool:
    """Whether `sequential_srm` calls so many of n units in the control a mismatch."""
    counts = {"control": control_n, "treatment": n - control_n}
    return sequential_srm(counts, WEIGHTS).verdict == "mismatch"


@cache
def chi_square_alarm(control_n: int, n: int) -> bool:
    """Whether `srm`, the chi-square at .001, does."""
    counts = {"control": control_n, "treatment": n - control_n}
    return srm(counts, WEIGHTS).verdict == "mismatch"


RULES: Mapping[str, Rule] = {"sequential": sequential_alarm, "chi-square": chi_square_alarm}


@cache
def least_quiet(rule: Rule, n: int) -> int:
    """The least count of a variant, up to n/2, at which a rule is quiet; n // 2 + 1 if none."""
    loud, quiet = -1, n // 2 + 1
    while quiet - loud > 1:
        middle = (loud + quiet) // 2
        loud, quiet = (middle, quiet) if rule(middle, n) else (loud, middle)
    return quiet


def chance_of_alarm(rule: Rule, per_day: int, share: float, days: int = DAYS) -> float:
    """Probability of an alarm on any of the days, without Monte-Carlo error.

    The distribution of the control's count among the runs without an alarm is carried from day to
    day; what a day's rule takes away are alarms.
    """
    step = binomial(per_day, share)
    quiet, alarms = np.ones(1), 0.0
    for day in range(1, days + 1):
        # By Fourier: 140,000 counts × 5,000 steps are too many products. Its error is about 1e-16.
        quiet = np.maximum(fftconvolve(quiet, step), 0.0)
        low = least_quiet(rule, day * per_day)
        # Counts are symmetric: the rule is as quiet at n − low as at low.
        for part in (slice(None, low), slice(day * per_day - low + 1, None)):
            alarms += float(quiet[part].sum())
            quiet[part] = 0.0
    return alarms


def binomial(n: int, p: float) -> Floats:
    """Probabilities of 0 … n successes."""
    k = np.arange(n + 1.0)
    log = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    found: Floats = np.exp(log + xlogy(k, p) + xlog1py(n - k, -p))
    return found


def watch(per_day: int, share: float, rng: np.random.Generator, runs_n: int) -> NDArray[np.int_]:
    """Runs with an alarm on any day, by rule."""
    counts = np.cumsum(rng.binomial(per_day, share, (runs_n, DAYS)), axis=1)
    sizes = per_day * np.arange(1, DAYS + 1)
    found = np.zeros(len(RULES), dtype=np.int_)
    for path in counts:
        days = list(zip(path.tolist(), sizes.tolist(), strict=True))
        found += [any(rule(count, n) for count, n in days) for rule in RULES.values()]
    return found


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """False alarms and mismatches found, exactly and as simulated."""
    figures = []
    for part, (per_day, share, what) in enumerate(
        (
            (PER_DAY, 0.5, "false alarms"),
            (PER_DAY, 0.51, "51/49 found"),
            (LARGE, 0.5, "false alarms"),
            (LARGE, 0.505, "50.5/49.5 found"),
        )
    ):
        name = f"{per_day:,} units a day: {what}"
        other = chance_of_alarm(chi_square_alarm, per_day, share)
        ours = chance_of_alarm(sequential_alarm, per_day, share)
        target = {"at_most": 0.015} if share == 0.5 else {"at_least": other}
        figures += [
            exact(f"{name}, sequential", ours, **target),
            exact(f"{name}, chi-square at .001", other),
        ]
        blocks = in_blocks(partial(watch, per_day, share), seed, repetitions, executor, part=part)
        hits = np.sum(blocks, axis=0).tolist()
        figures += [
            rate(f"{name}, {rule}, simulated", hit, repetitions)
            for rule, hit in zip(RULES, hits, strict=True)
        ]
    return figures


SRM = Scenario(
    name="srm",
    claim="Watched daily for four weeks, the sequential test of sample ratios alarms falsely as "
    "rarely as it should, and finds a small mismatch at least as often as chi-square at .001.",
    target="≤ 1.5 % false alarms in 28 daily looks; 51/49 found at least as often",
    repetitions=2000,
    short=50,
    study=study,
)
