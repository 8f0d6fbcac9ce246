"""A catalogue as a worker serves from it: immutable, its actions and bytes made once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

import msgspec

from bandit.records import Action
from bandit.store.catalogue import ChangedAction

WHOLE_N = 1_000
"""A larger catalogue is never offered as a whole: no surface's `max_actions` is more."""


@dataclass(frozen=True, slots=True)
class ServingCatalogue:
    """The actions of a surface at one version of its catalogue.

    Attributes:
        version: What decisions log instead of features.
        actions: By id, in the order in which they came into the catalogue.
        whole: All of them, if a request may offer them all; else empty.
        ids: JSON array of the ids of `whole`.
        widest: At least as many as the features of any action are.
    """

    version: int
    actions: dict[str, Action]
    whole: tuple[Action, ...] = field(init=False)
    ids: bytes = field(init=False)
    widest: int = field(init=False)

    def __post_init__(self) -> None:
        whole = tuple(self.actions.values()) if len(self.actions) <= WHOLE_N else ()
        object.__setattr__(self, "whole", whole)
        longest = max((len(action.features) for action in self.actions.values()), default=0)
        object.__setattr__(self, "widest", 1 + longest // 2)
        object.__setattr__(self, "ids", msgspec.json.encode([action.id for action in whole]))

    def changed(self, version: int, changes: Iterable[ChangedAction]) -> Self:
        """The catalogue at a later version.

        Args:
            version: The later one.
            changes: All that lie between, in their order; an action that stays keeps its place,
                and its object where its features are the same.
        """
        actions = dict(self.actions)
        for change in changes:
            if change.features is None:
                actions.pop(change.id, None)
            elif change.id not in actions or actions[change.id].features != change.features:
                actions[change.id] = Action(id=change.id, features=change.features)
        return type(self)(version, actions)
