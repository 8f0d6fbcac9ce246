"""What a context may be, before anybody looks inside."""

from bandit.errors import RecordError

MOST_BYTES = 65_536
"""Of a context's JSON: targeting reads all of it, on the event loop."""


def check_context(context: bytes) -> None:
    """Refuse a context that is no object or too large to be looked at.

    Raises:
        RecordError: With what it is and must be.
    """
    if len(context) > MOST_BYTES:
        raise RecordError(
            f"context has {len(context)} bytes, must have at most {MOST_BYTES} - at `$.context`"
        )
    if not context.lstrip().startswith(b"{"):
        raise RecordError("context is no JSON object, must be one - at `$.context`")
