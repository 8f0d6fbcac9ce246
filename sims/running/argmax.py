"""`bandit.policies.argmax` for many rows at once: the same grids, the same numbers up to rounding.

Each row has its own grid there, so a row with fewer nodes than the longest repeats its last one
here, which adds nothing to any sum.
"""

import math

import numpy as np
import numpy.typing as npt

from bandit.policies.argmax import (
    _CELLS,
    _COARSE,
    _EDGE,
    _FALLEN,
    _FINEST,
    _NOTHING,
    _STEP,
    _normal_table,
)

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
_WINDOWS_N = 8_192  # of Beta variables: 4 kB each


def normal_argmax(means: Floats, sds: Floats) -> Floats:
    """Probability of each independent normal variable of a row to be its largest.

    Args:
        means: `(n, k)`; −∞ for what is not offered.
        sds: `(n, k)`, above 0.

    Returns:
        `(n, k)`; each row sums to 1.
    """
    return _argmax(means - _EDGE * sds, 2 * _EDGE * sds, _normal_table(), None)


class BetaArgmax:
    """The same for Beta variables, whose tables of log F it keeps while they are asked for."""

    def __init__(self) -> None:
        self._rows: dict[tuple[float, float], int] = {}
        self._tables = np.empty((0, _CELLS + 1))
        self._lows = np.empty(0)
        self._widths = np.empty(0)

    def rows_of(self, alphas: Floats, betas: Floats) -> Places:
        """Places of variables in the tables, `(m,)`; they hold until `forget`."""
        keys = list(zip(alphas.tolist(), betas.tolist(), strict=True))
        new = list(dict.fromkeys(key for key in keys if key not in self._rows))
        if new:
            lows, widths, tables = _windows(np.array(new))
            first = len(self._rows)
            if first + len(new) > len(self._lows):
                self._grow(max(first + len(new), min(2 * len(self._lows), _WINDOWS_N)))
            self._lows[first : first + len(new)] = lows
            self._widths[first : first + len(new)] = widths
            self._tables[first : first + len(new)] = tables
            self._rows.update(zip(new, range(first, first + len(new)), strict=True))
        return np.array([self._rows[key] for key in keys], dtype=np.intp)

    def full(self, most: int = _WINDOWS_N) -> bool:
        """Whether it is time to `forget`, and to ask for the places of all that is in use again."""
        return len(self._rows) > most

    def forget(self) -> None:
        """Begin with no tables."""
        self._rows.clear()

    def __call__(self, rows: Places, offered: npt.NDArray[np.bool_] | None) -> Floats:
        """Probability of each variable of a row to be its largest.

        Args:
            rows: `(n, k)`, what `rows_of` gave.
            offered: `(n, k)`, or None if all are.
        """
        lows, widths = self._lows[rows], self._widths[rows]
        if offered is not None:
            lows = np.where(offered, lows, -np.inf)
        return _argmax(lows, widths, self._tables.reshape(-1), rows * (_CELLS + 1))

    def _grow(self, n: int) -> None:
        used = len(self._rows)
        for name, shape in (("_tables", (n, _CELLS + 1)), ("_lows", (n,)), ("_widths", (n,))):
            wide = np.empty(shape)
            wide[:used] = getattr(self, name)[:used]
            setattr(self, name, wide)


def _windows(pairs: Floats) -> tuple[Floats, Floats, Floats]:
    """Left edges, widths and log F of Beta variables, as `beta_window` has them."""
    sines, cosines = 2.0 * pairs[:, 0] - 1.0, 2.0 * pairs[:, 1] - 1.0
    mode = np.arctan(np.sqrt(sines / cosines))
    low = mode - _reach(mode, sines, cosines)
    high = mode + _reach(0.5 * math.pi - mode, cosines, sines)
    theta = low[:, None] + (high - low)[:, None] * (np.arange(2 * _CELLS + 1) / (2 * _CELLS))
    log_f = sines[:, None] * np.log(np.maximum(np.sin(theta), 1e-300))
    log_f += cosines[:, None] * np.log(np.maximum(np.cos(theta), 1e-300))
    f = np.exp(log_f - log_f.max(axis=1, keepdims=True))
    cdf = np.cumsum(f[:, :-2:2] + 4.0 * f[:, 1::2] + f[:, 2::2], axis=1)
    log_cdf = np.empty((len(pairs), _CELLS + 1))
    np.log(cdf / cdf[:, -1:], out=log_cdf[:, 1:])
    log_cdf[:, 0] = log_cdf[:, 1] - 3.0
    return low, high - low, log_cdf


def _reach(mode: Floats, sines: Floats, cosines: Floats) -> Floats:
    """How far below their modes densities are of any account."""
    top = sines * np.log(np.sin(mode)) + cosines * np.log(np.cos(mode))
    near, far = np.zeros_like(mode), mode.copy()
    for _ in range(40):
        middle = 0.5 * (near + far)
        theta = mode - middle
        fallen = top - sines * np.log(np.sin(theta)) - cosines * np.log(np.cos(theta))
        inside = fallen < _FALLEN
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return far


def _argmax(lows: Floats, widths: Floats, tables: Floats, offsets: Places | None) -> Floats:
    """P(argmax) of each row's variables, given by their windows, all `(n, k)`."""
    highs = lows + widths
    low, high = lows.max(axis=1), highs.max(axis=1)
    matter = highs > low[:, None]
    pmf = np.where(matter, 1.0, 0.0)
    open_ = np.flatnonzero(matter.sum(axis=1) > 1)
    if not len(open_):
        return pmf
    low, high, matter = low[open_], high[open_], matter[open_]
    lows, widths = lows[open_], widths[open_]
    offsets = None if offsets is None else offsets[open_]
    x, last = _graded(low, high, np.where(matter, widths, np.inf).min(axis=1), _COARSE)
    log_h = _log_cdfs(x, matter, lows, widths, tables, offsets).sum(axis=1)
    begin = np.maximum((log_h < _NOTHING).sum(axis=1) - 1, 0)
    low = np.take_along_axis(x, np.minimum(begin, last)[:, None], axis=1)[:, 0]
    matter &= lows + widths > low[:, None]
    found = np.where(matter, 1.0, 0.0)
    many = np.flatnonzero(matter.sum(axis=1) > 1)
    if len(many):
        # Only what matters, moved to the left: there is less of it the more is known.
        order = np.argsort(~matter[many], axis=1, kind="stable")
        order = order[:, : int(matter[many].sum(axis=1).max())]
        at = (many[:, None], order)
        x, _ = _graded(
            low[many], high[many], np.where(matter[many], widths[many], np.inf).min(axis=1), _STEP
        )
        log_cdfs = _log_cdfs(
            x, matter[at], lows[at], widths[at], tables, None if offsets is None else offsets[at]
        )
        log_h = log_cdfs.sum(axis=1)
        fine = _cells(log_cdfs, log_h)
        coarse = _cells(log_cdfs[:, :, ::2], log_h[:, ::2])
        shares = np.where(matter[at], np.maximum((4.0 * fine - coarse) / 3.0, 0.0), 0.0)
        found[at] = shares / shares.sum(axis=1, keepdims=True)
    pmf[open_] = found
    return pmf


def _graded(low: Floats, high: Floats, width: Floats, step: float) -> tuple[Floats, Places]:
    """Nodes of each row, `(n, nodes)`, and the place of its last own one."""
    unit = _FINEST * width
    end = np.arcsinh((high - low) / unit)
    steps_n = 2 * np.ceil(end / step / 2)
    numbers = np.minimum(np.arange(int(steps_n.max()) + 1)[None, :], steps_n[:, None])
    x = low[:, None] + unit[:, None] * np.sinh(numbers * (end / steps_n)[:, None])
    return x, steps_n.astype(np.intp)


def _log_cdfs(
    x: Floats,
    matter: npt.NDArray[np.bool_],
    lows: Floats,
    widths: Floats,
    tables: Floats,
    offsets: Places | None,
) -> Floats:
    """The log F of each variable at each node, `(n, k, nodes)`; 0 of those that do not matter."""
    # What does not matter is read at the end of its table, where log F is 0.
    low, scale = np.where(matter, lows, 0.0), np.where(matter, _CELLS / widths, 0.0)
    places = (x[:, None, :] - low[:, :, None]) * scale[:, :, None]
    np.clip(places, 0.0, _CELLS - 1e-9, out=places)
    cells = places.astype(np.intp)
    places -= cells
    if offsets is not None:
        cells += offsets[:, :, None]
    left = tables.take(cells)
    cells += 1
    places *= tables.take(cells) - left
    places += left
    places[~matter] = 0.0
    return places


def _cells(log_cdfs: Floats, log_h: Floats) -> Floats:
    """Σ ΔH · Δlog F_i / Δlog H, `(n, k)`."""
    h = np.exp(log_h)
    steps = log_h[:, 1:] - log_h[:, :-1]
    share = np.divide(h[:, 1:] - h[:, :-1], steps, out=np.zeros_like(steps), where=steps > 0.0)
    return np.asarray(np.einsum("nij,nj->ni", log_cdfs[:, :, 1:] - log_cdfs[:, :, :-1], share))
