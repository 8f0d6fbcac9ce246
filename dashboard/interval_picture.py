"""A small picture of an interval for a row of a table, as an image that needs no request; pure."""

from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

from dashboard.charts import NEUTRAL, PALETTE

WIDE, HIGH, EDGE = 180, 24, 6
OPEN = 1.5
"""How far the scale reaches beyond the largest effect, at least; wider intervals are cut off."""
COLOURS = {"better": PALETTE[2], "worse": PALETTE[4], "open": PALETTE[0]}


class Interval(NamedTuple):
    """An effect and its interval, and whether it leaves out 0 and to which side."""

    effect: float
    low: float
    high: float
    state: str


def reach_of(intervals: Sequence[Interval]) -> float:
    """How far the scale of all rows reaches on either side of 0.

    As far as most intervals do: one that is much wider must not flatten the others.
    """
    if not intervals:
        return 1.0
    ends = sorted(max(abs(one.low), abs(one.high)) for one in intervals)
    middle = ends[len(ends) // 2]
    largest = max(abs(one.effect) for one in intervals)
    return max(OPEN * largest, middle) or 1.0


def picture(found: Interval | None, reach: float) -> str | None:
    """A line over the interval, a dot at the effect, a mark at 0; None without an interval.

    Args:
        found: What is drawn.
        reach: Of the scale, the same for all rows.
    """
    if found is None:
        return None
    low, dot, high = (_at(value, reach) for value in (found.low, found.effect, found.high))
    middle, colour = HIGH / 2, COLOURS[found.state]
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDE}' height='{HIGH}' "
        f"viewBox='0 0 {WIDE} {HIGH}'>",
        f"<line x1='{WIDE / 2}' x2='{WIDE / 2}' y1='1' y2='{HIGH - 1}' stroke='{NEUTRAL}' "
        "stroke-dasharray='3 3'/>",
        f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{middle}' y2='{middle}' stroke='{colour}' "
        "stroke-width='3'/>",
        *(
            _arrow(side, colour)
            for side, cut in ((-1, found.low < -reach), (1, found.high > reach))
            if cut
        ),
        f"<circle cx='{dot:.1f}' cy='{middle}' r='4.5' fill='{colour}'/></svg>",
    ]
    return f"data:image/svg+xml;base64,{b64encode(''.join(parts).encode()).decode()}"


def _at(value: float, reach: float) -> float:
    """Where a value is, in pixels; what is beyond the scale is at its end."""
    share = min(max(value / reach, -1.0), 1.0)
    return WIDE / 2 + share * (WIDE / 2 - EDGE)


def _arrow(side: int, colour: str) -> str:
    """The interval goes on beyond the scale."""
    tip = WIDE / 2 + side * (WIDE / 2 - 1)
    back, middle = tip - side * 6, HIGH / 2
    return (
        f"<polygon points='{tip},{middle} {back},{middle - 4} {back},{middle + 4}' "
        f"fill='{colour}'/>"
    )
