"""A small evaluation run: one candidate that can be told, one that is refused."""

import numpy as np

from bandit.ope import LoggedBatch, anytime_gain, evaluate, gain_between, gain_over_logging
from bandit.service.evaluating_results import (
    CandidateResult,
    CurvePoint,
    EvaluationRun,
    EvaluationSettings,
    PairGain,
    SegmentResult,
)
from bandit.specs import PolicySpec

TOLD, REFUSED = "told", "refused<script>alert(1)</script>"
NUMBER = 0.123456789
"""In every place of a refused candidate where a number could be taken for an answer."""

_rng = np.random.default_rng(5)
_action = _rng.integers(0, 2, 800)
_reward = (_rng.random(800) < np.where(_action == 0, 0.8, 0.2)).astype(float)
BATCH = LoggedBatch.of(
    propensity=np.full(800, 0.5),
    target=np.where(_action == 0, 0.9, 0.1),
    reward=_reward,
    unit=np.arange(800) % 200,
    weight_bound=2.0,
    reward_range=(0.0, 1.0),
)
_told = evaluate(BATCH, policy=TOLD)
_empty = evaluate(BATCH.take(slice(0, 0)), policy=REFUSED)
_gain = gain_over_logging(BATCH)
_anytime = anytime_gain(BATCH)[0]
_leaky = _anytime.__class__(low=NUMBER, high=NUMBER, alpha=0.05, method="leaky", anytime=True)

RUN = EvaluationRun(
    surface="home",
    surface_version=1,
    since_ms=1_790_000_000_000,
    until_ms=1_790_000_800_000,
    made_at_ms=1_790_001_000_000,
    n=800,
    units_n=200,
    excluded={"overridden": 3},
    waiting_n=2,
    thinned=False,
    logged=float(_reward.mean()),
    logged_interval=_anytime,
    candidates=(
        CandidateResult(
            name=TOLD,
            spec=PolicySpec(key="told", type="uniform"),
            evaluation=_told,
            gain=_gain,
            anytime=_anytime,
            anytime_gain=_anytime,
            segments=(
                SegmentResult(
                    name="country=<b>US</b>",
                    n=400,
                    gain=_gain,
                    anytime=_anytime,
                    verdict="ok",
                    reasons=(),
                ),
            ),
            notes=("It learns & forgets.",),
        ),
        CandidateResult(
            name=REFUSED,
            spec=PolicySpec(key="refused", type="uniform"),
            evaluation=_empty,
            gain=_gain.__class__(gain=NUMBER, std_error=NUMBER, interval=_leaky),
            anytime=_leaky,
            anytime_gain=_leaky,
            curve=(CurvePoint(n=1, ts_ms=1, value=NUMBER, recent=NUMBER, logged=0.5),),
        ),
    ),
    pairs=(
        PairGain(candidate=TOLD, other=REFUSED, gain=gain_between(BATCH, BATCH), anytime=_anytime),
    ),
    settings=EvaluationSettings(),
    snapshots={"live": (3, 9)},
    queries=("gate_rows",),
)
