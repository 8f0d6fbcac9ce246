"""Catalogues: changed in bulk, each change checked whole before any of it is stored."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bandit.errors import NotFound, RecordError, VersionConflict
from bandit.policies.features import features_of
from bandit.records import Action, Record
from bandit.service.projects import seen_by
from bandit.specs import Surface
from bandit.store.catalogue import KIND, Catalogues, ChangedAction, ListedAction
from bandit.store.definitions import Definitions

MOST_ACTIONS = 100_000
"""Actions of one catalogue: every worker holds them all."""
MOST_CHANGES = 10_000
"""Actions that one change may name."""
TRIES_N = 20
"""Changes commute, so one that came second is made again; of that many writers at once the last
may still be told of a conflict."""


class CatalogueChange(Record, frozen=True, kw_only=True):
    """What came of a change.

    Attributes:
        version: That holds it; the one there was if nothing changed.
        actions: How many the catalogue holds then.
        added: New actions.
        changed: Known actions that got other features.
        unchanged: Known actions that had these features already.
        deleted: Actions that are gone; ids that were not there are not counted.
    """

    version: int
    actions: int
    added: int
    changed: int
    unchanged: int
    deleted: int


class CataloguePage(NamedTuple):
    """Some actions of a catalogue at a version."""

    version: int
    actions: list[ListedAction]


class CatalogueService:
    """Changes and shows catalogues; every call may block."""

    def __init__(
        self,
        catalogues: Callable[[], Catalogues],
        definitions: Callable[[], Definitions],
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        most_actions: int = MOST_ACTIONS,
    ) -> None:
        """Make the service.

        Args:
            catalogues: Gives the store's catalogues; raises `StoreUnavailable` while it is away.
            definitions: Gives the store's definitions; likewise.
            now_ms: The clock.
            new_id: Makes the id of a change.
            most_actions: Of one catalogue.
        """
        self._catalogues = catalogues
        self._definitions = definitions
        self._now_ms = now_ms
        self._new_id = new_id
        self._most_actions = most_actions

    def of(self, project: str | None) -> "CatalogueService":
        """The catalogues of one project's surfaces; all of them for None."""
        if project is None:
            return self
        return CatalogueService(
            self._catalogues,
            seen_by(project, self._definitions),
            now_ms=self._now_ms,
            new_id=self._new_id,
            most_actions=self._most_actions,
        )

    def version(self, surface: str) -> int:
        """The newest version of a surface's catalogue; 0 if it has none.

        Raises:
            NotDeclared: Nobody declared the surface.
        """
        self._definitions().get(Surface.kind, surface)
        return self._catalogues().version(surface)

    def page(
        self, surface: str, *, after: str = "", limit: int = 1_000, version: int | None = None
    ) -> CataloguePage:
        """Some actions of a catalogue, by id.

        Args:
            surface: Whose.
            after: Only larger ids.
            limit: So many at most.
            version: At this version; None: the newest.

        Raises:
            NotDeclared: Nobody declared the surface.
            NotFound: The catalogue has not come to that version.
        """
        version = self._at(surface, version)
        return CataloguePage(version, self._catalogues().page(surface, version, after, limit))

    def action(
        self, surface: str, id_: str, version: int | None = None
    ) -> tuple[int, ListedAction]:
        """The version looked at, and one action as it was then.

        Raises:
            NotDeclared: Nobody declared the surface.
            NotFound: The catalogue did not hold it, or has not come to that version.
        """
        version = self._at(surface, version)
        return version, self._catalogues().action(surface, version, id_)

    def change(
        self,
        surface: str,
        upsert: Sequence[Action],
        delete: Sequence[str],
        *,
        expected: int | None = None,
        author: str,
    ) -> CatalogueChange:
        """Add, change and delete actions: all of it or nothing.

        Args:
            surface: Whose catalogue.
            upsert: Actions that are to be there, with these features.
            delete: Ids that are not to be there; those that are not already are ignored.
            expected: The version that the change was made against; None: whatever is there.
            author: Who changes it.

        Raises:
            RecordError: The change breaks a rule; nothing was stored.
            NotDeclared: Nobody declared the surface.
            VersionConflict: Somebody else changed it first, or again and again.
            StoreUnavailable: The outcome is unknown; the same change may be sent again.
        """
        check_change(upsert, delete)
        self._definitions().get(Surface.kind, surface)
        for _ in range(TRIES_N):
            try:
                return self._change(surface, upsert, delete, expected, author)
            except VersionConflict as exc:
                if expected is not None:
                    raise
                conflict = exc
        raise conflict

    def _change(
        self,
        surface: str,
        upsert: Sequence[Action],
        delete: Sequence[str],
        expected: int | None,
        author: str,
    ) -> CatalogueChange:
        catalogues = self._catalogues()
        have = catalogues.version(surface)
        if expected not in (None, have):
            raise VersionConflict(KIND, surface, have=have, given=expected)
        held = catalogues.digests(surface, have) if have else {}
        news = [action for action in upsert if _is_news(action, held)]
        gone = [id_ for id_ in delete if id_ in held]
        added_n = sum(action.id not in held for action in news)
        actions_n = len(held) + added_n - len(gone)
        if added_n and actions_n > self._most_actions:
            raise RecordError(
                f"the catalogue of surface {surface!r} would hold {actions_n} actions, "
                f"must hold at most {self._most_actions} - at `$.upsert`"
            )
        version = have
        if news or gone:
            version = catalogues.put(
                surface,
                [
                    *(ChangedAction(action.id, action.features) for action in news),
                    *(ChangedAction(id_, None) for id_ in gone),
                ],
                expected=have,
                author=author,
                change_id=self._new_id(),
                now_ms=self._now_ms(),
            )
        return CatalogueChange(
            version=version,
            actions=actions_n,
            added=added_n,
            changed=len(news) - added_n,
            unchanged=len(upsert) - len(news),
            deleted=len(gone),
        )

    def _at(self, surface: str, version: int | None) -> int:
        newest = self.version(surface)
        if version is not None and version > newest:
            raise NotFound(
                f"the catalogue of surface {surface!r} is at version {newest}, not {version}"
            )
        return newest if version is None else version


def check_change(upsert: Sequence[Action], delete: Sequence[str]) -> None:
    """Refuse a change that could not be served.

    Raises:
        RecordError: It names nothing, too much, or an action twice, or holds features that no
            policy may see; with the place.
    """
    named_n = len(upsert) + len(delete)
    if not 1 <= named_n <= MOST_CHANGES:
        raise RecordError(
            f"the change names {named_n} actions, must name 1 to {MOST_CHANGES} - at `$`"
        )
    seen: set[str] = set()
    for place, id_ in _named(upsert, delete):
        if id_ in seen:
            raise RecordError(f"action id {id_!r} is repeated, must be unique - at `{place}`")
        seen.add(id_)
    for index, action in enumerate(upsert):
        features_of(bytes(action.features), f"$.upsert[{index}].features")


def _named(upsert: Sequence[Action], delete: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Place and id of everything that a change names."""
    for index, action in enumerate(upsert):
        yield f"$.upsert[{index}].id", action.id
    for index, id_ in enumerate(delete):
        yield f"$.delete[{index}]", id_


def _is_news(action: Action, held: Mapping[str, bytes]) -> bool:
    return held.get(action.id) != hashlib.sha256(action.features).digest()
