"""Would the default estimate be better, were it shrunk towards its reward model?

Between an unbiased estimate Y with standard error s and a model's value X of unknown bias b, the
mean squared error of X + c·(Y − X) is least at c = b² ÷ (b² + s²). Of b² the log tells
(Y − X)² − s², so c = 1 − s² ÷ (Y − X)², or 0 where that is negative: nothing is tuned.

It was tried after `ope-heldout` had shown where the default loses, in all worlds that there were,
and in two that were written down for it (N1, N2) before any number came out of them.

Source: Green & Strawderman (1991), "A James–Stein type estimator for combining unbiased and
possibly biased estimators"; Breiman (1995), "Better subset regression using the nonnegative
garrote". That no such rule is best for every bias, and what the best compromise costs: Armstrong,
Kline, Sun (2025), "Adapting to misspecification".
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtri, softmax

from bandit import ope
from sims.scenarios.base import Figure, Scenario, exact, in_blocks, mean
from sims.scenarios.ope_accuracy import errors_of
from sims.scenarios.ope_coverage import modelled
from sims.scenarios.ope_heldout_worlds import WORLDS as HELDOUT
from sims.scenarios.ope_heldout_worlds import Purchases, Rows, floored, greedy, judged
from sims.scenarios.ope_worlds import FAR, NEAR, SOFT, Array, Judged, World

SIZES = (1000, 10_000)
BLOCK = 20
OURS = ("default", "towards its calibrated model", "towards the model as fitted")
TARGETS: dict[str, dict[str, float]] = {
    NEAR.name: {"at_least": 0.0},
    Purchases().name: {"at_most": 0.0},
}


@dataclass(frozen=True)
class Popular:
    """30 items of unequal popularity and four kinds of users; a softmax log, a greedy target."""

    name: str = "N1 popular items"
    k: int = 30
    most: float = 1.0

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """`n` decisions."""
        fixed = np.random.default_rng(105)
        fame = 0.3 / np.arange(1, self.k + 1) ** 0.7
        liking = fixed.uniform(0.3, 1.7, size=(4, self.k))
        kind = rng.choice(4, size=n, p=[0.5, 0.25, 0.15, 0.1])
        chance = (fame * liking)[kind]
        believed: Array = np.asarray(fame * np.sqrt(liking[kind]), dtype=np.float64)
        return Rows(
            np.eye(4)[kind],
            (rng.random((n, self.k)) < chance).astype(float),
            chance,
            floored(softmax(12.0 * fame + np.zeros((n, self.k)), axis=1), 0.005),
            greedy(believed, 0.05),
        )

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions of the logging policy."""
        return judged(self, rng, n)


@dataclass(frozen=True)
class Doses:
    """Four doses; what each does is curved in what is known, so a linear model is wrong."""

    name: str = "N2 doses"
    k: int = 4
    most: float = 1.0

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """`n` decisions."""
        context = rng.normal(size=(n, 3))
        right = 1.5 + context[:, 0] + 0.5 * context[:, 1] ** 2
        misses = np.abs(np.arange(self.k)[None] - right[:, None])
        worth = np.exp(-(misses**2) / 2.0)
        rule = np.abs(np.arange(self.k)[None] - (1.5 + 0.8 * context[:, :1]))
        return Rows(
            context,
            np.clip(worth + 0.2 * rng.normal(size=worth.shape), 0.0, 1.0),
            _clipped_mean(worth, 0.2),
            greedy(-rule, 0.4),
            softmax(-3.0 * misses, axis=1),
        )

    def log(self, rng: np.random.Generator, n: int) -> Judged:
        """`n` decisions of the logging policy."""
        return judged(self, rng, n)


def _clipped_mean(middle: Array, spread: float) -> Array:
    """Mean of a normal reward that is cut at 0 and at 1, by 41 points of its quantiles."""
    z: Array = np.asarray(ndtri((np.arange(41) + 0.5) / 41))
    found: Array = np.mean([np.clip(middle + spread * each, 0.0, 1.0) for each in z], axis=0)
    return found


NEW: tuple[World, ...] = (Popular(), Doses())
WORLDS: tuple[World, ...] = (SOFT, FAR, NEAR, *HELDOUT, *NEW)


def shrunk(log: ope.LoggedBatch) -> dict[str, float]:
    """The default estimate, shrunk towards its own calibrated model, and towards its model."""
    terms = ope.CalibratedDr().terms(log)
    nothing = np.zeros(log.n)
    error = ope.Terms(nothing, terms.correction, terms.per, log.sampling, log.unit_code).std_error
    centres = (float(terms.direct.mean()), ope.Dm().terms(log).value)
    values = [terms.value, *(_combined(terms.value, error, centre) for centre in centres)]
    return dict(zip(OURS, values, strict=True))


def _combined(unbiased: float, std_error: float, biased: float) -> float:
    """X + (1 − s² ÷ (Y − X)²)₊ · (Y − X).

    >>> _combined(3.0, 1.0, 1.0), _combined(1.5, 1.0, 1.0)
    (2.5, 1.0)
    """
    gap = unbiased - biased
    share = max(0.0, 1.0 - (std_error / gap) ** 2) if gap else 0.0
    return biased + share * gap


def look(world: World, n: int, rng: np.random.Generator, runs_n: int) -> dict[str, list[float]]:
    """Squared errors of obp's eight and of ours, of `runs_n` logs."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs_n):
        judged_log = world.log(rng, n)
        log = modelled(judged_log, world.k)
        for name, error in errors_of(judged_log, log, world.k).items():
            if name not in OURS:
                found[name].append(error)
        for name, value in shrunk(log).items():
            found[name].append((value - judged_log.truth) ** 2)
    return dict(found)


def column(world: World, n: int, found: Mapping[str, Sequence[float]]) -> list[Figure]:
    """Mean squared errors ÷ the best of eight, and of those shrunk beside the default's, paired."""
    errors = {name: np.array(each) for name, each in found.items()}
    best = min(
        (one for one in errors if one not in OURS), key=lambda one: float(errors[one].mean())
    )
    scale = max(float(errors[best].mean()), 1e-300)
    cell, mine = f"{world.name}, n = {n:,}", errors[OURS[0]]
    figures = [
        exact(f"beside it: {cell}: {name} ÷ {best}, the best", float(errors[name].mean()) / scale)
        for name in OURS
    ]
    target = TARGETS.get(world.name, {})
    beside = "" if target else "beside it: "
    return figures + [
        mean(
            f"{beside}{cell}: (shrunk {name} − default) ÷ default",
            (errors[name] - mine) / max(float(mine.mean()), 1e-300),
            **target,
        )
        for name in OURS[1:]
    ]


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """The columns of all worlds."""
    figures: list[Figure] = []
    for place, (world, n) in enumerate((w, n) for w in WORLDS for n in SIZES):
        if (runs_n := min(repetitions, repetitions * 2500 // n)) < 4:
            continue
        blocks = in_blocks(partial(look, world, n), seed, runs_n, executor, part=place, block=BLOCK)
        joined: dict[str, list[float]] = defaultdict(list)
        for block in blocks:
            for name, each in block.items():
                joined[name] += each
        figures += column(world, n, joined)
    return figures


OPE_SHRINKAGE = Scenario(
    name="ope-shrinkage",
    claim="Shrinking the default estimate towards its reward model, by what the log tells of the "
    "model's bias, is no free gain: it helps where the model happens to be right enough (H4) and "
    "harms where it is a little wrong and the log judges well (E3).",
    target="squared error no more than the default's in H4, no less in E3",
    repetitions=400,
    short=4,
    study=study,
)
