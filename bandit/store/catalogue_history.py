"""What actions were when decisions offered them: gives logged decisions their features back."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from bandit.errors import StoreUnavailable
from bandit.records import Action, LoggedDecision
from bandit.store.catalogue import Catalogues, ChangedAction
from bandit.store.client import Store
from bandit.store.logged import decision_of, place_of

MOST_BYTES = 256 * 1024 * 1024
"""Kept of one surface before what is older than the present read is dropped."""
_OVERHEAD_BYTES = 400
"""Of an action and its place in the history, about."""


class CatalogueHistory:
    """Catalogues of the past, loaded as far as somebody asks; not for several threads at once."""

    def __init__(self, store: Store, *, most_bytes: int = MOST_BYTES) -> None:
        """Nothing is loaded before it is asked for.

        Args:
            store: Where the catalogues are.
            most_bytes: Kept of one surface, about. A read that needs more than that at once still
                gets it.
        """
        self._catalogues = Catalogues(store)
        self._most_bytes = most_bytes
        self._spans: dict[str, _Span] = {}

    def decisions_of(self, rows: Sequence[Sequence[Any]]) -> list[LoggedDecision]:
        """Decisions from rows as `decision_of` takes them, with the features of catalogues.

        Raises:
            StoreUnavailable: The store did not answer, or does not hold a catalogue as far as a
                decision was made with (yet).
        """
        places = [place_of(row) for row in rows]
        versions: dict[str, list[int]] = {}
        for surface, version, _ in places:
            if version:
                versions.setdefault(surface, []).append(version)
        spans = {
            surface: self._span(surface, min(named), max(named))
            for surface, named in versions.items()
        }
        return [
            decision_of(row, spans[surface].actions(version, ids) if version else None)
            for row, (surface, version, ids) in zip(rows, places, strict=True)
        ]

    def _span(self, surface: str, low: int, high: int) -> "_Span":
        """What is known of a surface's catalogue, from version `low` to version `high` at least."""
        span = self._spans.get(surface)
        if span is not None and span.first <= low and high <= span.last:
            return span
        newest = self._catalogues.version(surface)
        if newest < high:
            raise StoreUnavailable(
                f"the catalogue of surface {surface!r} is at version {newest}, "
                f"must be at {high}, which decisions were made with"
            )
        if span is None or low < span.first or span.bytes_n > self._most_bytes:
            span = self._begun(surface, low)
        span.extend(self._catalogues.changes(surface, span.last, high), high)
        self._spans[surface] = span
        return span

    def _begun(self, surface: str, version: int) -> "_Span":
        return _Span(surface, version, self._catalogues.at(surface, version))


class _Span:
    """A surface's catalogue from one version to another."""

    def __init__(self, surface: str, version: int, actions: Sequence[Action]) -> None:
        self.surface = surface
        self.first = self.last = version
        self.bytes_n = 0
        self._past: dict[str, tuple[list[int], list[Action | None]]] = {}
        for action in actions:
            self._add(version, action.id, action)

    def extend(self, changes: Sequence[tuple[int, ChangedAction]], last: int) -> None:
        for version, (id_, features) in changes:
            action = None if features is None else Action(id=id_, features=features)
            self._add(version, id_, action)
        self.last = last

    def actions(self, version: int, ids: Sequence[str]) -> tuple[Action, ...]:
        return tuple([self._action(version, id_) for id_ in ids])

    def _action(self, version: int, id_: str) -> Action:
        versions, actions = self._past.get(id_, _NEVER)
        place = bisect_right(versions, version) - 1
        found = actions[place] if place >= 0 else None
        if found is None:
            raise missing(self.surface, version, id_)
        return found

    def _add(self, version: int, id_: str, action: Action | None) -> None:
        versions, actions = self._past.setdefault(id_, ([], []))
        versions.append(version)
        actions.append(action)
        self.bytes_n += _OVERHEAD_BYTES + len(id_) + (len(action.features) if action else 0)


_NEVER: tuple[list[int], list[Action | None]] = ([], [])


def actions_of(
    surface: str, version: int, ids: Sequence[str], held: Mapping[str, Action]
) -> tuple[Action, ...]:
    """The actions of a decision, out of those that its catalogue held.

    Raises:
        StoreUnavailable: One is missing: the store does not (yet) hold all that was decided with.
    """
    try:
        return tuple([held[id_] for id_ in ids])
    except KeyError as exc:
        raise missing(surface, version, exc.args[0]) from None


def missing(surface: str, version: int, id_: str) -> StoreUnavailable:
    """The error of an action whose features are not to be had; guessing them is no answer."""
    return StoreUnavailable(
        f"action {id_!r} was offered out of version {version} of the catalogue of surface "
        f"{surface!r}, which must hold it and does not"
    )
