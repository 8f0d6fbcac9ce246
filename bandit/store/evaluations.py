"""Saved evaluations, as JSON that the service knows."""

from typing import NamedTuple

from bandit.errors import NotFound
from bandit.store.client import Store


class SavedEvaluation(NamedTuple):
    """An evaluation as it was saved."""

    surface: str
    evaluation_id: str
    made_ms: int
    author: str
    project: str
    artefact: str


class Evaluations:
    """All evaluations of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, saved: SavedEvaluation) -> None:
        """Keep one; its id is of this one and no other, so a repetition does no harm.

        Raises:
            StoreUnavailable: The outcome is unknown: `get` tells.
        """
        fields = saved._asdict()
        fields["made_at"] = fields.pop("made_ms")
        # A repeated row does no harm here; a remembered token whose row was lost would.
        self._store.insert(
            "evaluations",
            {name: [value] for name, value in fields.items()},
            settings={"insert_deduplicate": 0},
        )

    def get(self, evaluation_id: str) -> SavedEvaluation:
        """One of them.

        Raises:
            NotFound: There is none of that id.
        """
        rows = self._store.rows("evaluation_by_id", evaluation_id=evaluation_id)
        if not rows:
            raise NotFound(f"evaluation {evaluation_id[:100]!r} is not there")
        return SavedEvaluation(*rows[0])

    def newest(self, surface: str, limit: int) -> list[SavedEvaluation]:
        """The newest of a surface, newest first."""
        rows = self._store.rows("evaluations_of", surface=surface, limit=limit)
        return [SavedEvaluation(*row) for row in rows]
