"""Event ids as clients bring them: read, and refused where their time can not be."""

from bandit.errors import RecordError
from bandit.event_id import EventId, read_event_id

AHEAD_MS = 3_600_000
"""How far a client's clock may be ahead of ours."""


def given_event_id(event_id: str, salt: bytes, *, now_ms: int, oldest_ms: int) -> EventId:
    """Read an event id that a client brought.

    Raises:
        RecordError: It is no UUIDv7, or its time is more than `oldest_ms` ago or more than an hour
            ahead.
    """
    try:
        read = read_event_id(event_id, salt)
    except RecordError as exc:
        raise RecordError(f"{exc} - at `$.event_id`") from exc
    if not -AHEAD_MS <= now_ms - read.ts_ms <= oldest_ms:
        raise RecordError(
            f"event_id {event_id!r} is {(now_ms - read.ts_ms) / 1000:.0f} s old, must be between "
            f"{-AHEAD_MS // 1000} and {oldest_ms // 1000} s - at `$.event_id`"
        )
    return read
