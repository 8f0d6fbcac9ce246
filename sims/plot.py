"""Curves of runs as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from sims.runner import Run


def plot(runs: Sequence[Run], path: Path) -> None:
    """Draw the mean reward so far and the regret so far of runs in one world, as a PNG."""
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 4), layout="constrained")  # a bare Figure draws with Agg
        left, right = figure.subplots(1, 2)
    for run in runs:
        rounds = [point.rounds_n for point in run.checkpoints]
        left.plot(rounds, [point.reward / point.rounds_n for point in run.checkpoints])
        right.plot(rounds, [point.regret for point in run.checkpoints], label=run.policy.key)
    left.set(title="Mean reward so far", xlabel="rounds")
    right.set(title="Regret so far", xlabel="rounds", ylim=(0, None))
    right.legend(frameon=False)
    first = runs[0]
    figure.suptitle(f"{first.world}, seed {first.seed}, learning {first.delay_n} rounds late")
    figure.savefig(path, format="png", dpi=120)
