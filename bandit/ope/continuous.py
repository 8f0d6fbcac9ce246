"""Continuous actions: decisions near to the target's count, by a kernel."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bandit.errors import RecordError
from bandit.ope.arrays import Floats, floats
from bandit.ope.terms import Terms

KERNELS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "gaussian": lambda u: np.exp(-(u**2) / 2.0) / math.sqrt(2.0 * math.pi),
        "epanechnikov": lambda u: np.where(np.abs(u) <= 1.0, 0.75 * (1.0 - u**2), 0.0),
        "triangular": lambda u: np.where(np.abs(u) <= 1.0, 1.0 - np.abs(u), 0.0),
        "cosine": lambda u: np.where(np.abs(u) <= 1.0, math.pi / 4 * np.cos(math.pi / 2 * u), 0.0),
    }
)
FORMS = ("ips", "snips", "dr")


@dataclass(frozen=True)
class Kernel:
    """IPS, SNIPS or DR with weights K((a' − a) ÷ h) ÷ (h·density).

    Biased by O(h²), so a narrow bandwidth h is right and loud.

    Source: Kallus & Zhou (2018), "Policy evaluation and optimization with continuous treatments",
    eqs. 3 and 4.

    Attributes:
        bandwidth: h > 0.
        kernel: One of `KERNELS`.
        form: Which estimator.
    """

    bandwidth: float
    kernel: str = "gaussian"
    form: Literal["ips", "snips", "dr"] = "snips"

    def terms(
        self,
        *,
        action: ArrayLike,
        density: ArrayLike,
        target: ArrayLike,
        reward: ArrayLike,
        predicted: ArrayLike | None = None,
        direct: ArrayLike | None = None,
    ) -> Terms:
        """Contributions of `n` decisions.

        Args:
            action: `(n,)` the number drawn.
            density: `(n,)` the behaviour policy's density there, above 0.
            target: `(n,)` the number that the target would have taken.
            reward: `(n,)` what came of it.
            predicted: `(n,)` a model's reward at `action` (`dr`).
            direct: `(n,)` its reward at `target` (`dr`).

        >>> Kernel(0.5, "triangular", "ips").terms(
        ...     action=[0.0, 1.0], density=[1.0, 1.0], target=[0.25, 0.25], reward=[1.0, 1.0]).value
        0.5
        """
        a = floats("action", action, (None,))
        n = len(a)
        p, r = floats("density", density, (n,)), floats("reward", reward, (n,))
        if not ((p > 0.0).all() and self.bandwidth > 0.0 and self.kernel in KERNELS):
            raise RecordError("density and bandwidth must be above 0, kernel one of KERNELS")
        if self.form not in FORMS:
            raise RecordError(f"form is {self.form!r}, must be one of {', '.join(FORMS)}")
        gap = (floats("target", target, (n,)) - a) / self.bandwidth
        with np.errstate(over="ignore"):  # whatever is that far away has no weight
            weights = KERNELS[self.kernel](gap) / (self.bandwidth * p)
        if self.form == "dr":
            if predicted is None or direct is None:
                raise RecordError("kernel DR needs predicted and direct")
            residual = r - floats("predicted", predicted, (n,))
            start = floats("direct", direct, (n,))
            return Terms(start, (weights * residual)[None], np.ones((1, n)))
        per = weights if self.form == "snips" else np.ones(n)
        return Terms(np.zeros(n), (weights * r)[None], per[None])
