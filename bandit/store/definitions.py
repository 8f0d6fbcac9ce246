"""What was declared, in versions that are only ever added."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bandit.errors import NotDeclared, StoreUnavailable, VersionConflict
from bandit.records import Record
from bandit.specs import SPECS, AnySpec
from bandit.store.client import ONE_ORDER, Store


class Definition(Record, frozen=True, kw_only=True):
    """One version of a declaration.

    Attributes:
        kind: `surface`, `policy`, `experiment` or `metric`.
        version: Counts 1, 2, 3 … per kind and key.
        change_id: Distinguishes it from changes that lost.
    """

    kind: str
    key: str
    version: int
    created_ms: int
    author: str
    change_id: str
    spec: AnySpec


class Definitions:
    """All declarations, with their history."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self, spec: AnySpec, *, expected: int | None, author: str, change_id: str, now_ms: int
    ) -> Definition:
        """Declare something, or change what was declared.

        Args:
            expected: The version the change was made against; None: it must not exist yet.
            change_id: Of this change and no other.

        Raises:
            VersionConflict: Somebody else changed it first.
            StoreUnavailable: The outcome is unknown: `get` tells.
        """
        place = {"kind": spec.kind, "key": spec.key}
        [(have,)] = self._store.rows("definition_newest_version", **place)
        if have != (expected or 0):
            raise VersionConflict(spec.kind, spec.key, have=have, given=expected)
        definition = Definition(
            **place,
            version=have + 1,
            created_ms=now_ms,
            author=author,
            change_id=change_id,
            spec=spec,
        )
        self._insert(definition)
        winner = self._store.rows("definition_winner", **place, version=definition.version)
        if not winner:
            raise StoreUnavailable(f"{spec.kind} {spec.key!r} was not stored")
        if winner != [(change_id,)]:
            raise VersionConflict(spec.kind, spec.key, have=definition.version, given=expected)
        return definition

    def get(self, kind: str, key: str, version: int | None = None) -> Definition:
        """One definition, its newest version unless another is asked for.

        Raises:
            NotDeclared: There is no such thing, or no such version of it.
            StoreUnavailable: The store did not answer.
        """
        if version is None:
            [(version,)] = self._store.rows("definition_newest_version", kind=kind, key=key)
        rows = self._store.rows("definition_version", kind=kind, key=key, version=version)
        if not rows:
            raise NotDeclared(kind, key)
        return _definition(rows[0])

    def all(self) -> list[Definition]:
        """The newest version of every definition, by kind and key.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return [_definition(row) for row in self._store.rows("definitions_newest")]

    def as_of(self, at_ms: int) -> list[Definition]:
        """Every definition as it was at a time, by kind and key; what came later as it came first.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return [_definition(row) for row in self._store.rows("definitions_as_of", at_ms=at_ms)]

    def revision(self) -> int:
        """A number that changes when anything was put; cheap enough to ask all the time.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        [(count,)] = self._store.rows("definitions_count")
        return int(count)

    def history(self, kind: str, key: str) -> list[Definition]:
        """Every version of a definition, oldest first; empty if it was never declared.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("definition_history", kind=kind, key=key)
        return [_definition(row) for row in rows]

    def _insert(self, definition: Definition) -> None:
        self._store.insert(
            "definitions",
            {
                "kind": [definition.kind],
                "key": [definition.key],
                "version": [definition.version],
                "created_at": [definition.created_ms],
                "author": [definition.author],
                "change_id": [definition.change_id],
                "spec": [msgspec.json.encode(definition.spec)],
            },
            # A repeated row does no harm here; a remembered token whose row was lost would.
            settings={**ONE_ORDER, "insert_deduplicate": 0},
        )


def _definition(row: Sequence[Any]) -> Definition:
    kind, key, version, created_ms, author, change_id, spec = row
    return Definition(
        kind=kind,
        key=key,
        version=version,
        created_ms=created_ms,
        author=author,
        change_id=change_id,
        spec=msgspec.json.decode(spec, type=SPECS[kind]),
    )
