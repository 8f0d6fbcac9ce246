"""Array types of the room, and the one place where they are checked."""

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


def floats(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> Floats:
    """`values` as read-only finite floats of a shape; None in `shape` takes any length.

    Raises:
        RecordError: Another shape, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    check_shape(name, array.shape, shape)
    # A finite sum proves finite terms; only an infinite one needs the slower look at each.
    if not np.isfinite(array.sum()) and not np.isfinite(array).all():
        raise RecordError(f"{name} holds a value that is not finite")
    return frozen(array)


def whole_numbers(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> Ints:
    """`values` as read-only integers of a shape.

    Raises:
        RecordError: Another shape, or a value that is not whole.
    """
    given = np.asarray(values)
    array = given.astype(np.int64)
    check_shape(name, array.shape, shape)
    if given.dtype.kind not in "iub" and not np.array_equal(array, given):
        raise RecordError(f"{name} holds a value that is not whole")
    return frozen(array)


def check_shape(name: str, have: tuple[int, ...], want: tuple[int | None, ...]) -> None:
    """Raise unless `have` is `want`, where None stands for any length."""
    fits = len(have) == len(want) and all(
        w is None or h == w for h, w in zip(have, want, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if w is None else str(w) for w in want)
        raise RecordError(f"{name} has shape {have}, must be ({wanted})")


def check_alpha(alpha: float) -> None:
    """Raise unless `alpha` is a level's complement."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha!r}, must be in (0, 1)")
