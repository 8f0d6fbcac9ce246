"""What a supervisor runs, and what it can do to a process of it."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Pulse(NamedTuple):
    """How often a child that moves is heard of (`bandit.cli.heartbeat`)."""

    first_s: float
    """Whoever is not ready so long after its start is killed."""
    then_s: float
    """Whoever says nothing for so long is killed."""


class Child(NamedTuple):
    """What to run."""

    name: str
    """`<kind>`, or `<kind>-<number>`; those of one kind are ended together."""
    argv: tuple[str, ...]
    env: Mapping[str, str]
    fds: tuple[int, ...] = ()
    """Open files that it inherits."""
    pulse: Pulse | None = None
    """None: it says nothing, and counts as ready when it is started."""
    is_spare: bool = False
    """It is ready to be any of its kind that dies."""
    order: str = ""
    """What makes one that stands by this one; those of a kind stand by, or none of them does."""
    nice: int = 0
    """How much it lets the others go first where processors are short."""

    @property
    def kind(self) -> str:
        """The name without its number."""
        return self.name.rpartition("-")[0] or self.name

    @property
    def stands_by(self) -> bool:
        """Whether it is told who it is once it is ready."""
        return self.is_spare or bool(self.order)


class Process(Protocol):
    """A child that was started, with all that it started itself."""

    @property
    def pid(self) -> int:
        """Its main process."""
        ...

    def ended(self) -> int | None:
        """Exit code of the main process, after which nothing of it is left; None while it lives."""
        ...

    def heard(self) -> bool:
        """Whether it said something since this was asked last."""
        ...

    def order(self, line: str) -> None:
        """Say something to it, which stands by."""
        ...

    def terminate(self) -> None:
        """Ask the main process to end."""
        ...

    def kill(self) -> None:
        """End it and all that it started, at once."""
        ...
