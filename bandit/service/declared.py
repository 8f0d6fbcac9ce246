"""What is declared now, to check a new declaration against."""

from collections.abc import Iterable
from typing import TypeVar

from bandit.errors import BadSpec
from bandit.specs import AnySpec
from bandit.store.definitions import Definition

S = TypeVar("S", bound=AnySpec)


class Declared:
    """The newest version of every definition, to check a new one against."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self.all = {(d.kind, d.key): d for d in definitions}

    def find(self, kind: type[S], key: str) -> S | None:
        """The spec of that kind and key, if it is declared."""
        definition = self.all.get((kind.kind, key))
        return definition.spec if definition and isinstance(definition.spec, kind) else None

    def get(self, kind: type[S], key: str) -> S:
        """The same.

        Raises:
            BadSpec: It is not declared.
        """
        spec = self.find(kind, key)
        if spec is None:
            raise BadSpec(f"{kind.kind} {key!r} is not declared, must be before it is named")
        return spec

    def each(self, kind: type[S]) -> list[S]:
        """Every declared spec of that kind."""
        return [d.spec for d in self.all.values() if isinstance(d.spec, kind)]
