"""Which of the offered actions may be drawn at all, and why the others may not.

| reason | not eligible |
| --- | --- |
| `request` | what the request's `exclude` names |
| `denied` | what the surface's `rules.denied` names |
| `seen` | what the request's `seen` names, as long as anything else is left; else none is |

An action has one reason, the first of these. Ids that are not offered are ignored.
"""

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, NoReturn

from bandit.errors import RecordError
from bandit.records import Action
from bandit.specs import Rules
from bandit.wire import RankRequest


class Eligible(NamedTuple):
    """Indices into the offered actions.

    Attributes:
        indices: Of those that may be drawn, in their order; None for all of them.
        excluded: Of the others, by reason.
    """

    indices: list[int] | None
    excluded: dict[str, tuple[int, ...]]


EVERY = Eligible(None, {})


class DenyLists:
    """Each surface's deny list as a set, made once while its rules stay the same."""

    def __init__(self) -> None:
        self._sets: dict[str, tuple[Rules, frozenset[str]]] = {}

    def of(self, surface: str, rules: Rules) -> Collection[str]:
        """The denied ids of a surface."""
        if not rules.denied:
            return ()
        known = self._sets.get(surface)
        if known is None or known[0] is not rules:
            known = self._sets[surface] = rules, frozenset(rules.denied)
        return known[1]


def eligible(request: RankRequest, denied: Collection[str], actions: Sequence[Action]) -> Eligible:
    """Which actions may be drawn.

    Args:
        request: Its `exclude` and `seen`.
        denied: Ids that the surface never shows; something fast to look up in.
        actions: As offered.

    Raises:
        RecordError: None is left; it says by which rule.
    """
    if not (request.exclude or request.seen or denied):
        return EVERY
    asked, seen = set(request.exclude), set(request.seen)
    named = asked | seen
    # Most are named nowhere: they are passed over before it is asked who names the others.
    found = [
        (index, action.id)
        for index, action in enumerate(actions)
        if action.id in denied or action.id in named
    ]
    by_request = [index for index, id_ in found if id_ in asked]
    by_surface = [index for index, id_ in found if id_ in denied and id_ not in asked]
    by_unit = [index for index, id_ in found if id_ not in asked and id_ not in denied]
    left_n = len(actions) - len(by_request) - len(by_surface)
    if not left_n:
        _refuse(request, len(by_request), len(by_surface))
    if len(by_unit) == left_n:
        by_unit = []
    by_reason = {"request": by_request, "denied": by_surface, "seen": by_unit}
    excluded = {reason: tuple(indices) for reason, indices in by_reason.items() if indices}
    return Eligible(_others(excluded.values(), len(actions)) if excluded else None, excluded)


def _others(excluded: Iterable[Sequence[int]], k: int) -> list[int]:
    """Indices of the `k` offered actions that are not excluded."""
    left = list(range(k))
    for index in sorted(itertools.chain(*excluded), reverse=True):
        del left[index]
    return left


def _refuse(request: RankRequest, by_request: int, by_surface: int) -> NoReturn:
    reasons = []
    if by_request:
        reasons.append(f"{by_request} by the request's exclude")
    if by_surface:
        reasons.append(f"{by_surface} by rules.denied of surface {request.surface!r}")
    where = "exclude" if by_request else "actions"
    raise RecordError(
        f"every action is excluded ({' and '.join(reasons)}), "
        f"must leave at least one - at `$.{where}`"
    )
