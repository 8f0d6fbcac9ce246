"""The front door: one call, one table, one verdict."""

import html
import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bandit.errors import NotEnoughData
from bandit.ope.arrays import check_alpha
from bandit.ope.base import Estimator
from bandit.ope.batch import LoggedBatch
from bandit.ope.contrast import gain_over_logging
from bandit.ope.diagnostics import REASONS, Diagnostics, diagnose
from bandit.ope.doubly import CalibratedDr, Dm, Dr, Sndr
from bandit.ope.interval import Interval
from bandit.ope.intervals import student_t
from bandit.ope.likelihood import CressieRead, cressie_read, cressie_read_dr
from bandit.ope.terms import Terms
from bandit.ope.value import Verdict
from bandit.ope.weighting import ControlVariate, Ips, Snips, weighted_mean
from bandit.records import Record

FORMAT = 1
"""Version of the serialised layout."""
WEIGHTED = ("ips", "snips", "cressie_read", "el_mle", "control_variate")
DOUBLY = ("calibrated_dr", "dr", "sndr", "mrdr")


class Estimate(Record, frozen=True, kw_only=True):
    """One row of the table.

    Attributes:
        estimator: Its name.
        value: Reward per decision; None when refused.
        std_error: Over units, first order; of what the estimator has no bias in.
        interval: None when refused, and for an estimator whose bias no interval shows.
        note: Why something is missing; empty when nothing is.
    """

    estimator: str
    value: float | None
    std_error: float | None
    interval: Interval | None
    note: str = ""


class Evaluation(Record, frozen=True, kw_only=True):
    """What the target would have earned on the logged traffic, and whether the log can tell.

    Attributes:
        policy: Whose value it is.
        alpha: 1 − the level.
        headline: The estimator to quote: `calibrated_dr` with a model, else SNIPS; None when
            refused.
        logged: Mean reward of the policy that logged.
        estimates: One per estimator.
        gain: Interval of target − logging policy, paired; None when refused.
        diagnostics: What the log is worth.
        verdict, reasons: Of the diagnostics; a refusal shows no number.
        version: Of this layout.
    """

    policy: str
    alpha: float
    headline: str | None
    logged: float | None
    estimates: tuple[Estimate, ...]
    gain: Interval | None
    diagnostics: Diagnostics
    verdict: Verdict
    reasons: tuple[str, ...]
    version: int = FORMAT

    def __getitem__(self, estimator: str) -> Estimate:
        for estimate in self.estimates:
            if estimate.estimator == estimator:
                return estimate
        raise KeyError(estimator)

    @property
    def best(self) -> Estimate | None:
        """The estimate to quote; None when refused."""
        return None if self.headline is None else self[self.headline]

    def rows(self) -> list[dict[str, object]]:
        """The table as flat rows, for a data frame."""
        return [
            {
                "estimator": e.estimator,
                "value": e.value,
                "ci_low": e.interval.low if e.interval else None,
                "ci_high": e.interval.high if e.interval else None,
                "std_error": e.std_error,
                "method": e.interval.method if e.interval else None,
                "note": e.note,
            }
            for e in self.estimates
        ]

    def to_json(self) -> bytes:
        """JSON that `Evaluation.from_json` reads."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> "Evaluation":
        """Read what `to_json` wrote."""
        return msgspec.json.decode(data, type=cls)

    def __str__(self) -> str:
        lines = [f"{self.policy}: {self.verdict}", *(f"  {r}: {REASONS[r]}" for r in self.reasons)]
        d = self.diagnostics
        lines.append(f"  n = {d.n}, units = {d.units_n}, as good as {d.ess:.0f} of its own")
        if d.excluded:
            lines.append(f"  left out: {', '.join(f'{k} {v}' for k, v in d.excluded.items())}")
        level = f"{100 * (1 - self.alpha):g} %"
        lines.append(f"{'estimator':<20} {'value':>9} {level + ' interval':>22}  note")
        lines += [" ".join(cells).rstrip() for cells in map(_cells, self.estimates)]
        if self.gain is not None:
            lines.append(f"against logging: [{self.gain.low:+.4g}, {self.gain.high:+.4g}]")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(c.strip())}</td>" for c in _cells(e)) + "</tr>"
            for e in self.estimates
        )
        reasons = "".join(f"<li>{r}: {html.escape(REASONS[r])}</li>" for r in self.reasons)
        return (
            f"<p><b>{html.escape(self.policy)}</b>: {self.verdict}</p><ul>{reasons}</ul><table>"
            f"<tr><th>estimator</th><th>value</th><th>{100 * (1 - self.alpha):g} % interval</th>"
            f"<th>note</th></tr>{rows}</table>"
        )


def evaluate(
    batch: LoggedBatch,
    *,
    policy: str = "target",
    estimators: Sequence[Estimator] | None = None,
    alpha: float = 0.05,
) -> Evaluation:
    """Every estimate with its interval and the verdict; a refusal carries no number.

    The interval is Cressie–Read's empirical likelihood with the known bound on the weight, and
    with a model E[w·q − D] = 0 as a second thing known; it is one of the value, so all unbiased
    estimators share it. The t interval is for other unbiased estimators; none for
    those whose bias it would hide (`dm`, clipped, shrunken, …).

    Args:
        batch: The log and the target.
        policy: A name for the target.
        estimators: None takes SNIPS, IPS, Cressie–Read and the control variate, and with a model
            calibrated DR, DR, SNDR and DM.
        alpha: 1 − the level.

    >>> log = LoggedBatch.of(propensity=[0.5] * 400, target=[0.9, 0.1] * 200,
    ...     reward=[1.0, 0.0, 0.0, 0.0] * 100, weight_bound=1.8, reward_range=(0, 1))
    >>> print(evaluate(log, policy="feed-vw"))
    feed-vw: ok
      n = 400, units = 400, as good as 244 of its own
    estimator                value          95 % interval  note
    snips                     0.45       [0.3852, 0.5148]
    ips                       0.45       [0.3852, 0.5148]
    cressie_read            0.4503       [0.3852, 0.5148]
    control_variate           0.45       [0.3852, 0.5148]
    against logging: [+0.1695, +0.2288]
    """
    check_alpha(alpha)
    diagnostics = diagnose(batch)
    chosen = list(estimators) if estimators is not None else default_estimators(batch)
    refused = diagnostics.verdict == "refuse"
    if refused:
        estimates = [_refused(estimator.name) for estimator in chosen]
    else:
        shared = _shared_intervals(batch, chosen, alpha)
        estimates = [_estimate(estimator, batch, alpha, shared) for estimator in chosen]
    return Evaluation(
        policy=policy,
        alpha=alpha,
        headline=_headline(estimates),
        logged=weighted_mean(batch, batch.reward) if batch.n else None,
        estimates=tuple(estimates),
        gain=None if refused else _gain(batch, alpha),
        diagnostics=diagnostics,
        verdict=diagnostics.verdict,
        reasons=diagnostics.reasons,
    )


def _headline(estimates: Sequence[Estimate]) -> str | None:
    """Calibrated DR, else SNIPS, else the first that has a value."""
    shown = [e.estimator for e in estimates if e.value is not None]
    return next((name for name in ("calibrated_dr", "snips", *shown) if name in shown), None)


def default_estimators(batch: LoggedBatch) -> list[Estimator]:
    """The estimators that need nothing chosen and that the batch has the columns for."""
    modelled: list[Estimator] = [CalibratedDr(), Dr(), Sndr(), Dm()] if batch.has_model else []
    return [*modelled, Snips(), Ips(), CressieRead(), ControlVariate()]


def default_interval(batch: LoggedBatch, *, alpha: float = 0.05) -> Interval:
    """The interval that `evaluate` quotes: Cressie–Read's, with the model where there is one.

    With a model it needs a known bound on the weight: what an unseen row would add of w·q − D is
    not bounded without one.

    Raises:
        NotEnoughData: An empty log, or equal rewards without a `reward_range`.
    """
    modelled = batch.has_model and math.isfinite(batch.greatest_weight)
    return (cressie_read_dr if modelled else cressie_read)(batch, alpha=alpha)


def _shared_intervals(
    batch: LoggedBatch, estimators: Sequence[Estimator], alpha: float
) -> Mapping[str, Interval]:
    """One empirical-likelihood interval for all that are unbiased: it is one of the value."""
    names = {estimator.name for estimator in estimators} & {*WEIGHTED, *DOUBLY}
    if not names or (batch.reward_range is None and not np.ptp(batch.reward)):
        return {}
    found = dict.fromkeys(names, default_interval(batch, alpha=alpha))
    if batch.has_model and math.isinf(batch.greatest_weight):
        found |= dict.fromkeys(names & set(DOUBLY), cressie_read_dr(batch, alpha=alpha))
    return found


def _gain(batch: LoggedBatch, alpha: float) -> Interval | None:
    """The paired interval; None where all rewards are equal and no range is declared."""
    try:
        return gain_over_logging(batch, alpha=alpha).interval
    except NotEnoughData:
        return None


def _refused(name: str) -> Estimate:
    return Estimate(estimator=name, value=None, std_error=None, interval=None, note="refused")


def _estimate(
    estimator: Estimator, batch: LoggedBatch, alpha: float, shared: Mapping[str, Interval]
) -> Estimate:
    """The estimate, or why there is none."""
    try:
        terms = estimator.terms(batch)
        value, error = terms.value, terms.std_error
    except NotEnoughData as exc:
        return Estimate(
            estimator=estimator.name, value=None, std_error=None, interval=None, note=str(exc)
        )
    if not (math.isfinite(value) and math.isfinite(error)):
        raise AssertionError(f"{estimator.name} is {value} ± {error}, must be finite")
    interval, note = _interval(estimator, terms, alpha, shared)
    span = batch.reward_range or (float(batch.reward.min()), float(batch.reward.max()))
    if not note and not span[0] - 1e-12 <= value <= span[1] + 1e-12:
        note = "outside the rewards' range"
    return Estimate(
        estimator=estimator.name, value=value, std_error=error, interval=interval, note=note
    )


def _interval(
    estimator: Estimator, terms: Terms, alpha: float, shared: Mapping[str, Interval]
) -> tuple[Interval | None, str]:
    if estimator.trusts_model:
        return None, "biased: an interval would hide it"
    if estimator.name in shared:
        return shared[estimator.name], ""
    if estimator.name in (*WEIGHTED, *DOUBLY):
        return None, "nothing varies"
    try:
        return student_t(terms, alpha=alpha), ""
    except NotEnoughData:
        return None, "nothing varies"


def _cells(e: Estimate) -> tuple[str, str, str, str]:
    value = "–" if e.value is None else f"{e.value:.4g}"
    low_high = f"[{e.interval.low:.4g}, {e.interval.high:.4g}]" if e.interval else "–"
    return f"{e.estimator:<20}", f"{value:>9}", f"{low_high:>22}", f" {e.note}"
