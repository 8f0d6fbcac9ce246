"""How much of alpha may have been spent by a share of the planned information."""

import math
from typing import Literal

from scipy.special import ndtr, ndtri

from bandit.records import Record
from bandit.stats.sequential.checks import check_above_zero, check_finite, check_level


class Spending(Record, frozen=True, kw_only=True):
    """A spending function: 0 at the start, all of alpha at the planned end.

    * `obrien_fleming` 2·(1 − Φ(z_{α/2}/√t)): nearly nothing early, the end is nearly a fixed test.
    * `pocock` α·log(1 + (e − 1)t): the same chance at each look, an end that is harder to pass.
    * `power` α·t^ρ: in between; ρ = 2 is Spotify's, 1 spends evenly.
    * `hwang_shih_decani` α·(1 − e^(−γt))/(1 − e^(−γ)): γ = −4 is near O'Brien–Fleming, 1 near
      Pocock, 0 spends evenly.

    Attributes:
        kind: The family.
        parameter: ρ > 0 of `power`, γ of `hwang_shih_decani`; the others have none.

    Source: Lan, DeMets (1983), "Discrete sequential boundaries for clinical trials"; Kim, DeMets
    (1987) for `power`; Hwang, Shih, De Cani (1990).

    >>> half = {kind: Spending(kind=kind).spent(0.5, 0.05) for kind in ("obrien_fleming", "pocock")}
    >>> {kind: round(spent, 4) for kind, spent in half.items()}
    {'obrien_fleming': 0.0056, 'pocock': 0.031}
    """

    kind: Literal["obrien_fleming", "pocock", "power", "hwang_shih_decani"] = "obrien_fleming"
    parameter: float | None = None

    def __post_init__(self) -> None:
        wants = self.kind in ("power", "hwang_shih_decani")
        if wants != (self.parameter is not None):
            need = "a parameter" if wants else "no parameter"
            raise ValueError(f"{self.kind} has parameter {self.parameter!r}, must have {need}")
        if self.parameter is not None:
            check_finite("parameter", self.parameter)
        if self.kind == "power" and self.parameter is not None:
            check_above_zero("parameter", self.parameter)

    def spent(self, fraction: float, alpha: float) -> float:
        """Alpha spent by `fraction` of the planned information; all of it from 1 on."""
        check_level(alpha)
        if fraction <= 0.0:
            return 0.0
        if fraction >= 1.0:
            return alpha
        if self.kind == "obrien_fleming":
            return 2.0 * float(ndtr(float(ndtri(alpha / 2.0)) / math.sqrt(fraction)))
        if self.kind == "pocock":
            return alpha * math.log1p((math.e - 1.0) * fraction)
        parameter = self.parameter or 0.0
        if self.kind == "power":
            return float(alpha * fraction**parameter)
        if parameter == 0.0:
            return alpha * fraction
        return alpha * math.expm1(-parameter * fraction) / math.expm1(-parameter)


OBRIEN_FLEMING = Spending()
"""The default: power 79 % where a fixed test has 80 %, and it may still stop early."""
