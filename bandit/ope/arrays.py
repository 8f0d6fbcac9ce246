"""Array types of the room, and the one place where they are checked."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandit.errors import RecordError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view; the caller's own array stays writable."""
    view = array.view()
    view.setflags(write=False)
    return view


def numbers(name: str, values: ArrayLike) -> Floats:
    """`values` as floats of whatever shape.

    Raises:
        RecordError: Not numbers, or rows of several lengths.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise RecordError(f"{name} must be numbers, in rows of one length: {exc}") from exc


def floats(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> Floats:
    """`values` as read-only finite floats of a shape; None in `shape` takes any length.

    Raises:
        RecordError: Another shape, or a value that is not finite.
    """
    array = numbers(name, values)
    check_shape(name, array.shape, shape)
    # A finite sum proves finite terms; only an infinite one needs the slower look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()
    if not np.isfinite(total) and not np.isfinite(array).all():
        raise RecordError(f"{name} holds a value that is not finite")
    return frozen(array)


def whole_numbers(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> Ints:
    """`values` as read-only integers of a shape.

    Raises:
        RecordError: Another shape, or a value that is not whole.
    """
    given = values if isinstance(values, np.ndarray) else numbers(name, values)
    check_shape(name, given.shape, shape)
    if given.dtype.kind not in "iub":
        given = numbers(name, given)
        # NaN is not below anything.
        if not ((np.abs(given) < 2.0**53) & (given == np.floor(given))).all():
            raise RecordError(f"{name} holds a value that is not whole")
    return frozen(given.astype(np.int64))


def check_shape(name: str, have: tuple[int, ...], want: tuple[int | None, ...]) -> None:
    """Raise unless `have` is `want`, where None stands for any length."""
    fits = len(have) == len(want) and all(
        w is None or h == w for h, w in zip(have, want, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if w is None else str(w) for w in want)
        raise RecordError(f"{name} has shape {have}, must be ({wanted})")


def check_range(span: tuple[float, float]) -> None:
    """Raise unless rewards can be in it: two finite numbers, the lower first."""
    low, high = span
    if not (low < high and math.isfinite(high - low)):
        raise RecordError(f"reward_range is ({low}, {high}), must be two numbers, lower first")


def check_alpha(alpha: float) -> None:
    """Raise unless `alpha` is a level's complement."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha!r}, must be in (0, 1)")
