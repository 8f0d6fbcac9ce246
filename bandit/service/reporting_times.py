"""Times that reports are asked for; pure."""

import re
from datetime import UTC, datetime

from bandit.errors import RecordError

LAST_MS = 7_258_118_400_000
"""ClickHouse's times end with the year 2199."""
_OFFSET_AS_SENT = re.compile(r" (\d\d:?\d\d)$")
"""A `+` that nobody escaped in a query is a space."""


def moment_ms(text: str) -> int:
    """A time as milliseconds since 1970 UTC.

    Args:
        text: RFC 3339 with an offset, a day (its start in UTC), or the milliseconds.

    >>> moment_ms("2026-11-23T10:00:00.5+01:00"), moment_ms("2026-11-23"), moment_ms("17")
    (1795424400500, 1795392000000, 17)

    Raises:
        RecordError: It is no such thing, or not between 1970 and 2199.
    """
    try:
        at_ms = int(text) if text.isascii() and text.isdecimal() else _of_words(text)
    except (ValueError, OverflowError):
        raise RecordError(
            f"at is {text[:50]!r}, must be a time with its offset (2026-11-23T10:00:00Z), a day "
            "(2026-11-23: its start in UTC) or milliseconds since 1970 UTC"
        ) from None
    if not 0 <= at_ms <= LAST_MS:
        raise RecordError(f"at is {text[:50]!r}, must be between the years 1970 and 2199")
    return at_ms


def _of_words(text: str) -> int:
    found = datetime.fromisoformat(_OFFSET_AS_SENT.sub(r"+\1", text))
    if found.tzinfo is None:
        if len(text) > len("2026-11-23"):
            raise ValueError("no offset")
        found = found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
