"""Learning curves with their bands, as figures and PNG."""

import base64
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandit.service.simulations import Curve, SavedRun

# Okabe & Ito's palette: told apart by people who see few colours, too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
STYLES = ("-", "--", ":", "-.")


def draw(run: SavedRun, world: str) -> Figure:
    """Mean reward so far and regret so far of every policy in a world."""
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 4), layout="constrained")  # a bare Figure draws with Agg
        left, right = figure.subplots(1, 2)
    for number, curve in enumerate(curve for curve in run.curves if curve.world == world):
        style = {
            "color": COLOURS[number % len(COLOURS)],
            "linestyle": STYLES[number // len(COLOURS) % len(STYLES)],
        }
        left.plot(curve.rounds_n, curve.reward, **style)
        right.plot(curve.rounds_n, curve.regret, label=curve.policy, **style)
        _band(left, curve, curve.reward_low, curve.reward_high, style["color"])
        _band(right, curve, curve.regret_low, curve.regret_high, style["color"])
    left.set(title="Mean reward so far", xlabel="rounds")
    right.set(title="Regret so far", xlabel="rounds", ylim=(0, None))
    right.legend(frameon=False, fontsize="small")
    seeds_n, level = len(run.options.seeds), f"{1 - run.options.alpha:.0%}"
    told = f"{seeds_n} seeds, {level} bands" if seeds_n > 1 else f"seed {run.options.seeds[0]}"
    figure.suptitle(f"{world}, {told}")
    return figure


def png(figure: Figure) -> bytes:
    """A figure as a PNG."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()


def data_url(content: bytes) -> str:
    """A PNG inside a page."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _band(
    axes: Axes, curve: Curve, low: list[float | None], high: list[float | None], colour: str
) -> None:
    known_low = [value for value in low if value is not None]
    known_high = [value for value in high if value is not None]
    if len(known_low) == len(known_high) == len(curve.rounds_n):
        axes.fill_between(
            curve.rounds_n, known_low, known_high, color=colour, alpha=0.15, linewidth=0
        )
