"""Columns of a batch: checked, and cut to the rows that importance weights may use."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandit.errors import BadPropensity, RecordError
from bandit.ope.arrays import Floats, Ints, Mask, check_shape, floats, frozen, whole_numbers

ROUNDING = 1e-6
"""How far above 1 a probability of float32 may be by its sum's rounding."""

LEAST_PROPENSITY = 1e-100
"""Below it squares of weights are no floats any more; what is drawn has more than that."""


def needed(name: str, values: Floats | None) -> Floats:
    """A column that must be there."""
    if values is None:
        raise RecordError(f"{name} is missing")
    return values


def propensity_of(p: Floats) -> Floats:
    """Raise `BadPropensity` for the first that is not in (0, 1]; rounded ones above 1 are 1."""
    good = (p > 0.0) & (p <= 1.0 + ROUNDING)
    if not good.all():
        raise BadPropensity(float(p[np.argmin(good)]))
    if len(p) and p.min() < LEAST_PROPENSITY:
        raise RecordError(
            f"propensity is {float(p.min())!r}, must be at least {LEAST_PROPENSITY!r}: nothing is "
            "drawn with less"
        )
    return floats("propensity", np.minimum(p, 1.0) if (p > 1.0).any() else p, (None,))


def probability(
    name: str, values: Floats | None, pmf: Floats | None, action: Ints | None
) -> Floats:
    """The target's probability of the action drawn, as given or from its pmf."""
    if values is None:
        if pmf is None or action is None:
            raise RecordError(f"{name} is missing: give it, or target_pmf and action")
        check_actions(action, pmf.shape[1])
        values = frozen(np.take_along_axis(pmf, action[:, None], axis=1)[:, 0])
    if len(values) and not (values.min() >= 0.0 and values.max() <= 1.0 + ROUNDING):
        raise RecordError(f"{name} holds a probability outside [0, 1]")
    return values


def check_actions(action: Ints | None, k: int) -> None:
    """Raise unless actions are of 0 … k − 1."""
    if action is not None and len(action) and not (action.min() >= 0 and action.max() < k):
        raise RecordError(f"action is outside 0 … {k - 1}")


def check_loggers(logger: Ints | None, under: Floats | None) -> None:
    """Raise where loggers are none, or could not have drawn what they drew."""
    if logger is None or not len(logger):
        return
    if logger.min() < 0:
        raise RecordError(f"logger is {int(logger.min())}, must be at least 0")
    if under is None:
        return
    if logger.max() >= under.shape[1]:
        raise RecordError(
            f"logger is {int(logger.max())}, must be a column of logger_propensity, which has "
            f"{under.shape[1]}"
        )
    own = np.take_along_axis(under, logger[:, None], axis=1)
    if not (under.min() >= 0.0 and under.max() <= 1.0 + ROUNDING and own.min() > 0.0):
        raise RecordError(
            "logger_propensity holds a probability outside [0, 1], or 0 for an action that this "
            "logger drew"
        )


def kept(
    p: Floats, actions_n: ArrayLike | None, barred: Mapping[str, ArrayLike]
) -> tuple[Mask | None, Mapping[str, int]]:
    """Which rows stay (None: all), and how many left for each reason."""
    if p.ndim != 1:
        raise RecordError(f"propensity has shape {p.shape}, must be (any)")
    masks: dict[str, Mask] = {
        reason: each_row(f"barred[{reason!r}]", mask, p.shape).astype(bool)
        for reason, mask in barred.items()
    }
    if actions_n is not None:
        masks["fixed"] = (p >= 1.0) & (each_row("actions_n", actions_n, p.shape) > 1)
    keep, counts = np.ones(p.shape, dtype=bool), {}
    for reason, mask in masks.items():
        counts[reason] = int((mask & keep).sum())
        keep &= ~mask
    return (None if keep.all() else keep), MappingProxyType({r: c for r, c in counts.items() if c})


def each_row(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """One value for each row, or one for all."""
    array = np.asarray(values)
    if array.ndim:
        check_shape(name, array.shape, shape)
    return np.broadcast_to(array, shape)


def kept_units(unit: Sequence[Any] | NDArray[Any], n: int, keep: Mask | None) -> NDArray[Any]:
    """Units of the rows that stay; None is nobody."""
    array = np.asarray(unit)
    check_shape("unit", array.shape, (n,))
    if array.dtype.kind == "O" and any(one is None for one in array):
        raise RecordError("unit holds None, must say for every decision whom it was made for")
    return frozen(array if keep is None else array[keep])


def kept_ints(name: str, values: ArrayLike | None, n: int, keep: Mask | None) -> Ints | None:
    """Whole numbers of the rows that stay."""
    if values is None:
        return None
    array = whole_numbers(name, values, (n,))
    return array if keep is None else frozen(array[keep])


def as_wide(columns: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Tables as wide as the widest, the further actions at 0."""
    if columns[0].ndim == 1:
        return list(columns)
    k = max(column.shape[1] for column in columns)
    return [np.pad(column, ((0, 0), (0, k - column.shape[1]))) for column in columns]


def hull(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The range that holds all ranges."""
    return min(low for low, _ in ranges), max(high for _, high in ranges)
