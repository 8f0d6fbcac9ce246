"""Metrics: from rewards or outcomes to one number per unit."""

from typing import ClassVar, Literal

from bandit.errors import BadSpec
from bandit.specs.base import Spec


class Metric(Spec, frozen=True, kw_only=True):
    """A rule from rewards or outcomes to one number per unit.

    Attributes:
        source: `reward`: the top slots' rewards of a unit's decisions; `outcome`: its outcomes.
        name: Only rewards or outcomes of this name; empty: all of them.
        per: `decision` = the unit's mean per decision, `unit` = the unit's sum.
        better: Which direction is good.
    """

    kind: ClassVar[str] = "metric"

    source: Literal["reward", "outcome"]
    name: str = ""
    per: Literal["decision", "unit"] = "unit"
    better: Literal["higher", "lower"] = "higher"
    description: str = ""

    def __post_init__(self) -> None:
        if self.source == "outcome" and self.per == "decision":
            raise BadSpec("an outcome belongs to no decision, must be counted per unit")
