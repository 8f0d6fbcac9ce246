"""Whether the propensities in the log can be those that the actions were drawn with, all the time.

Every off-policy number and every lesson by importance weighting rests on them, and nothing else
fails when they are wrong. Four checks of the top slot, by policy:

* **mismatch**: the logged propensity is the logged pmf of the drawn action (float32). It is exact.
* **inverse**: `E[1{p ≥ t} ÷ (m·p)] = 1`, where p is the drawn action's propensity and m how many
  actions have a pmf of t or more: the mean weight of "any of them, uniformly". It finds
  propensities that are too big or too small whatever the action, above all for rare ones.
* **likeliest**, **first**: the likeliest action, and the first one offered, is drawn as often as
  its probabilities say. They find draws that do not follow the pmf.

The last three are z scores of sums that forget (half of it in `HALF_LIFE_N` decisions), so that a
fault that begins after a million good decisions shows as soon as one at the start.

Source: Li, Kim and Zitouni (2015), "Toward predicting the outcome of an A/B experiment for search
relevance", section 3.4 (arithmetic and harmonic mean tests); London and Joachims (2022), "Control
variate diagnostics for detecting problems in logged bandit feedback" (E[w] = 1).
"""

import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from bandit.records import Decision

HALF_LIFE_N = 20_000
NEED_N = 2_000
"""Before so many decisions a sum is no normal variable."""
RAREST = 0.001
"""t: actions below it are left out of `inverse`, or one draw in a million would be an alarm."""
TOLERANCE = 1e-5
"""Relative; the pmf is kept in float32."""
_KEEP = 0.5 ** (1 / HALF_LIFE_N)


class Verdict(NamedTuple):
    """What is known of one policy's decisions.

    Attributes:
        decisions_n: How many were looked at.
        mismatches_n: Of them, logged with another propensity than their pmf says.
        z: By check, standard errors from what must be; without those that had too few decisions
            to tell anything from.
    """

    policy: str
    decisions_n: int
    mismatches_n: int
    z: dict[str, float]


class _Sum:
    """A forgetting sum of terms that have mean 0 and known variances."""

    __slots__ = ("n", "total", "variance")

    def __init__(self) -> None:
        self.n = 0
        self.total = 0.0
        self.variance = 0.0

    def add(self, observed: float, expected: float, variance: float) -> None:
        """Nothing that was certain tells anything."""
        if variance > TOLERANCE:
            self.n += 1
            self.total = _KEEP * self.total + observed - expected
            self.variance = _KEEP * _KEEP * self.variance + variance

    @property
    def z(self) -> float:
        return self.total / math.sqrt(self.variance)


class _Policy:
    def __init__(self) -> None:
        self.decisions_n = 0
        self.mismatches_n = 0
        self.sums = {"inverse": _Sum(), "likeliest": _Sum(), "first": _Sum()}


class PropensityAudit:
    """Looks at decisions as they pass, whichever they are: which ones must not depend on draws."""

    def __init__(self) -> None:
        self._policies: dict[str, _Policy] = {}

    def add(self, decision: Decision) -> None:
        """Take a decision in; a top slot that was pinned says nothing."""
        if 0 in decision.pinned:
            return
        found = self._policies.setdefault(decision.policy, _Policy())
        found.decisions_n += 1
        pmf = _pool(decision)
        drawn, propensity = decision.ranking[0], decision.propensities[0]
        if drawn >= len(pmf) or not math.isclose(pmf[drawn], propensity, rel_tol=TOLERANCE):
            found.mismatches_n += 1
            if drawn >= len(pmf):
                return
        sums, p = found.sums, pmf[drawn]
        inverses = [1.0 / each for each in pmf if each >= RAREST]
        m = len(inverses)
        weight = 1.0 / (m * propensity) if m and p >= RAREST else 0.0
        sums["inverse"].add(weight, 1.0, sum(inverses) / (m * m) - 1.0 if m else 0.0)
        top = max(pmf)
        share = min(1.0, top * pmf.count(top))
        sums["likeliest"].add(p == top, share, share * (1.0 - share))
        first = next((index for index, each in enumerate(pmf) if each > 0.0), 0)
        share = pmf[first]
        sums["first"].add(drawn == first, share, share * (1.0 - share))

    def verdicts(self) -> Iterator[Verdict]:
        """One for every policy that decided."""
        for key, found in self._policies.items():
            yield Verdict(
                policy=key,
                decisions_n=found.decisions_n,
                mismatches_n=found.mismatches_n,
                z={name: each.z for name, each in found.sums.items() if each.n >= NEED_N},
            )


def _pool(decision: Decision) -> tuple[float, ...]:
    """What the top slot was drawn from, summing to 1; 0 for what could not be drawn."""
    pmf = _floats(len(decision.pmf) // 4).unpack_from(decision.pmf)
    if not decision.blocked or not decision.blocked[0]:
        return pmf
    blocked = frozenset(decision.blocked[0])
    pool = [0.0 if i in blocked else p for i, p in enumerate(pmf)]
    rest = sum(pool) or 1.0
    return tuple(p / rest for p in pool)


@lru_cache(maxsize=1024)
def _floats(k: int) -> struct.Struct:
    return struct.Struct(f"<{k}f")
