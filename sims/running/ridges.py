"""Ridge regressions of many seeds and actions at once."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


class Ridges:
    """For each seed and action A⁻¹ and w = A⁻¹·b; A = ridge·I + Σ x·xᵀ, b = Σ r·x.

    One lesson with v = A⁻¹·x: A⁻¹ − v·vᵀ/(1 + xᵀ·v), and w + v·(r − xᵀ·w)/(1 + xᵀ·v).

    Source: Sherman, Morrison (1950), "Adjustment of an inverse matrix corresponding to a change in
    one element of a given matrix".

    Args:
        seeds_n, actions_n, dimensions: Sizes; the constant is one of the dimensions.
        ridge: Above 0.
    """

    def __init__(self, seeds_n: int, actions_n: int, dimensions: int, ridge: float) -> None:
        self._inverse = np.zeros((seeds_n, actions_n, dimensions, dimensions))
        self._inverse[:, :] = np.eye(dimensions) / ridge
        self._weights = np.zeros((seeds_n, actions_n, dimensions))

    def of(self, x: Floats) -> tuple[Floats, Floats]:
        """Means and variances xᵀ·A⁻¹·x of each action in contexts `(n, d)`, `(n, k)` each."""
        seen = np.einsum("nkij,nj->nki", self._inverse, x)
        variances = np.einsum("nki,ni->nk", seen, x)
        return self.means(x), np.maximum(variances, 1e-300)

    def means(self, x: Floats) -> Floats:
        """Means of each action in contexts `(n, d)`, `(n, k)`."""
        return np.asarray(np.einsum("nki,ni->nk", self._weights, x))

    def learn(self, rows: Places, x: Floats, drawn: Places, rewards: Floats) -> None:
        """One lesson for each of some seeds."""
        inverse = self._inverse[rows, drawn]
        seen = np.einsum("nij,nj->ni", inverse, x)
        size = 1.0 + np.einsum("ni,ni->n", seen, x)
        self._inverse[rows, drawn] = inverse - np.einsum("ni,nj->nij", seen, seen / size[:, None])
        weights = self._weights[rows, drawn]
        missed = (rewards - np.einsum("ni,ni->n", weights, x)) / size
        self._weights[rows, drawn] = weights + seen * missed[:, None]


def with_constant(contexts: Floats) -> Floats:
    """Contexts `(n, d)` with 1 before each, as `bandit.policies.coordinates` has them."""
    return np.concatenate([np.ones((len(contexts), 1)), contexts], axis=1)
