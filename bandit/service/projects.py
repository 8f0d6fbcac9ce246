"""What one project sees: its own definitions, and the decisions of its own surfaces."""

from collections.abc import Callable

from bandit.errors import NotDeclared, NotFound
from bandit.records import LoggedDecision
from bandit.specs import Surface
from bandit.store.definitions import Definition, Definitions


class ProjectDefinitions(Definitions):
    """The definitions of one project; everybody else's are not declared."""

    def __init__(self, definitions: Definitions, project: str) -> None:
        self._all = definitions
        self._project = project

    def get(self, kind: str, key: str, version: int | None = None) -> Definition:
        """One definition; raises what `Definitions.get` raises."""
        found = self._all.get(kind, key, version)
        if found.spec.project != self._project:
            raise NotDeclared(kind, key)
        return found

    def all(self) -> list[Definition]:
        """The newest version of every definition of the project."""
        return [d for d in self._all.all() if d.spec.project == self._project]

    def as_of(self, at_ms: int) -> list[Definition]:
        """Every definition of the project as it was at a time."""
        return [d for d in self._all.as_of(at_ms) if d.spec.project == self._project]

    def history(self, kind: str, key: str) -> list[Definition]:
        """Every version of a definition, oldest first; empty if it is not the project's."""
        return [d for d in self._all.history(kind, key) if d.spec.project == self._project]

    def revision(self) -> int:
        """A number that changes when anything was put, also by others."""
        return self._all.revision()


def seen_by(
    project: str | None, definitions: Callable[[], Definitions]
) -> Callable[[], Definitions]:
    """The definitions that a project sees; all for None."""
    if project is None:
        return definitions
    return lambda: ProjectDefinitions(definitions(), project)


def require_seen(decision: LoggedDecision, definitions: Definitions) -> None:
    """Refuse a decision on a surface that these definitions do not hold.

    Raises:
        NotFound: As if the log did not hold it.
    """
    try:
        definitions.get(Surface.kind, decision.surface)
    except NotDeclared:
        raise NotFound(f"decision {decision.event_id!r} is not in the log") from None
