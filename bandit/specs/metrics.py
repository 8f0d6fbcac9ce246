"""Metrics: from rewards or outcomes to one number per unit."""

from typing import Annotated, ClassVar, Literal

import msgspec

from bandit.errors import BadSpec
from bandit.records import Record
from bandit.specs.base import Spec
from bandit.wire import Key

Source = Literal["reward", "outcome"]
MetricType = Literal["sum", "count", "mean", "proportion", "ratio", "quantile", "retention"]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=365 * 86_400)]
Finite = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]


class Denominator(Record, frozen=True, kw_only=True):
    """What a ratio metric divides by, added up over the same unit and the same time.

    Attributes:
        source: `decision`: the unit's seen decisions, each 1; else as of a metric.
        name: Only rewards or outcomes of this name; empty: all of them.
        type: Of rewards and outcomes: their `sum`, or their `count`.
        at_least, at_most: Only values in this range.
    """

    source: Literal["reward", "outcome", "decision"] = "decision"
    name: str = ""
    type: Literal["sum", "count"] = "sum"
    at_least: Finite | None = None
    at_most: Finite | None = None


class Metric(Spec, frozen=True, kw_only=True):
    """A rule from rewards or outcomes to one number per unit.

    What is counted are *events* from a unit's first exposure to the experiment on: the rewards of
    the top slots of its seen decisions (one event a decision, its value what the decision earned),
    or its outcomes.

    Attributes:
        source: `reward`: the top slots' rewards of a unit's decisions; `outcome`: its outcomes.
        name: Only rewards or outcomes of this name; empty: all of them.
        type: A unit's number. `sum` and `count` of its events; `mean` of their values (units
            without any are left out); `proportion`: 1 if it has any, else 0; `ratio`: its sum, for
            Σ sums ÷ Σ `denominator` over units; `quantile`: its sum, for a quantile over units;
            `retention`: 1 if it has an event in `[from_s, from_s + window_s)`, else 0.
        per: `decision` = a sum divided by the number of the unit's seen decisions.
        at_least, at_most: Only events whose value is in this range.
        denominator: Of a `ratio`.
        quantile: Of a `quantile`.
        from_s: Only events at least so long after the unit's first exposure.
        window_s: Only events less than `from_s + window_s` after it, and only units for which all
            of that time is over; None: all the time there is.
        cap: A unit's number above it counts as it.
        cap_quantile: The same with this quantile of all variants' units, found once there are
            1,000 and frozen.
        covariate_window_s: Take out of the unit's number what its own number from so long before
            its first exposure foretells (CUPED).
        covariates: Other metrics whose numbers from that time are used, too.
        better: Which direction is good.
        margin: As a guardrail it may be worse than the control by so much: as a share of the
            control (`relative`), or absolutely.
    """

    kind: ClassVar[str] = "metric"

    source: Source
    name: str = ""
    type: MetricType = "sum"
    per: Literal["decision", "unit"] = "unit"
    at_least: Finite | None = None
    at_most: Finite | None = None
    denominator: Denominator | None = None
    quantile: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    from_s: Annotated[float, msgspec.Meta(ge=0, le=365 * 86_400)] = 0.0
    window_s: Seconds | None = None
    cap: Finite | None = None
    cap_quantile: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] | None = None
    covariate_window_s: Seconds | None = None
    covariates: Annotated[list[Key], msgspec.Meta(max_length=10)] = []
    better: Literal["higher", "lower"] = "higher"
    margin: Annotated[float, msgspec.Meta(gt=0, le=1e15)] = 0.05
    margin_scale: Literal["relative", "absolute"] = "relative"
    description: str = ""

    def __post_init__(self) -> None:
        if self.per == "decision" and (self.source == "outcome" or self.type != "sum"):
            what = "an outcome" if self.source == "outcome" else f"a {self.type}"
            raise BadSpec(f"{what} belongs to no decision, must be counted per unit")
        for name, given, kind in (
            ("denominator", self.denominator is not None, "ratio"),
            ("quantile", self.quantile is not None, "quantile"),
        ):
            if given != (self.type == kind):
                raise BadSpec(
                    f"a {self.type} has {'a' if given else 'no'} {name}, "
                    f"must have {'none' if given else 'one'}: it is what a {kind} needs"
                )
        if self.type == "retention" and self.window_s is None:
            raise BadSpec("a retention has no window_s, must say how long it looks for events")
        if self.cap is not None and self.cap_quantile is not None:
            raise BadSpec("cap and cap_quantile are both given, must be one of them")
        if self.type in ("proportion", "retention", "quantile", "ratio") and (
            self.cap is not None or self.cap_quantile is not None
        ):
            raise BadSpec(
                f"a {self.type} has a cap, must have none: only sums, counts and means do"
            )
        if self.covariates and self.covariate_window_s is None:
            raise BadSpec("covariates are given, must come with covariate_window_s")
        if self.covariate_window_s is not None and self.type == "quantile":
            raise BadSpec("a quantile has a covariate_window_s, must have none")
        for low, high in ((self.at_least, self.at_most), *_bounds(self.denominator)):
            if low is not None and high is not None and low > high:
                raise BadSpec(f"at_least is {low!r} and at_most {high!r}, must not be above it")


def _bounds(denominator: Denominator | None) -> list[tuple[float | None, float | None]]:
    return [] if denominator is None else [(denominator.at_least, denominator.at_most)]
