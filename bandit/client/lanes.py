"""Records on their way to one route: queued, batched, sent again, given up; without any I/O.

A list is accepted whole or refused whole, so one bad record would take up to 999 good ones with
it: of a refused batch the record that the service names is dropped and the rest is sent again; if
it names none the batch is halved until the bad ones are alone.
"""

import re
from collections import deque
from typing import NamedTuple

import msgspec

from bandit.client.options import Options

FAULTS = 5
"""So often a batch may fail with a status that says nothing about later; then it is halved."""
_LATER = frozenset({408, 425, 429, 502, 503, 504})
_WHOLE = frozenset({401, 403, 405, 415})
_OF_ONE = frozenset({"bad_token", "too_many_rewards"})
"""Problems of the one record that they name, whatever their status says of others."""
_PLACE = re.compile(r"\$\[(\d+)\]")


class Outgoing(NamedTuple):
    """A record as it is sent."""

    body: bytes
    surface: str = ""


class Reply(NamedTuple):
    """What came back.

    Attributes:
        status: 0 if nothing did.
        retry_after: The header as sent.
        date: The same.
    """

    status: int
    content: bytes = b""
    retry_after: str = ""
    date: str = ""


class Problem(msgspec.Struct):
    """What the client reads of a problem document."""

    type: str = ""
    detail: str = ""
    place: str | None = None


class Settled(NamedTuple):
    """What became of a batch; what is in neither count will be sent again."""

    delivered: int = 0
    refused: int = 0
    problem: Problem | None = None


class Lane:
    """Records for one route, oldest first.

    Attributes:
        path: The route.
        not_before_s: When the next request may be sent.
    """

    def __init__(self, path: str, options: Options) -> None:
        self.path = path
        self.not_before_s = float("-inf")
        self._options = options
        self._waiting: deque[Outgoing] = deque()
        self._parts: list[list[Outgoing]] = []  # batches under way, the next one last
        self._tries = 0

    def __len__(self) -> int:
        """Records queued or under way."""
        return len(self._waiting) + sum(map(len, self._parts))

    @property
    def full_batch(self) -> bool:
        """Whether there is no point in waiting for more."""
        return bool(self._parts) or len(self._waiting) >= self._options.batch_n

    def add(self, record: Outgoing) -> bool:
        """Queue a record; True if the oldest was dropped for it."""
        full = len(self._waiting) >= self._options.queue_n
        if full:
            self._waiting.popleft()
        self._waiting.append(record)
        return full

    def take(self) -> list[Outgoing]:
        """The next batch, the same one until it is settled; empty if there is none."""
        if not self._parts and self._waiting:
            size = min(len(self._waiting), self._options.batch_n)
            self._parts.append([self._waiting.popleft() for _ in range(size)])
        return self._parts[-1] if self._parts else []

    def drain(self) -> int:
        """Forget everything; how many records that was."""
        left = len(self)
        self._waiting.clear()
        self._parts.clear()
        return left

    def settle(self, reply: Reply, now_s: float, luck: float) -> Settled:
        """Take note of what the last taken batch was answered.

        Args:
            reply: Its answer.
            now_s: The time.
            luck: In `[0, 1)`, so that clients do not come back all at once.
        """
        part = self._parts[-1]
        if 200 <= reply.status < 300:
            self._done()
            return Settled(delivered=len(part))
        problem = problem_of(reply)
        later = reply.status == 0 or reply.status in _LATER
        if (later or reply.status >= 500) and problem.type not in _OF_ONE:
            self._tries += 1
            if self._tries < FAULTS or later:
                self.not_before_s = now_s + self._pause_s(reply, luck)
                return Settled()
        self._done()
        good = _split(part, reply.status, problem)
        self._parts.extend(reversed(good))
        return Settled(refused=len(part) - sum(map(len, good)), problem=problem)

    def _done(self) -> None:
        self._parts.pop()
        self._tries = 0
        self.not_before_s = float("-inf")

    def _pause_s(self, reply: Reply, luck: float) -> float:
        options = self._options
        pause_s = min(options.pause_s * 2.0 ** min(self._tries - 1, 30), options.pause_most_s)
        asked_s = float(reply.retry_after) if reply.retry_after.isdecimal() else 0.0
        return max(pause_s * (0.5 + luck / 2), min(asked_s, options.pause_most_s))


def problem_of(reply: Reply) -> Problem:
    """What a refusal says, as far as it can be read."""
    try:
        return msgspec.json.decode(reply.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem(type=str(reply.status), detail=reply.content[:200].decode(errors="replace"))


def _split(part: list[Outgoing], status: int, problem: Problem) -> list[list[Outgoing]]:
    """What to send of a refused batch after all, in order."""
    of_one = problem.type in _OF_ONE
    if len(part) == 1 or (status in _WHOLE and not of_one) or status < 400:
        return []
    if problem.type == "not_declared":
        by_surface: dict[str, list[Outgoing]] = {}
        for record in part:
            by_surface.setdefault(record.surface, []).append(record)
        return list(by_surface.values()) if len(by_surface) > 1 else []
    place = _PLACE.match(problem.place or "")
    if place and int(place[1]) < len(part):
        bad = int(place[1])
        return [part[:bad] + part[bad + 1 :]]
    if status == 404:  # no such route: no part of it will find one
        return []
    half = len(part) // 2
    return [part[:half], part[half:]]
