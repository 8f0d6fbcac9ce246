"""Catalogues: actions with features that surfaces hold, in versions that are only ever added.

Each change is one insert and makes one version of its surface's catalogue. What an action was at a
version is its newest row up to there, so a decision logs the version instead of features.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bandit.errors import NotFound, StoreUnavailable, VersionConflict
from bandit.records import Action
from bandit.store.client import ONE_ORDER, Store

KIND = "catalogue"
"""What errors call it."""


class ChangedAction(NamedTuple):
    """What a change made of one action.

    Attributes:
        features: JSON as sent; None: it was deleted.
    """

    id: str
    features: msgspec.Raw | None


class ListedAction(NamedTuple):
    """An action of a catalogue and the version that changed it last."""

    action: Action
    changed: int


class Catalogues:
    """All catalogues, with their history."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self,
        surface: str,
        changes: Sequence[ChangedAction],
        *,
        expected: int,
        author: str,
        change_id: str,
        now_ms: int,
    ) -> int:
        """Change a catalogue: all of it or nothing.

        Args:
            changes: At least one, of different ids.
            expected: The version that the change was made against; 0: there is none yet.
            change_id: Of this change and no other.

        Returns:
            The version that holds the change.

        Raises:
            VersionConflict: Somebody else changed it first; nothing came of this change.
            StoreUnavailable: The outcome is unknown.
        """
        have = self.version(surface)
        if have != expected:
            raise VersionConflict(KIND, surface, have=have, given=expected)
        n, version = len(changes), have + 1
        self._store.insert(
            "catalogue",
            {
                "surface": [surface] * n,
                "version": [version] * n,
                "change_id": [change_id] * n,
                "place": list(range(n)),
                "id": [change.id for change in changes],
                "features": [bytes(change.features or b"") for change in changes],
                "deleted": [change.features is None for change in changes],
                "created_at": [now_ms] * n,
                "author": [author] * n,
            },
            # A repeated change loses to its first copy; a remembered token could lose its rows.
            settings={**ONE_ORDER, "insert_deduplicate": 0},
        )
        winner = self._store.rows("catalogue_winner", surface=surface, version=version)
        if not winner:
            raise StoreUnavailable(f"version {version} of catalogue {surface!r} was not stored")
        if winner != [(change_id,)]:
            raise VersionConflict(KIND, surface, have=version, given=expected)
        return version

    def version(self, surface: str) -> int:
        """The newest version of a surface's catalogue; 0 if it has none.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        [(version,)] = self._store.rows("catalogue_newest_version", surface=surface)
        return int(version)

    def revision(self) -> int:
        """A number that changes when any catalogue does; cheap enough to ask all the time.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        [(count,)] = self._store.rows("catalogue_revision")
        return int(count)

    def heads(self) -> dict[str, int]:
        """The newest version of every surface's catalogue.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return dict(self._store.rows("catalogue_heads"))

    def at(self, surface: str, version: int) -> list[Action]:
        """The actions of a catalogue at a version, in the order in which they came.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("catalogue_at", surface=surface, version=version)
        return [_action(id_, features) for id_, features in rows]

    def digests(self, surface: str, version: int) -> dict[str, bytes]:
        """SHA-256 of the features of every action of a catalogue, by id.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return dict(self._store.rows("catalogue_digests", surface=surface, version=version))

    def page(self, surface: str, version: int, after: str, limit: int) -> list[ListedAction]:
        """Some actions of a catalogue at a version, by id.

        Args:
            after: Only larger ids.
            limit: So many at most.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows(
            "catalogue_page", surface=surface, version=version, after=after, limit=limit
        )
        return [ListedAction(_action(id_, features), changed) for id_, features, changed in rows]

    def action(self, surface: str, version: int, id_: str) -> ListedAction:
        """One action of a catalogue at a version.

        Raises:
            NotFound: It does not hold it.
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("catalogue_action", surface=surface, version=version, id=id_)
        if not rows:
            raise NotFound(
                f"action {id_[:256]!r} is not in the catalogue of surface {surface!r} "
                f"at version {version}"
            )
        [(id_, features, changed)] = rows
        return ListedAction(_action(id_, features), changed)

    def changes(self, surface: str, after: int, upto: int) -> list[tuple[int, ChangedAction]]:
        """What changed after one version and up to another, in its order, each with its version.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("catalogue_changes", surface=surface, after=after, upto=upto)
        return [
            (version, ChangedAction(id_, None if deleted else msgspec.Raw(features)))
            for version, id_, features, deleted in rows
        ]


def _action(id_: str, features: bytes) -> Action:
    return Action(id=id_, features=msgspec.Raw(features))
