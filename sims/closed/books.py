"""What clients of a closed loop remember: every ranking they were answered, and what came of it."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

Sent = Literal["nothing", "lost", "on_time", "late", "either"]
"""What became of a round's reward: `nothing` was earned; it was `lost` on purpose; by the client's
clock it came within the window, after it, or it can not be told which."""


class Story(NamedTuple):
    """An answered ranking and its reward."""

    surface: int
    variant: str
    event_id: str
    round: int
    """Number in the population."""
    drawn: int
    begun_s: float
    """Since the client's start, as planned."""
    reward: float
    sent: Sent
    sent_n: int
    """Requests that were accepted for the reward."""


class Books(NamedTuple):
    """All of one client, or of several together.

    Attributes:
        rank_ms, reward_ms: Latencies, from the planned moment to the answer.
        refused: Requests that were never accepted, by what was answered last.
        retries_n: Requests that were sent again because of what was answered, or was not.
        unknown_n: Of these, rankings whose first request may have been decided.
        unlike_n: Rankings that were answered differently when asked for again under their event id.
        repeated_n: Rankings that were asked for again.
    """

    stories: list[Story]
    rank_ms: list[float]
    reward_ms: list[float]
    refused: list[str]
    retries_n: int
    unknown_n: int
    unlike_n: int
    repeated_n: int

    @classmethod
    def together(cls, each: Iterable["Books"]) -> "Books":
        """Those of all clients as one."""
        lists: list[list[Story]] = []
        rank: list[float] = []
        reward: list[float] = []
        refused: list[str] = []
        counts = np.zeros(4, dtype=int)
        for one in each:
            lists.append(one.stories)
            rank += one.rank_ms
            reward += one.reward_ms
            refused += one.refused
            counts += one[4:]
        stories = [story for part in lists for story in part]
        return cls(stories, rank, reward, refused, *counts.tolist())

    @property
    def requests_n(self) -> int:
        """Requests that were answered."""
        return len(self.rank_ms) + len(self.reward_ms)
