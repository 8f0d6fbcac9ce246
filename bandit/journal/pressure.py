"""How full the disk is, how much waits for the store, and what follows from it; no file is touched.

| level | from | what stops |
| --- | --- | --- |
| `warn` | 80 % used | nothing; it is logged |
| `optional` | 90 % | decisions are thinned; assignments that were told on an earlier day are not told to the log again |
| `full` | 95 %, or a write failed since the last look | every write: decisions are answered and not logged, what comes back is to be sent again later |
"""  # noqa: E501 (a table)

import hashlib
from enum import IntEnum
from typing import NamedTuple

from bandit.journal.disk import Space
from bandit.settings import Settings

LEAST_SHARE = 2.0**-10
"""However much waits, this share of the decisions is logged as long as the disk has room."""
STEPS = 4
"""Halvings of the share from `optional` to `full`, and for each further backlog of the limit."""


class Pressure(IntEnum):
    """How much a journal may still write."""

    OK = 0
    WARN = 1
    OPTIONAL = 2
    FULL = 3


class Watermarks(NamedTuple):
    """Shares of the file system used from which on a level holds.

    On a large disk the shares alone would keep terabytes free: a level holds only while less than
    `headroom_bytes` are free, too (twice as much for `optional`, four times for `warn`).
    """

    warn: float = 0.80
    optional: float = 0.90
    full: float = 0.95
    headroom_bytes: int = 16 << 30

    @classmethod
    def of(cls, settings: Settings) -> "Watermarks":
        """Those of a process."""
        return cls(
            warn=settings.disk_warn_share,
            optional=settings.disk_optional_share,
            full=settings.disk_full_share,
            headroom_bytes=settings.disk_headroom_bytes,
        )

    def level(self, space: Space) -> Pressure:
        """The level of a file system.

        >>> [Watermarks().level(Space(100, free)).name for free in (21, 20, 10, 5)]
        ['OK', 'WARN', 'OPTIONAL', 'FULL']
        >>> Watermarks().level(Space(2 << 40, 90 << 30)).name  # 4 % of 2 TiB
        'OK'
        """
        used, free = space.used_share + 1e-12, space.free_bytes
        if used >= self.full and free < self.headroom_bytes:
            return Pressure.FULL
        if used >= self.optional and free < 2 * self.headroom_bytes:
            return Pressure.OPTIONAL
        if used >= self.warn and free < 4 * self.headroom_bytes:
            return Pressure.WARN
        return Pressure.OK

    def share(self, space: Space) -> float:
        """Which share of the decisions the disk still has room for: 1, halves of it, or 0.

        >>> [Watermarks().share(Space(1000, free)) for free in (101, 100, 87, 51, 50)]
        [1.0, 0.5, 0.25, 0.0625, 0.0]
        """
        level = self.level(space)
        if level < Pressure.OPTIONAL:
            return 1.0
        if level is Pressure.FULL:
            return 0.0
        way = (space.used_share - self.optional) / max(self.full - self.optional, 1e-9)
        return 2.0 ** -(1 + min(STEPS - 1, max(0, int(STEPS * way))))


def backlog_share(backlog_bytes: int, most_bytes: int) -> float:
    """Which share of the decisions is logged while so much waits for the store.

    1 up to the limit; then half, and half of that for each further quarter of the limit. What
    waits grows ever more slowly, and settles where the store keeps up. A pure function of the
    backlog, so there is no state to go wrong; and powers of two, so that few shares are in the log.

    >>> [backlog_share(waiting, 100) for waiting in (100, 101, 126, 200, 1000)]
    [1.0, 0.5, 0.25, 0.0625, 0.0009765625]
    """
    beyond = backlog_bytes - most_bytes
    if beyond <= 0:
        return 1.0
    halvings = -(-STEPS * beyond // most_bytes)
    return max(LEAST_SHARE, 2.0 ** -min(halvings, 64))


def kept(event_id: str, share: float) -> bool:
    """Whether the decision of this id is logged while `share` of them are.

    first 8 bytes, big-endian, of BLAKE2b(event_id, person="keep") / 2^64 < share

    The id alone decides, so whoever reads the log can check it, a decision that is asked for again
    fares alike, and what is kept by a share is kept by every larger one.

    >>> [kept("0192d0c4-5f6a-7abc-8def-0123456789ab", share) for share in (0.0, 0.25, 0.5, 1.0)]
    [False, False, False, True]
    """
    digest = hashlib.blake2b(event_id.encode(), person=b"keep").digest()
    return int.from_bytes(digest[:8], "big") < share * 2.0**64
