"""Utilisation of each part by load, and over the day."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sims.capacity.calibration import Calibration
from sims.capacity.planning import MOST_BUSY, Needs, by_load, hours

POINTS_N = 60


def draw(calibration: Calibration, needs: Needs, path: Path) -> None:
    """Write the picture as PNG; the same numbers give the same bytes."""
    users = np.geomspace(needs.demand.users / 20.0, needs.demand.users * 5.0, POINTS_N)
    lines = by_load(calibration, needs.demand, needs.deployment, users.tolist())
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        for name, values in lines.items():
            left.plot(users / 1e6, np.minimum(values, 1.2), label=name)
        for axes in (left, right):
            axes.axhline(1.0, color="0.4", linewidth=0.8)
            axes.axhline(MOST_BUSY, color="0.7", linewidth=0.8, linestyle="--")
            axes.set_ylim(0.0, 1.2)
        left.axvline(needs.demand.users / 1e6, color="0.7", linewidth=0.8)
        left.set(xscale="log", xlabel="million users a day", ylabel="busy at the busiest moment")
        left.legend(fontsize=8)
        right.plot(range(24), hours(calibration, needs.demand, needs.deployment))
        right.set(xlabel="hour of the day", ylabel="API workers busy")
        figure.savefig(path, dpi=120, metadata={"Software": None})
