"""ISO 8601 durations of days, hours, minutes and seconds: `P1DT12H`, `PT0.5S`."""

import re

from bandit.errors import RecordError

_DURATION = re.compile(
    r"P(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = (86_400, 3_600, 60, 1)


def duration_s(text: str) -> float:
    """Seconds of a duration.

    >>> duration_s("P1DT12H"), duration_s("PT10M"), duration_s("PT0.5S")
    (129600.0, 600.0, 0.5)

    Raises:
        RecordError: It is no such duration; years and months have no length.
    """
    found = _DURATION.fullmatch(text[:64])
    if found is None or not any(found.groups()):
        raise RecordError(
            f"duration is {text[:64]!r}, must be ISO 8601 of days to seconds: 'PT10M'"
        )
    return float(
        sum(float(n) * each for n, each in zip(found.groups(), _SECONDS, strict=True) if n)
    )


def iso_duration(seconds: float) -> str:
    """A duration as ISO 8601.

    >>> iso_duration(600), iso_duration(90_061.5), iso_duration(0)
    ('PT10M', 'P1DT1H1M1.5S', 'PT0S')
    """
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    day = f"{days:.0f}D" if days else ""
    time = "".join(
        f"{n:.12g}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if n
    )
    return f"P{day}T{time}" if time else f"P{day}" if day else "PT0S"
