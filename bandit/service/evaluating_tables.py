"""An evaluation as flat rows, for spreadsheets and notebooks; pure."""

from bandit.ope import Interval
from bandit.service.evaluating_results import CandidateResult, EvaluationRun
from bandit.service.reporting_tables import Row


def candidate_rows(run: EvaluationRun) -> list[Row]:
    """One row per candidate; what a verdict refuses is empty."""
    return [_row(run, candidate) for candidate in run.candidates]


def _row(run: EvaluationRun, candidate: CandidateResult) -> Row:
    evaluation, gain = candidate.evaluation, candidate.gain
    late = candidate.late.best if candidate.late else None
    return {
        "candidate": candidate.name,
        "type": candidate.spec.type,
        "arguments": candidate.spec.arguments,
        "verdict": evaluation.verdict,
        "reasons": " ".join(evaluation.reasons),
        "estimator": evaluation.headline,
        "value": candidate.value,
        **_ends("value", candidate.interval),
        **_ends("anytime", candidate.anytime),
        "logged": run.logged,
        "gain": gain.gain if gain else None,
        **_ends("gain", gain.interval if gain else None),
        **_ends("anytime_gain", candidate.anytime_gain),
        "late_value": late.value if late else None,
        **_ends("late_value", late.interval if late else None),
        "n": evaluation.diagnostics.n,
        "ess": evaluation.diagnostics.ess,
        "max_weight": evaluation.diagnostics.max_weight,
        "lessons_n": candidate.lessons_n,
        "accepted_n": candidate.accepted_n,
        "digest": candidate.digest,
    }


def _ends(name: str, interval: Interval | None) -> Row:
    return {
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }
