"""Learning curves and gains of candidates as a picture."""

from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bandit.service.evaluating_results import EvaluationRun


def plot(run: EvaluationRun, path: Path) -> None:
    """Draw what each candidate would have earned so far, and its gain, as a PNG."""
    shown = [candidate for candidate in run.candidates if candidate.gain is not None]
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 2.5 + 0.35 * max(5, len(shown))), layout="constrained")
        left, right = figure.subplots(1, 2)
    for candidate in shown:
        points = [point for point in candidate.curve if point.value is not None]
        left.plot([p.n for p in points], [p.value or 0.0 for p in points], label=candidate.name)
    if run.logged is not None:
        left.axhline(run.logged, color="0.4", linestyle="--", label="logged")
    for row, candidate in enumerate(reversed(shown)):
        assert candidate.gain is not None
        found = candidate.gain.interval
        right.plot([found.low, found.high], [row, row], color="C0", linewidth=2)
        right.plot([candidate.gain.gain], [row], "o", color="C0")
        if candidate.anytime_gain is not None:
            ends = [candidate.anytime_gain.low, candidate.anytime_gain.high]
            right.plot(ends, [row, row], "|", color="C0", markersize=9)
    right.axvline(0.0, color="0.4", linestyle="--")
    right.set_yticks(range(len(shown)), [candidate.name for candidate in reversed(shown)])
    left.set(title="Would have earned so far, per decision", xlabel="decisions")
    right.set(title="Over the logging policies (bars: at any time)")
    if shown or run.logged is not None:
        left.legend(frameon=False)
    day = datetime.fromtimestamp(run.made_at_ms / 1000, UTC).date()
    figure.suptitle(f"{run.surface}, {run.n} decisions, as of {day}")
    figure.savefig(path, format="png", dpi=120)
