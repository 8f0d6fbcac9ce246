"""Was the allocation what it was said to be: exactly, and when it moves with what is learned."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import numpy as np
from scipy.special import betainc, gammaln, ndtr, xlogy

from bandit.errors import BadPropensity, RecordError
from bandit.records import Record
from bandit.stats.srm import ALARM, Srm, srm

MOST_TABLES = 200_000
"""The exact multinomial test walks through this many splits at most."""


def srm_exact(observed: Mapping[str, int], shares: Mapping[str, float]) -> Srm:
    """`srm` by the exact binomial (two variants) or multinomial test: for small counts.

    p is the probability of a split no more likely than the one seen. Past `MOST_TABLES` possible
    splits of three or more variants the answer is the chi-square's, which is as good by then.

    Source: Clopper, Pearson (1934); multinomial: Read, Cressie (1988), "Goodness-of-fit
    statistics for discrete multivariate data", sec. 5.3.

    >>> srm_exact({"a": 1, "b": 9}, {"a": 1, "b": 1}).p_value
    0.021484375
    """
    rough = srm(observed, shares)
    if rough.verdict == "mismatch" and rough.reason == "unallocated_units":
        return rough
    tested = [key for key in rough.observed if shares.get(key, 0.0) > 0.0]
    if rough.reason in ("no_units", "one_variant") or len(tested) < 2:
        return rough
    counts = [rough.observed[key] for key in tested]
    total = sum(shares[key] for key in tested)
    weights = [shares[key] / total for key in tested]
    n, k = sum(counts), len(counts)
    if k == 2:
        p_value = binomial_p_value(counts[0], n, weights[0])
    elif math.comb(n + k - 1, k - 1) <= MOST_TABLES:
        p_value = _multinomial_p_value(counts, weights)
    else:
        return rough
    return Srm(
        observed=rough.observed,
        expected=rough.expected,
        df=k - 1,
        p_value=p_value,
        verdict="mismatch" if p_value < ALARM else "fine",
    )


def binomial_p_value(successes: int, n: int, p: float) -> float:
    """Probability of all counts no more likely than `successes` of n at p, in (0, 1).

    >>> binomial_p_value(2, 12, 0.5)
    0.03857421875
    """
    if not 0 <= successes <= n or not 0.0 < p < 1.0:
        raise RecordError(f"binomial is {successes} of {n} at {p!r}, must be in 0 … n, 0 < p < 1")
    limit = _log_binomial(successes, n, p) + 1e-7
    mode = min(int((n + 1) * p), n)
    if successes == mode:
        return 1.0
    if successes < mode:
        low, high = mode, n + 1  # the first count above the mode that is unlikely enough
        while low < high:
            middle = (low + high) // 2
            if middle > n or _log_binomial(middle, n, p) <= limit:
                high = middle
            else:
                low = middle + 1
        return min(_at_most(successes, n, p) + _at_least(low, n, p), 1.0)
    low, high = -1, mode  # the last count below the mode that is unlikely enough
    while low < high:
        middle = (low + high + 1) // 2
        if _log_binomial(middle, n, p) <= limit:
            low = middle
        else:
            high = middle - 1
    return min(_at_least(successes, n, p) + _at_most(low, n, p), 1.0)


def _log_binomial(x: int, n: int, p: float) -> float:
    choose = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    return float(choose + xlogy(x, p) + (n - x) * math.log1p(-p))


def _at_most(x: int, n: int, p: float) -> float:
    return 0.0 if x < 0 else 1.0 if x >= n else float(betainc(n - x, x + 1, 1.0 - p))


def _at_least(x: int, n: int, p: float) -> float:
    return 1.0 if x <= 0 else 0.0 if x > n else float(betainc(x, n - x + 1, p))


def _multinomial_p_value(counts: list[int], weights: list[float]) -> float:
    n = sum(counts)
    tables = np.array(list(_splits(n, len(counts))), dtype=np.float64)
    log_p = gammaln(n + 1) - gammaln(tables + 1).sum(axis=1) + xlogy(tables, weights).sum(axis=1)
    seen = float(gammaln(n + 1) - gammaln(np.array(counts) + 1.0).sum())
    seen += float(xlogy(counts, weights).sum())
    return min(float(np.exp(log_p[log_p <= seen + 1e-7]).sum()), 1.0)


def _splits(n: int, k: int) -> Iterator[tuple[int, ...]]:
    if k == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in _splits(n - first, k - 1):
            yield (first, *rest)


def continuity_corrected_p_value(successes: int, n: int, p: float) -> float:
    """Normal approximation of the two-sided binomial test, half a count nearer (tea-tasting).

    >>> round(continuity_corrected_p_value(49790, 100000, 0.5), 4)
    0.1852
    """
    gap = max(abs(successes - n * p) - 0.5, 0.0)
    return 2.0 * float(ndtr(-gap / math.sqrt(n * p * (1.0 - p))))


class Propensities(Record, frozen=True, kw_only=True):
    """Sums over decisions that tell whether draws follow their logged propensities; they add.

    Attributes:
        n: Decisions where the action was offered with a propensity below 1.
        drawn: How often it was drawn, Σ 1{a}.
        expected: Σ p.
        variance: Σ p(1 − p).

    >>> Propensities.of([(True, 0.5), (False, 0.25)])
    Propensities(n=2, drawn=1, expected=0.75, variance=0.4375)
    """

    n: int
    drawn: int
    expected: float
    variance: float

    @classmethod
    def of(cls, decisions: Iterable[tuple[bool, float]]) -> "Propensities":
        """Sums over pairs (was the action drawn, its logged propensity in [0, 1])."""
        n = drawn = 0
        expected, variance = [], []
        for was_drawn, p in decisions:
            if not 0.0 <= p <= 1.0:
                raise BadPropensity(p)
            n += 1
            drawn += was_drawn
            expected.append(p)
            variance.append(p * (1.0 - p))
        return cls(n=n, drawn=drawn, expected=math.fsum(expected), variance=math.fsum(variance))

    def __add__(self, other: "Propensities") -> "Propensities":
        """Sums over both sets of decisions."""
        return Propensities(
            n=self.n + other.n,
            drawn=self.drawn + other.drawn,
            expected=self.expected + other.expected,
            variance=self.variance + other.variance,
        )


class PropensityCheck(Record, frozen=True, kw_only=True):
    """Draws of an action compared with its propensities.

    Attributes:
        drawn: How often it was drawn.
        expected: How often it should have been.
        z: (drawn − expected)/√Σp(1 − p); None with a reason.
        p_value: Two-sided.
        verdict: `fine`, `mismatch` (the log's propensities are not those drawn from), `unknown`.
        reason: `no_decisions`, or `few_draws`: Σp(1 − p) below 5, too little for a normal.
    """

    drawn: int
    expected: float
    z: float | None = None
    p_value: float | None = None
    verdict: Literal["fine", "mismatch", "unknown"]
    reason: Literal["no_decisions", "few_draws"] | None = None


def check_propensities(sums: Propensities) -> PropensityCheck:
    """Sample-ratio mismatch for an allocation that moves: z = Σ(1{a} − p)/√Σp(1 − p).

    Given the past, each draw is Bernoulli with the logged p, so the sum is a martingale, and the
    test holds however the policy learned. The chi-square against fixed weights alarms in all
    healthy bandits.

    Source: Hall, Heyde (1980), "Martingale limit theory and its application", corollary 3.1.

    >>> sums = Propensities(n=9000, drawn=3100, expected=3000.0, variance=2000.0)
    >>> check = check_propensities(sums)
    >>> f"z = {check.z:.2f}, p = {check.p_value:.3f}: {check.verdict}"
    'z = 2.24, p = 0.025: fine'
    """
    impossible = sums.variance == 0.0 and abs(sums.drawn - sums.expected) > 1e-9 * max(sums.n, 1)
    if impossible:
        return PropensityCheck(
            drawn=sums.drawn, expected=sums.expected, p_value=0.0, verdict="mismatch"
        )
    if sums.n == 0 or sums.variance < 5.0:
        reason: Literal["no_decisions", "few_draws"] = "few_draws" if sums.n else "no_decisions"
        return PropensityCheck(
            drawn=sums.drawn, expected=sums.expected, verdict="unknown", reason=reason
        )
    z = (sums.drawn - sums.expected) / math.sqrt(sums.variance)
    p_value = 2.0 * float(ndtr(-abs(z)))
    return PropensityCheck(
        drawn=sums.drawn,
        expected=sums.expected,
        z=z,
        p_value=p_value,
        verdict="mismatch" if p_value < ALARM else "fine",
    )
