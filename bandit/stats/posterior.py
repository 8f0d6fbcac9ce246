"""Integrals over independent posteriors, on meshes made of their own quantiles."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]

# In probabilities of each posterior: a narrow one beside a wide one is not missed.
_QUANTILES = ndtr(np.arange(-7.5, 7.51, 0.5))
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


class Posterior(Protocol):
    """What is known of one number; scipy's frozen distributions are such."""

    def pdf(self, x: Floats) -> Floats:
        """Density."""
        ...

    def cdf(self, x: Floats) -> Floats:
        """Chance to be at most x."""
        ...

    def ppf(self, q: Floats) -> Floats:
        """Quantiles."""
        ...

    def mean(self) -> float:
        """Mean."""
        ...


def best_chances(posteriors: Sequence[Posterior]) -> list[float]:
    """Chance of each number to be the largest: ∫ f_k·Π_{j≠k} F_j.

    >>> from scipy.stats import norm
    >>> [round(chance, 4) for chance in best_chances([norm(0, 1), norm(1, 1), norm(1, 1)])]
    [0.1132, 0.4434, 0.4434]
    """
    nodes, weights = _mesh([posterior.ppf(_QUANTILES) for posterior in posteriors])
    below = [posterior.cdf(nodes) for posterior in posteriors]
    chances = []
    for k, posterior in enumerate(posteriors):
        others = np.prod([f for j, f in enumerate(below) if j != k], axis=0)
        chances.append(float(weights @ (posterior.pdf(nodes) * others)))
    return [chance / sum(chances) for chance in chances]


def expected_losses(posteriors: Sequence[Posterior]) -> list[float]:
    """What choosing each number costs against the largest, on average: E max − E θ_k.

    >>> from scipy.stats import norm
    >>> [round(loss, 4) for loss in expected_losses([norm(0, 1), norm(0.5, 1)])]
    [0.8491, 0.3491]
    """
    nodes, weights = _mesh([posterior.ppf(_QUANTILES) for posterior in posteriors])
    below = np.array([posterior.cdf(nodes) for posterior in posteriors])
    # max − θ_k = ∫ 1{θ_k ≤ x < max} dx, and the chance of that is F_k − Π F_j.
    largest = below.prod(axis=0)
    return [max(float(weights @ (f - largest)), 0.0) for f in below]


def chance_at_most(
    control: Posterior,
    treatment: Posterior,
    bound: Callable[[Floats], Floats],
    inverse: Callable[[Floats], Floats],
) -> float:
    """P(treatment ≤ bound(control)) = ∫ f_c·F_t(bound(c)).

    Args:
        control: Posterior of c.
        treatment: Posterior of t.
        bound: Rising function of c.
        inverse: Its inverse: the mesh is fine where F_t moves.
    """
    inside = control.ppf(_QUANTILES)
    moves = np.clip(inverse(treatment.ppf(_QUANTILES)), inside[0], inside[-1])
    nodes, weights = _mesh([inside, moves])
    return float(weights @ (control.pdf(nodes) * treatment.cdf(bound(nodes))))


def _mesh(edges: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Gauss–Legendre nodes and weights between all edges."""
    points = np.unique(np.concatenate(edges))
    half = np.diff(points) / 2.0
    centres = (points[1:] + points[:-1]) / 2.0
    nodes = (centres[:, None] + half[:, None] * _NODES[None, :]).ravel()
    return nodes, (half[:, None] * _WEIGHTS[None, :]).ravel()
