"""From what candidates said of the logged decisions to what they would have earned."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.errors import NotEnoughData
from bandit.ope import (
    Evaluation,
    Gain,
    Interval,
    LoggedBatch,
    anytime_dr,
    anytime_gain,
    default_estimators,
    evaluate,
    gain_between,
    gain_over_logging,
    student_t,
)
from bandit.ope.base import Estimator
from bandit.ope.weighting import mean_terms
from bandit.service.evaluating_pass import Learned
from bandit.service.evaluating_results import (
    CandidateResult,
    CurvePoint,
    EvaluationSettings,
    PairGain,
    SegmentResult,
)
from bandit.service.evaluating_rows import Shared
from bandit.specs import PolicySpec, Surface

Floats = npt.NDArray[np.float64]
SEGMENTS_N = 50
"""Segments that are judged, the largest; every further one makes all intervals wider."""
PAIRED_N = 6
"""Of so many candidates at most every two are compared."""
_LATE = 0.75


class Rules(NamedTuple):
    """What batches of one run have in common."""

    surface: Surface
    settings: EvaluationSettings


def batch_for(shared: Shared, learned: Learned, rules: Rules) -> LoggedBatch:
    """What a candidate said, as a batch; with rejection a draw is its weight."""
    judged, settings = learned.judged, rules.settings
    rejects = settings.mode == "rejection"
    n = len(shared.reward)
    model = len(judged.direct) == n and n > 0
    return LoggedBatch.of(
        propensity=np.full(n, 1.0 / max(learned.bound, 1.0)) if rejects else shared.propensity,
        target=judged.accepted.astype(np.float64) if rejects else judged.target,
        reward=shared.reward,
        predicted=judged.predicted if model else None,
        direct=judged.direct if model else None,
        unit=shared.unit,
        sampling=None if (shared.share == 1.0).all() else 1.0 / shared.share,
        weight_bound=max(learned.bound if rejects else judged.bound, 1.0),
        reward_range=(rules.surface.reward_low, rules.surface.reward_high),
        support=(judged.deficit, judged.overlap),
    )


def logged_value(shared: Shared, rules: Rules) -> tuple[float | None, Interval | None]:
    """What the logging policies earned per decision, and a t interval over units."""
    if not len(shared.reward):
        return None, None
    batch = LoggedBatch.of(
        propensity=shared.propensity,
        target=shared.propensity,
        reward=shared.reward,
        unit=shared.unit,
        sampling=None if (shared.share == 1.0).all() else 1.0 / shared.share,
    )
    terms = mean_terms(batch, batch.reward)
    try:
        return terms.value, student_t(terms, alpha=rules.settings.alpha)
    except NotEnoughData:
        return terms.value, None


def result_of(
    name: str, spec: PolicySpec, shared: Shared, learned: Learned, rules: Rules
) -> CandidateResult:
    """Everything that is told of one candidate."""
    batch, alpha = batch_for(shared, learned, rules), rules.settings.alpha
    evaluation = evaluate(batch, policy=name, alpha=alpha)
    estimator = _headline(evaluation, batch)
    refused = estimator is None
    late = None
    if spec.learns and batch.n >= 4:
        late = evaluate(batch.take(slice(int(_LATE * batch.n), None)), policy=name, alpha=alpha)
    accepted = int(learned.judged.accepted.sum()) if rules.settings.mode == "rejection" else None
    return CandidateResult(
        name=name,
        spec=spec,
        evaluation=evaluation,
        gain=None if refused else _gain(batch, alpha),
        anytime=None if refused else _anytime_value(batch, alpha),
        anytime_gain=None if refused else _anytime_gain(batch, None, alpha),
        late=late,
        segments=_segments(shared, batch, estimator, alpha),
        curve=_curve(shared, batch, rules.settings.curve_n, told=not refused),
        lessons_n=learned.lessons_n,
        refused_n=learned.refused_n,
        accepted_n=accepted,
        digest=learned.digest,
        notes=_notes(spec, learned, batch),
    )


def pairs_of(
    results: Sequence[CandidateResult],
    shared: Shared,
    learned: Mapping[str, Learned],
    rules: Rules,
) -> tuple[PairGain, ...]:
    """Candidates that are not refused, each pair on the same decisions.

    All pairs of a few; of more than `PAIRED_N` each with the best one.
    """
    shown = [result for result in results if result.value is not None]
    found = []
    batches = {r.name: batch_for(shared, learned[r.name], rules) for r in shown}
    pairs = list(combinations(shown, 2))
    if len(shown) > PAIRED_N:
        best = max(shown, key=lambda result: result.value or 0.0)
        pairs = [(best, other) for other in shown if other is not best]
    for first, second in pairs:
        mine, theirs = batches[first.name], batches[second.name]
        try:
            gain = gain_between(mine, theirs, alpha=rules.settings.alpha)
        except NotEnoughData:
            continue
        found.append(
            PairGain(
                candidate=first.name,
                other=second.name,
                gain=gain,
                anytime=_anytime_gain(mine, theirs, rules.settings.alpha),
            )
        )
    return tuple(found)


def _headline(evaluation: Evaluation, batch: LoggedBatch) -> Estimator | None:
    return next((e for e in default_estimators(batch) if e.name == evaluation.headline), None)


def _gain(batch: LoggedBatch, alpha: float) -> Gain | None:
    """By SNIPS, as its interval: where candidate and log agree, the difference is exactly 0."""
    try:
        return gain_over_logging(batch, alpha=alpha)
    except NotEnoughData:
        return None


def _anytime_value(batch: LoggedBatch, alpha: float) -> Interval:
    return anytime_dr(batch, alpha=alpha)[-1]


def _anytime_gain(batch: LoggedBatch, other: LoggedBatch | None, alpha: float) -> Interval:
    return anytime_gain(batch, other, alpha=alpha)[-1]


def _segments(
    shared: Shared, batch: LoggedBatch, estimator: Estimator | None, alpha: float
) -> tuple[SegmentResult, ...]:
    """Gains by segment, the largest first; intervals hold for all of them together."""
    if not shared.segments:
        return ()
    sizes = np.bincount(shared.segment, minlength=len(shared.segments))
    largest = np.argsort(-sizes, kind="stable")[:SEGMENTS_N]
    each = alpha / len(largest)  # Bonferroni's
    found = []
    for code in largest.tolist():
        part = batch.take(shared.segment == code)
        evaluation = evaluate(part, policy=shared.segments[code], alpha=each)
        told = estimator is not None and evaluation.headline is not None
        found.append(
            SegmentResult(
                name=shared.segments[code],
                n=part.n,
                gain=_gain(part, each) if told else None,
                anytime=_anytime_gain(part, None, each) if told else None,
                verdict=evaluation.verdict,
                reasons=evaluation.reasons,
            )
        )
    return tuple(found)


def _curve(
    shared: Shared, batch: LoggedBatch, points_n: int, *, told: bool
) -> tuple[CurvePoint, ...]:
    """How a candidate stood at evenly spaced places of the log."""
    if not batch.n:
        return ()
    ends = np.unique(np.linspace(0, batch.n, min(points_n, batch.n) + 1, dtype=np.int64)[1:])
    mass = np.ones(batch.n) if batch.sampling is None else batch.sampling
    above, below = mass * batch.weights * batch.reward, mass * batch.weights
    if batch.direct is not None and batch.predicted is not None:
        surprise = batch.weights * (batch.reward - batch.predicted)
        above, below = mass * (batch.direct + surprise), mass
    sums = [np.cumsum(each)[ends - 1] for each in (above, below, mass * batch.reward, mass)]
    parts = [np.diff(each, prepend=0.0) for each in sums]
    return tuple(
        CurvePoint(
            n=int(end),
            ts_ms=int(shared.ts_ms[end - 1]),
            value=_ratio(sums[0][place], sums[1][place]) if told else None,
            recent=_ratio(parts[0][place], parts[1][place]) if told else None,
            logged=float(parts[2][place] / parts[3][place]),
        )
        for place, end in enumerate(ends)
    )


def _ratio(above: float, below: float) -> float | None:
    return float(above / below) if below > 0.0 else None


def _notes(spec: PolicySpec, learned: Learned, batch: LoggedBatch) -> tuple[str, ...]:
    notes = []
    if spec.learns and not learned.lessons_n and batch.n:
        notes.append(
            "it learned nothing: "
            + (
                f"no decision here was drawn by {spec.key!r}, and it learns from its own alone"
                if spec.learns_from == "own"
                else "no decision that it could learn from was closed in time"
            )
        )
    if learned.refused_n:
        notes.append(f"{learned.refused_n} lessons were refused: they could have harmed it")
    if learned.clipped_n:
        notes.append(
            f"the bound {learned.bound:g} was too low for {learned.clipped_n} decisions, which "
            "biases the value: give a greater --bound"
        )
    return tuple(notes)
