"""What users ask of a service: so many of them a day, each so often, more in the evening."""

import math
from typing import Annotated

from msgspec import Meta

from bandit.records import Record

DAY_S = 86_400.0
PEAK_HOUR = 20.0

Positive = Annotated[float, Meta(gt=0)]


class Demand(Record, frozen=True, kw_only=True):
    """What a day is like.

    Attributes:
        users: A day.
        decisions_each: Rankings of each.
        rewards_each: Rewards of a ranking.
        actions_n: Candidates of a ranking.
        surfaces: Over which they are spread evenly; each has a policy that learns.
        peak: Of the busiest hour ÷ the mean hour.
        experiments: Whose reports are kept fresh.
    """

    users: Positive = 50e6
    decisions_each: Positive = 10.0
    rewards_each: Annotated[float, Meta(ge=0)] = 0.3
    actions_n: Annotated[int, Meta(ge=2, le=1000)] = 50
    surfaces: Annotated[int, Meta(ge=1)] = 20
    peak: Annotated[float, Meta(ge=1, le=2)] = 1.8
    experiments: Annotated[int, Meta(ge=0)] = 50

    @property
    def decisions(self) -> float:
        """Rankings a day."""
        return self.users * self.decisions_each

    def rate_at(self, hour: float) -> float:
        """Rankings a second at an hour of the day: mean · (1 + (peak − 1) · cos(2π(h − 20)/24)).

        A cosine has the day's total whatever its height, and one peak, as one time zone has.
        """
        swing = (self.peak - 1.0) * math.cos(2.0 * math.pi * (hour - PEAK_HOUR) / 24.0)
        return self.decisions / DAY_S * (1.0 + swing)

    @property
    def peak_rate(self) -> float:
        """Rankings a second at the busiest moment."""
        return self.rate_at(PEAK_HOUR)
