"""A/A check: a surface's own units, split at random again and again, judged as reports judge.

Two halves of the same units differ by chance alone, so whatever is called an effect is a false
alarm: of the metric's distribution (a few units with nearly all of the revenue), or of our
formulas. Units are split by the very hash that assigns them, with a salt of each split's own. What
it can not find are units that are none (one person under several ids): they are split one by one
here, too.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bandit.assign.hashing import bucket
from bandit.records import Record
from bandit.service.judging_estimates import Comparison
from bandit.service.judging_tests import anytime, fixed
from bandit.specs.base import BUCKETS
from bandit.stats import Effect, JointMoments
from bandit.store.numbers import MetricNumbers
from bandit.store.unit_rows import MetricRows
from sims.scenarios.base import Figure, rate

SIDES = ("control", "treatment")
LEAST_UNITS = 200
"""Below it a split has fewer than 100 units a side: too few to check an approximation by."""
ALARM = 0.001
"""A check alarms if what it sees, or worse, has a smaller chance than this where all is well."""
Why = Literal["few_units", "quantile", "no_variance"]


class AaMetric(Record, frozen=True, kw_only=True):
    """What random splits made of one metric.

    Attributes:
        metric: Its key.
        units_n: Units that count for it.
        one_look: Share of splits that a test at the end calls an effect.
        peeking: Share that the intervals for any time call one at any of the looks.
        peeking_fixed: The same of the test for one look: what peeking would cost.
        uniformity_p: Of the p-values at the end being uniform (Kolmogorov–Smirnov).
        verdict: `fine`; `too_many` false alarms, or p-values that are small too often; `timid`: too
            seldom, so that less is found than could be; `unknown` with a reason.
        reason: `few_units`, `no_variance`, or `quantile`, which has no moments to split.
    """

    metric: str
    units_n: int
    one_look: Figure | None = None
    peeking: Figure | None = None
    peeking_fixed: Figure | None = None
    uniformity_p: float | None = None
    verdict: Literal["fine", "too_many", "timid", "unknown"]
    reason: Why | None = None


class AaReport(Record, frozen=True, kw_only=True):
    """An A/A check.

    Attributes:
        of: Key of the surface or experiment.
        since_ms, as_of_ms: Units that came from then on, and what was known of them at the end.
        alpha: Nominal rate of false alarms.
        splits, looks, seed: How often it was split, how often each split was looked at.
        metrics: One result each.
    """

    of: str
    since_ms: int
    as_of_ms: int
    alpha: float
    splits: int
    looks: int
    seed: int
    metrics: tuple[AaMetric, ...]

    @property
    def alarms(self) -> bool:
        """Whether anything is wrong."""
        return any(found.verdict == "too_many" for found in self.metrics)


class Split(NamedTuple):
    """One split's effects.

    Attributes:
        p_value: At the end; None if there is no test.
        called: By the test at the end.
        called_anytime, called_fixed: At any look, by intervals for any time and by that test.
    """

    p_value: float | None
    called: bool
    called_anytime: bool
    called_fixed: bool


def check_metric(
    found: MetricRows,
    *,
    splits: int,
    looks: int,
    seed: int,
    alpha: float = 0.05,
    watch: Callable[[], None] = lambda: None,
) -> AaMetric:
    """Split the units of one metric again and again.

    A look takes the units that came first, each with its number of today, so that what a look says
    is what a report of then would have said if units bring all they bring at once.

    Args:
        found: Units with their numbers, in the order in which they came.
        splits: How many.
        looks: Equally spaced over the units; the last one is the end.
        seed: Of the salts.
        alpha: Nominal rate.
        watch: Called after each split.
    """
    n, key = len(found.unit_ids), found.metric.key
    if n < LEAST_UNITS:
        return AaMetric(metric=key, units_n=n, verdict="unknown", reason="few_units")
    if np.all(found.rows[:, 0] == found.rows[0, 0]):
        return AaMetric(metric=key, units_n=n, verdict="unknown", reason="no_variance")
    sums = Sums.of(found.rows, looks)
    done = []
    for number in range(splits):
        treated = sides(found.unit_ids, f"aa:{seed}:{number}")
        done.append(judge_split(found, sums, treated, alpha))
        watch()
    p_values = [split.p_value for split in done if split.p_value is not None]
    one_look = sum(split.called for split in done)
    peeking = sum(split.called_anytime for split in done)
    return AaMetric(
        metric=key,
        units_n=n,
        one_look=rate("one look", one_look, splits, at_most=alpha),
        peeking=rate("peeking", peeking, splits, at_most=alpha),
        peeking_fixed=rate("peeking", sum(split.called_fixed for split in done), splits),
        uniformity_p=uniformity(p_values),
        verdict=verdict_of(max(one_look, peeking), splits, alpha, p_values),
    )


def verdict_of(
    hits: int, splits: int, alpha: float, p_values: Sequence[float]
) -> Literal["fine", "too_many", "timid"]:
    """What so many called splits, and these p-values, say of the intervals.

    >>> even = [(n + 0.5) / 200 for n in range(200)]
    >>> verdict_of(10, 200, 0.05, even), verdict_of(30, 200, 0.05, even)
    ('fine', 'too_many')
    >>> verdict_of(10, 200, 0.05, [p**2 for p in even]), verdict_of(0, 200, 0.05, [0.3] * 200)
    ('too_many', 'timid')
    """
    levels = (alpha / 5.0, alpha)

    def alarms(p_value: float | None) -> bool:
        return p_value is not None and p_value < ALARM

    counts = [(hits, alpha), *((sum(p < level for p in p_values), level) for level in levels)]
    if any(alarms(excess(count, splits, level)) for count, level in counts):
        return "too_many"
    return "timid" if alarms(uniformity(p_values)) else "fine"


def uniformity(p_values: Sequence[float]) -> float | None:
    """Kolmogorov–Smirnov's p-value of uniform ones; None of fewer than two."""
    return float(stats.kstest(p_values, "uniform").pvalue) if len(p_values) > 1 else None


def excess(hits: int, n: int, p: float) -> float:
    """Chance of at least so many hits of n at p.

    >>> round(excess(10, 100, 0.05), 4)
    0.0282
    """
    return float(stats.binom.sf(hits - 1, n, p))


def sides(unit_ids: Sequence[str], salt: str) -> NDArray[np.bool_]:
    """Which units are treatment, by the hash that assigns units."""
    half = BUCKETS // 2
    return np.fromiter(
        (bucket(salt, unit_id) >= half for unit_id in unit_ids), np.bool_, len(unit_ids)
    )


class Sums(NamedTuple):
    """Rows around their means, with their products, and where the looks cut them.

    Attributes:
        centre: Means of all units, `(d,)`.
        table: `(n, d + d²)`.
        starts: First row of each look's own part.
    """

    centre: NDArray[np.float64]
    table: NDArray[np.float64]
    starts: NDArray[np.int_]

    @classmethod
    def of(cls, rows: NDArray[np.float64], looks: int) -> "Sums":
        """Prepare rows for any number of splits."""
        n, d = rows.shape
        centre = rows.mean(axis=0)
        moved = rows - centre
        products = (moved[:, :, None] * moved[:, None, :]).reshape(n, d * d)
        cuts = np.unique(np.linspace(0, n, looks + 1).astype(int)[:-1])
        return cls(centre, np.hstack([moved, products]), cuts)

    def moments(self, chosen: NDArray[np.bool_]) -> Iterator[JointMoments]:
        """Joint moments of the chosen units at each look."""
        d = self.centre.size
        counts = np.add.reduceat(chosen.astype(np.int64), self.starts).cumsum()
        sums = np.add.reduceat(self.table * chosen[:, None], self.starts, axis=0).cumsum(axis=0)
        for n, row in zip(counts.tolist(), sums, strict=True):
            if not n:
                yield JointMoments.none(d)
                continue
            means = row[:d] / n
            cross = row[d:].reshape(d, d) - n * np.outer(means, means)
            cross[np.diag_indices(d)] = np.maximum(np.diag(cross), 0.0)
            yield JointMoments(
                n=n,
                means=tuple((self.centre + means).tolist()),
                cross=tuple(map(tuple, ((cross + cross.T) / 2.0).tolist())),
            )


def judge_split(found: MetricRows, sums: Sums, treated: NDArray[np.bool_], alpha: float) -> Split:
    """Judge one split at every look, as reports do."""
    last, called_anytime, called_fixed = None, False, False
    for control, treatment in zip(sums.moments(~treated), sums.moments(treated), strict=True):
        numbers = MetricNumbers(
            metric=found.metric.key,
            columns=found.columns,
            by_variant=dict(zip(SIDES, (control, treatment), strict=True)),
            cap=found.cap,
        )
        compared = Comparison(found.metric, numbers, *SIDES)
        last = fixed(compared, alpha)
        called_fixed = called_fixed or called(last)
        called_anytime = called_anytime or called(anytime(compared, alpha, level=alpha))
    assert last is not None, "there is at least one look"
    return Split(last.p_value, called(last), called_anytime, called_fixed)


def called(effect: Effect) -> bool:
    """Whether an effect's interval leaves out 0, on either scale."""
    ends = (
        (effect.effect_ci_low, effect.effect_ci_high),
        (effect.relative_ci_low, effect.relative_ci_high),
    )
    return any(
        (low is not None and low > 0.0) or (high is not None and high < 0.0) for low, high in ends
    )


def skipped(key: str, units_n: int, why: Why) -> AaMetric:
    """A metric that is not checked."""
    return AaMetric(metric=key, units_n=units_n, verdict="unknown", reason=why)


def in_words(found: AaMetric, alpha: float) -> str:
    """What a check found, and what to do about it.

    >>> in_words(skipped("revenue", 20, "few_units"), 0.05)
    'not checked: it needs 200 units, and there are 20'
    """
    if found.verdict == "unknown":
        why = {
            "few_units": f"it needs {LEAST_UNITS} units, and there are {found.units_n}",
            "quantile": "a quantile has no moments that could be split anew",
            "no_variance": "every unit has the same number",
            None: "nothing could be tested",
        }[found.reason]
        return f"not checked: {why}"
    if found.verdict == "too_many":
        return (
            f"more false alarms than {alpha:.0%} allows: trust no interval of it; look for units "
            "that hold most of its sum: a cap, or a proportion, helps"
        )
    if found.verdict == "timid":
        return (
            "fewer alarms than there could be: few units hold most of it, so little is ever found; "
            "a cap, or a proportion, helps"
        )
    return "fine"
