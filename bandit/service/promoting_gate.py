"""The gate: whether the surface's own log proves that a challenger is better than what serves.

Evidence is every closed decision of the live policy with the challenger's shadow probability. The
interval is a confidence sequence, so asking again and again costs no error rate, and it rests on
the logged propensities alone: neither drifting contexts nor policies that learn spoil it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandit.errors import NotEnoughData, RecordError
from bandit.ope import REASONS, Diagnostics, GainWatch, Interval, LoggedBatch, diagnose
from bandit.service.promoting_records import Gate, GateCheck, GateSegment
from bandit.service.reporting_words import number
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.gate_log import GateLog, GateRows
from bandit.store.reports import Scope

BARRING = frozenset(
    {
        "few_units",
        "heavy_weight",
        "thin_support",
        "propensities_off",
        "estimators_disagree",
        "no_variance",
    }
)
"""Cautions with which nothing is promoted: what they doubt no interval shows. The others make the
interval wide, or are about intervals that the gate does not use."""
DIAGNOSED_N = 1_000_000
"""Diagnostics are of at most about so many of the newest decisions."""
MOST_SEGMENTS = 200
QUERIES = ("gate_hours", "gate_members", "gate_rows")


class Evidence:
    """What the log says of challenger − live, added up slice by slice."""

    def __init__(self, scope: Scope, weight_bound: float) -> None:
        self._range = (scope.surface.reward_low, scope.surface.reward_high)
        self.weight_bound = weight_bound
        self.whole = self._watch()
        self.segments: dict[tuple[str, str], GainWatch] = {}
        self.excluded: Counter[str] = Counter()
        self.n = 0
        self._recent: list[LoggedBatch] = []

    def add(self, rows: GateRows, members: Sequence[str]) -> None:
        """Go over a slice."""
        reasons, counts = np.unique(rows.why, return_counts=True)
        self.excluded.update(
            {str(why): int(n) for why, n in zip(reasons, counts, strict=True) if why}
        )
        usable = rows.why == ""
        if not usable.any():
            return
        batch = LoggedBatch.of(
            propensity=rows.propensity[usable],
            reward=rows.reward[usable],
            target=np.clip(rows.target[usable], 0.0, 1.0),
            unit=rows.unit[usable],
            weight_bound=self.weight_bound if math.isfinite(self.weight_bound) else None,
            reward_range=self._range,
        )
        self.n += batch.n
        self.whole.add(batch.weights, batch.reward)
        for place, member in enumerate(members):
            self._add_segments(member, rows.segments[usable, place], batch)
        self._recent.append(batch)
        while sum(part.n for part in self._recent[1:]) >= DIAGNOSED_N:
            self._recent.pop(0)

    def diagnostics(self) -> Diagnostics:
        """Of the newest decisions."""
        parts = self._recent or [LoggedBatch.of(propensity=[], reward=[], target=[])]
        return diagnose(
            LoggedBatch.of(
                propensity=np.concatenate([part.propensity for part in parts]),
                reward=np.concatenate([part.reward for part in parts]),
                target=np.concatenate([part.target for part in parts]),
                unit=np.concatenate([np.asarray(part.unit) for part in parts])
                if self._recent
                else None,
                weight_bound=self.weight_bound if math.isfinite(self.weight_bound) else None,
                reward_range=self._range,
            )
        )

    def judged_segments(self, alpha: float) -> tuple[GateSegment, ...]:
        """All segments, with intervals that hold together (Bonferroni), the worst first."""
        found = []
        for (by, value), watch in self.segments.items():
            interval = watch.interval(alpha=alpha / len(self.segments))
            found.append(
                GateSegment(
                    by=by,
                    value=value,
                    n=watch.n,
                    low=interval.low,
                    high=interval.high,
                    is_worse=interval.high < 0.0,
                )
            )
        return tuple(sorted(found, key=lambda segment: (segment.high, segment.by, segment.value)))

    def _add_segments(self, member: str, values: NDArray[np.str_], batch: LoggedBatch) -> None:
        for value in np.unique(values):
            key = (member, str(value))
            if key not in self.segments:
                if len(self.segments) >= MOST_SEGMENTS:
                    key = (member, "…")
                self.segments.setdefault(key, self._watch())
            here = values == value
            self.segments[key].add(batch.weights[here], batch.reward[here])

    def _watch(self) -> GainWatch:
        return GainWatch(self._range, weight_bound=self.weight_bound)


def judge_shadow(
    store: Store,
    scope: Scope,
    challenger: str,
    *,
    members: Sequence[str] | None,
    alpha: float,
    before: Sequence[GateCheck],
) -> Gate:
    """The gate over a surface's log.

    Args:
        store: Which.
        scope: The surface, since when and as of when.
        challenger: Its shadow.
        members: Of the context, by whose values segments are told apart; None: found.
        alpha: 1 − the level of the whole, and of all segments together.
        before: Checks that were made already, all passed.
    """
    log = GateLog(store, scope, scope.surface.policy, challenger)
    members = log.members() if members is None else members
    evidence = _gathered(log, scope, members)
    diagnostics = evidence.diagnostics()
    refused = diagnostics.verdict == "refuse"
    interval = None if refused else evidence.whole.interval(alpha=alpha)
    segments = () if refused else evidence.judged_segments(alpha)
    return gate_of(
        scope,
        challenger,
        [*before, *_checks(evidence, diagnostics, interval, segments, alpha)],
        alpha=alpha,
        from_ms=scope.from_ms,
        n=evidence.n,
        units_n=diagnostics.units_n,
        excluded=dict(evidence.excluded),
        gain=None if refused else _gain(evidence),
        gain_low=interval.low if interval else None,
        gain_high=interval.high if interval else None,
        ess=diagnostics.ess,
        mean_weight=evidence.whole.mean_weight,
        weight_bound=evidence.weight_bound if math.isfinite(evidence.weight_bound) else None,
        verdict=diagnostics.verdict,
        reasons=diagnostics.reasons,
        segments=segments,
        queries=QUERIES,
    )


def gate_of(scope: Scope, challenger: str, checks: Iterable[GateCheck], **found: Any) -> Gate:
    """What the gate found; what comes after the first check that failed is not asked any more.

    Args:
        scope: The surface, since when and as of when.
        challenger: Who would replace its policy.
        checks: In the order they are made.
        found: The fields of `Gate` that tell of the evidence.
    """
    made: list[GateCheck] = []
    for check in checks:
        made.append(check)
        if not check.passed:
            break
    return Gate(
        surface=scope.surface.key,
        challenger=challenger,
        live=scope.surface.policy,
        as_of_ms=scope.at_ms,
        passed=all(check.passed for check in made),
        checks=tuple(made),
        **found,
    )


def gain_check(interval: Interval, alpha: float, *, passed: bool, must: str) -> GateCheck:
    """Whether the challenger is better.

    Args:
        interval: Of challenger − live, at any look.
        alpha: 1 − its level.
        passed: Whether that is enough.
        must: What it must be, if it is not.
    """
    where = f"[{number(interval.low, '+')}, {number(interval.high, '+')}]"
    level = f"{100 * (1 - alpha):g} %"
    text = f"Challenger − live is in {where} per decision ({level}, at any look)"
    text += ": better." if passed else f", {must}."
    return GateCheck(code="gain", passed=passed, text=text)


def weight_bound(surface: Surface, least_floor: float) -> float:
    """The greatest importance weight at the top slot: 1 ÷ the least probability of any action.

    Args:
        surface: Whose rules are mixed in after the floor.
        least_floor: Of the policies that drew.

    >>> surface = Surface(key="s", policy="p")
    >>> weight_bound(surface, 0.02), weight_bound(surface, 0.0)
    (50.0, inf)
    """
    least = least_floor * max(0.0, 1.0 - sum(surface.rules.least.values()))
    least = min([least, *surface.rules.most.values()])
    return 1.0 / least if least > 0.0 else math.inf


def _gathered(log: GateLog, scope: Scope, members: Sequence[str]) -> Evidence:
    """All evidence; without a bound on the weights if the log breaks the one that is declared."""
    hours = log.hours()
    declared = weight_bound(scope.surface, min((floor for *_, floor in hours), default=0.0))
    for bound in (declared, math.inf):
        evidence = Evidence(scope, bound)
        try:
            for rows in log.slices(hours, members):
                evidence.add(rows, members)
        except RecordError:
            if math.isinf(bound):
                raise
            continue  # the rules were others when some of it was drawn
        return evidence
    raise AssertionError("a watch without a bound refuses no weight")


def _gain(evidence: Evidence) -> float | None:
    try:
        return evidence.whole.gain
    except NotEnoughData:
        return None


def _checks(
    evidence: Evidence,
    diagnostics: Diagnostics,
    interval: Interval | None,
    segments: Sequence[GateSegment],
    alpha: float,
) -> Iterator[GateCheck]:
    """What the log must say, in the order of what makes the rest pointless."""
    barring = [code for code in diagnostics.reasons if code in BARRING]
    if interval is None or barring:
        codes = barring if diagnostics.verdict != "refuse" else diagnostics.reasons
        left_out = ", ".join(f"{n:,} {why}" for why, n in sorted(evidence.excluded.items()))
        yield GateCheck(
            code="support",
            passed=False,
            text=f"The log can not tell: {'; '.join(REASONS[code] for code in codes)} "
            f"({evidence.n:,} decisions, worth {diagnostics.ess:,.0f} of the challenger's own"
            + (f"; left out: {left_out})." if left_out else ")."),
        )
        return
    yield GateCheck(
        code="support",
        passed=True,
        text=f"The log can tell: {evidence.n:,} decisions of {diagnostics.units_n:,} units, worth "
        f"{diagnostics.ess:,.0f} of the challenger's own.",
    )
    must = f"its lower end is {number(interval.low, '+')} and must be above 0"
    yield gain_check(interval, alpha, passed=interval.low > 0.0, must=must)
    yield _segments_check(segments)


def _segments_check(segments: Sequence[GateSegment]) -> GateCheck:
    worse = [segment for segment in segments if segment.is_worse]
    text = "No member of the context takes few values, so there is no segment to look at."
    if worse:
        named = "; ".join(
            f"{s.by} = {s.value or 'absent'}: [{number(s.low, '+')}, {number(s.high, '+')}] over "
            f"{s.n:,} decisions"
            for s in worse[:5]
        )
        text = f"The challenger is worse in {len(worse)} of {len(segments)} segments: {named}."
    elif segments:
        text = f"None of {len(segments)} segments is worse."
    return GateCheck(code="segments", passed=not worse, text=text)
