"""The probability of each of k independent variables to be the largest, without drawing any.

Posterior sampling (Thompson) plays an action with the probability that its worth is the largest.
Counting samples would give that with noise; a propensity that is logged must be the number that is
drawn with, so it is integrated: with F_i the distribution functions and H = Π F_j, that of the
largest,

    P(i) = ∫ H(x) d log F_i(x) ≈ Σ_cells ΔH · Δlog F_i / Δlog H

which is positive and sums to ΔH exactly, cell by cell. One Richardson step over the same grid with
every second node left out makes it of fourth order.

The grid is graded: below `low`, the largest left edge of any variable, nothing can be the largest.
So every variable that matters has `low` inside its own window, and a grid that is as fine as the
narrowest window at `low`, and coarsens in proportion to the distance from it, resolves all scales
at once. Error below 1e-4 (measured: 4e-5 at worst, over scales whose ratios went up to 1e5).

Source:
    Thompson 1933, "On the likelihood that one unknown probability exceeds another in view of the
    evidence of two samples", Biometrika 25; Richardson 1911 for the extrapolation.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.policies.cache import Generations

Floats = npt.NDArray[np.float64]

_EDGE = 5.5  # of a normal's window, in standard deviations: 2e-8 is beyond
_FALLEN = 18.0  # log-density at the edges of a Beta's, below its mode: 1e-8 is beyond
_CELLS = 512  # of a window's table; log F is linear inside a cell
_STEP, _COARSE = 0.075, 0.5  # of the graded grid
_FINEST = 2.0 / (2 * _EDGE)  # where the grid begins to coarsen, as a share of the narrowest window
_NOTHING = math.log(1e-7)  # below it, H is taken for 0


class Window(NamedTuple):
    """Where a variable varies, and log F there at `_CELLS + 1` evenly spaced places."""

    low: float
    width: float
    log_cdf: Floats


def normal_argmax(means: Floats, sds: Floats) -> list[float]:
    """Probability of each independent normal variable to be the largest.

    >>> [round(p, 4) for p in normal_argmax(np.array([0.0, 1.0]), np.array([0.6, 0.8]))]
    [0.1587, 0.8413]

    Args:
        means: `(k,)`, k ≥ 1.
        sds: `(k,)`, standard deviations above 0.

    Returns:
        `(k,)`, sums to 1; exactly 0 where it would be some 1e-8 or less.
    """
    return _argmax(means - _EDGE * sds, 2 * _EDGE * sds, _normal_table(), None)


def beta_argmax(alphas: Sequence[float], betas: Sequence[float]) -> list[float]:
    """Probability of each independent Beta variable to be the largest.

    >>> [round(p, 4) for p in beta_argmax([1.0, 3.0], [1.0, 1.0])]
    [0.25, 0.75]

    Args:
        alphas: `(k,)`, k ≥ 1, each at least 1.
        betas: The same.

    Returns:
        As `normal_argmax`.
    """
    windows = [beta_window(a, b) for a, b in zip(alphas, betas, strict=True)]
    return _argmax(
        np.array([window.low for window in windows]),
        np.array([window.width for window in windows]),
        np.concatenate([window.log_cdf for window in windows]),
        np.arange(len(windows)) * (_CELLS + 1),
    )


def beta_window(alpha: float, beta: float) -> Window:
    """The window of asin √X of a Beta variable X; on that scale the largest is the same one.

    Its density is ∝ sin(θ)^(2α−1) · cos(θ)^(2β−1), whose width hardly depends on where X is
    (Anscombe's scale), and whose tails are a normal's or cut off, never long: X itself has a tail
    like x^α near 0, which no grid that fits the rest of it would resolve.

    Source:
        Anscombe 1948, "The transformation of Poisson, binomial and negative-binomial data".
    """
    key = (alpha, beta)
    window = _windows.get(key)
    if window is None:
        window = _integrate(alpha, beta)
        _windows.put(key, window)
    return window


_windows: Generations[tuple[float, float], Window] = Generations(2_048)  # 4 kB each


@functools.cache
def _normal_table() -> Floats:
    z = np.linspace(-_EDGE, _EDGE, _CELLS + 1)
    table = np.array([math.log(0.5 * math.erfc(-x / math.sqrt(2.0))) for x in z.tolist()])
    table[-1] = 0.0
    return table


def _integrate(alpha: float, beta: float) -> Window:
    """Simpson's rule in each cell, so that the nodes lie where the cells end."""
    sines, cosines = 2.0 * alpha - 1.0, 2.0 * beta - 1.0
    mode = math.atan(math.sqrt(sines / cosines))
    low = mode - _reach(mode, sines, cosines)
    high = mode + _reach(0.5 * math.pi - mode, cosines, sines)
    theta = np.linspace(low, high, 2 * _CELLS + 1)
    log_f = sines * np.log(np.maximum(np.sin(theta), 1e-300))
    log_f += cosines * np.log(np.maximum(np.cos(theta), 1e-300))
    f = np.exp(log_f - log_f.max())
    cdf = np.cumsum(f[:-2:2] + 4.0 * f[1::2] + f[2::2])
    log_cdf = np.empty(_CELLS + 1)
    np.log(cdf / cdf[-1], out=log_cdf[1:])
    log_cdf[0] = log_cdf[1] - 3.0  # as good as nothing, and finite
    return Window(low, high - low, log_cdf)


def _reach(mode: float, sines: float, cosines: float) -> float:
    """How far below its mode sin^sines · cos^cosines is, at the most, of any account."""
    top = sines * math.log(math.sin(mode)) + cosines * math.log(math.cos(mode))
    near, far = 0.0, mode
    for _ in range(40):
        middle = 0.5 * (near + far)
        theta = mode - middle
        fallen = top - sines * math.log(math.sin(theta)) - cosines * math.log(math.cos(theta))
        near, far = (middle, far) if fallen < _FALLEN else (near, middle)
    return far


def _argmax(
    lows: Floats, widths: Floats, tables: Floats, offsets: npt.NDArray[np.intp] | None
) -> list[float]:
    """P(argmax) of variables given by their windows.

    Args:
        lows: `(k,)`, left edges.
        widths: `(k,)`.
        tables: log F of each window, one after the other, or one that is everybody's.
        offsets: `(k,)`, where each one's begins; None: everybody's at 0.
    """
    k = len(lows)
    low, high = float(lows.max()), float((lows + widths).max())
    matter = np.flatnonzero(lows + widths > low)
    if len(matter) > 1:
        x = _graded(low, high, float(widths[matter].min()), _COARSE)
        log_h = _log_cdfs(x, matter, lows, widths, tables, offsets).sum(axis=0)
        low = float(x[max(int(np.searchsorted(log_h, _NOTHING)) - 1, 0)])
        matter = matter[lows[matter] + widths[matter] > low]
    pmf = np.zeros(k)
    if len(matter) == 1:
        pmf[matter] = 1.0
        return pmf.tolist()
    x = _graded(low, high, float(widths[matter].min()), _STEP)
    log_cdfs = _log_cdfs(x, matter, lows, widths, tables, offsets)
    log_h = log_cdfs.sum(axis=0)
    fine = _cells(log_cdfs, log_h)
    coarse = _cells(log_cdfs[:, ::2], log_h[::2])
    found = np.maximum((4.0 * fine - coarse) / 3.0, 0.0)
    pmf[matter] = found / found.sum()
    return pmf.tolist()


def _graded(low: float, high: float, width: float, step: float) -> Floats:
    """Nodes from `low` to `high`, an odd number of them."""
    unit = _FINEST * width
    end = math.asinh((high - low) / unit)
    steps_n = 2 * math.ceil(end / step / 2)
    return np.asarray(low + unit * np.sinh(np.arange(steps_n + 1) * (end / steps_n)))


def _log_cdfs(
    x: Floats,
    matter: npt.NDArray[np.intp],
    lows: Floats,
    widths: Floats,
    tables: Floats,
    offsets: npt.NDArray[np.intp] | None,
) -> Floats:
    """The log F of each variable that matters at each node, `(k, nodes)`."""
    places = (x - lows[matter, None]) * (_CELLS / widths[matter])[:, None]
    np.clip(places, 0.0, _CELLS - 1e-9, out=places)
    cells = places.astype(np.intp)
    places -= cells
    if offsets is not None:
        cells += offsets[matter, None]
    left = tables.take(cells)
    cells += 1
    places *= tables.take(cells) - left
    places += left
    return places


def _cells(log_cdfs: Floats, log_h: Floats) -> Floats:
    """Σ ΔH · Δlog F_i / Δlog H."""
    h = np.exp(log_h)
    steps = log_h[1:] - log_h[:-1]
    share = np.divide(h[1:] - h[:-1], steps, out=np.zeros_like(steps), where=steps > 0.0)
    return np.asarray(np.einsum("ij,j->i", log_cdfs[:, 1:] - log_cdfs[:, :-1], share))
