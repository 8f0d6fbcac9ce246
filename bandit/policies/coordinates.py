"""Names of features → coordinates of a vector of a bounded length."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bandit.policies.features import Features

Floats = npt.NDArray[np.float64]


class Coordinates:
    """The first names to be learned get a coordinate each; later ones share them by their hash.

    Coordinate 0 is the constant's. A shared coordinate is entered with a sign that is a function of
    the name as well, so that what falls together does not add up.

    >>> coordinates = Coordinates(most=3)
    >>> coordinates.learn(("hour", "country=US"))
    >>> coordinates.vector(Features(("country=US", "hour"), (1.0, 9.0)))
    array([1., 9., 1.])

    Source:
        Weinberger et al. 2009, "Feature hashing for large scale multitask learning", section 2.
    """

    def __init__(self, most: int, names: Sequence[str] = ()) -> None:
        """None but the constant's, or those of names in their order.

        Args:
            most: Coordinates in all, the constant's counted; at least 2.
            names: What `names` gave.
        """
        self._most = most
        self._of = {name: place for place, name in enumerate(names, start=1)}

    @property
    def names(self) -> list[str]:
        """Those with a coordinate of their own, in its order."""
        return list(self._of)

    @property
    def length(self) -> int:
        """Coordinates in use."""
        return len(self._of) + 1

    def learn(self, names: Sequence[str]) -> None:
        """Give new names coordinates while there are any left."""
        of = self._of
        for name in names:
            if len(of) + 1 >= self._most:
                return
            if name not in of:
                of[name] = len(of) + 1

    def vector(self, features: Features) -> Floats:
        """Features as a vector.

        A name that was never learned counts for nothing while a coordinate is left for it.

        Returns:
            `(length,)`.
        """
        of, full = self._of, len(self._of) + 1 >= self._most
        vector = np.zeros(len(of) + 1)
        vector[0] = 1.0
        for name, value in zip(features.names, features.values, strict=True):
            place = of.get(name)
            if place is not None:
                vector[place] += value
            elif full:
                place, sign = _hashed(name, len(of))
                vector[place] += sign * value
        return vector


def _hashed(name: str, places: int) -> tuple[int, float]:
    """A coordinate in 1 … `places`, and the sign with which the name is entered there."""
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    return 1 + (number >> 1) % places, math.copysign(1.0, (number & 1) - 0.5)
