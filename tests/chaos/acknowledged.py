"""What the load process knows: every attempt, in the order in which answers came."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Ranking = tuple[tuple[str, float], ...]
POSTS = {"reward": "rewards", "exposure": "exposures", "outcome": "outcomes"}
"""Kinds of attempts that only record, and their tables."""


class Attempt(NamedTuple):
    """One request and what came of it; times are of the machine's monotonic clock."""

    kind: str
    planned_s: float
    sent_s: float
    done_s: float
    status: int
    id: str | None
    error: str
    logged: bool
    """Whether the answer promised that the log keeps it."""
    is_own: bool
    """A ranking under an id that the client made."""
    snapshot: str
    ranking: Ranking

    @property
    def is_served(self) -> bool:
        """Whether it was answered as it should be, whatever happens to the log."""
        return self.status in (200, 202)


class Acknowledged:
    """Ids by kind, as the oracle needs them."""

    def __init__(self, attempts: Iterable[Attempt]) -> None:
        self.attempts = list(attempts)
        self.rankings: dict[str, list[Ranking]] = defaultdict(list)
        """Event id → the answers that promised to be logged."""
        self.is_own: dict[str, bool] = {}
        self.posts: dict[str, Counter[str]] = {kind: Counter() for kind in POSTS}
        """Kind → id → how often it was acknowledged."""
        self.tries: Counter[tuple[str, str]] = Counter()
        """(kind, id) → how often it was sent."""
        for one in self.attempts:
            if one.id is not None:
                self.tries[one.kind, one.id] += 1
            if not (one.is_served and one.logged and one.id is not None):
                continue
            if one.kind == "rank":
                self.rankings[one.id].append(one.ranking)
                self.is_own[one.id] = one.is_own
            else:
                self.posts[one.kind][one.id] += 1

    @property
    def n(self) -> int:
        """Records that were promised to be in the log."""
        return len(self.rankings) + sum(posts.total() for posts in self.posts.values())


def read(paths: Sequence[Path]) -> Acknowledged:
    """What the load's journals tell."""
    return Acknowledged(attempt for path in paths for attempt in _attempts(path))


def _attempts(path: Path) -> Iterator[Attempt]:
    with path.open() as lines:
        for line in lines:
            yield attempt(json.loads(line))


def attempt(told: dict[str, Any]) -> Attempt:
    """One line of a journal."""
    # An answer that accepts less than was sent (a reward of an unlogged decision) promises less.
    logged = told["logged"] if "logged" in told else told.get("accepted", 1) == 1
    return Attempt(
        told["kind"],
        told["planned"],
        told["sent"],
        told["done"],
        told["status"],
        told["id"],
        told.get("error", ""),
        logged,
        told.get("own", False),
        told.get("snapshot", ""),
        tuple((id_, p) for id_, p in told.get("ranking", ())),
    )
