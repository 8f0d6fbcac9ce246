"""Event ids that clients make up: any text, mapped to event ids of ours without remembering any.

```
bucket = floor(ms / 7,200,000)                      two hours, UTC
time   = the middle of the bucket
random = 6 bytes of BLAKE2b(text, key=salt, person="event-alias")
```
Time, the surface's tag and these bytes make an event id (`bandit.event_id`). Whatever the bucket,
its middle is at most an hour from the decision: as far as the rest of the log lets an id be.

So each worker knows what the id of a text is *now*; and of one that is told of later, it knows the
few that it can be: one for each bucket that the join window touches.

Limits: a text stands for one decision per surface and bucket, so one that is used again in another
bucket is another decision; and with n texts in one bucket two of them share an id with a chance of
about n² / 2^49 (one in 560 at a million in two hours).
"""

import hashlib

from bandit.errors import RecordError
from bandit.event_id import make_event_id, read_event_id

BUCKET_MS = 7_200_000
MOST = 32
"""Candidates of one text: two days and a half, more than Personalizer lets anybody wait."""


def alias_of(text: str, tag: int, at_ms: int, salt: bytes) -> str:
    """The event id of a text that is ranked at a time.

    Args:
        text: What the client calls its event.
        tag: `surface_tag` of the surface.
        at_ms: When.
        salt: The project's secret.
    """
    named = hashlib.blake2b(
        text.encode(errors="surrogatepass"), digest_size=6, key=salt, person=b"event-alias"
    )
    middle_ms = at_ms // BUCKET_MS * BUCKET_MS + BUCKET_MS // 2
    return make_event_id(middle_ms, tag, named.digest(), salt)


def candidates_of(text: str, tag: int, now_ms: int, window_ms: int, salt: bytes) -> list[str]:
    """Event ids that a text may stand for if it was ranked in the last `window_ms`, newest first.

    An event id that we made for that surface stands for itself.
    """
    if is_ours(text, tag, salt):
        return [text]
    newest, oldest = now_ms // BUCKET_MS, (now_ms - window_ms) // BUCKET_MS
    buckets = range(newest, max(oldest, newest - MOST), -1) if newest > oldest else ()
    at = [bucket * BUCKET_MS for bucket in buckets]
    if len(at) < MOST:
        at.append(oldest * BUCKET_MS)
    return [alias_of(text, tag, ms, salt) for ms in at]


def is_ours(text: str, tag: int, salt: bytes) -> bool:
    """Whether a text is an event id that this project made for the surface of that tag."""
    try:
        return read_event_id(text, salt).surface_tag == tag
    except RecordError:
        return False
