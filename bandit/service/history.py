"""Who changed what of a definition, and when."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bandit.records import Record
from bandit.store.definitions import Definition


class Change(Record, frozen=True, kw_only=True):
    """One place of a spec that a version changed.

    Attributes:
        path: As in `$.variants[0].allocation[0][1]`; `$` is the whole spec.
        old: JSON before; null also where there was nothing.
        new: JSON since; null also where there is nothing any more.
    """

    path: str
    old: Any
    new: Any


class DefinitionVersion(Record, frozen=True, kw_only=True):
    """One version of a definition, as the change that made it."""

    version: int
    created_ms: int
    author: str
    changes: list[Change]


def history_of(versions: Iterable[Definition]) -> list[DefinitionVersion]:
    """The changes that made a definition what it is; the first one changed nothing into all.

    Args:
        versions: Oldest first.
    """
    told, before = [], None
    for definition in versions:
        spec = msgspec.to_builtins(definition.spec)
        told.append(
            DefinitionVersion(
                version=definition.version,
                created_ms=definition.created_ms,
                author=definition.author,
                changes=list(changes(before, spec)),
            )
        )
        before = spec
    return told


def changes(old: Any, new: Any, path: str = "$") -> Iterator[Change]:
    """The smallest places at which two JSON values differ.

    Lists of different lengths differ as a whole: which element went is anybody's guess.

    >>> for change in changes({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3], "c": 4}):
    ...     print(change.path, change.old, change.new)
    $.b[1] 2 3
    $.c None 4
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old | new:
            yield from changes(old.get(name), new.get(name), f"{path}.{name}")
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, (was, is_now) in enumerate(zip(old, new, strict=True)):
            yield from changes(was, is_now, f"{path}[{index}]")
    elif old != new or type(old) is not type(new):
        yield Change(path=path, old=old, new=new)
