"""The processes below one, by what they are."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

COMMANDS = ("gateway", "drain", "api", "learn", "refresh", "dashboard")


def below(pid: int) -> list[int]:
    """Descendants of a process, parents first."""
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in _parents():
        children[parent].append(child)
    found = [pid]
    for one in found:
        found += children[one]
    return found[1:]


def roles(pid: int) -> dict[str, list[int]]:
    """Living processes below a supervisor, by command; and its `guard`.

    A process that a server starts for itself (Granian's workers) is of its server's role.
    """
    found: dict[str, list[int]] = defaultdict(list)
    for one in below(pid):
        role = _role(one)
        if role is not None:
            found[role].append(one)
    return dict(found)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    return _state(pid) in (None, "Z", "X")


def _role(pid: int) -> str | None:
    words = _words(pid)
    if is_gone(pid) or not words:
        return None
    if "guard.py" in " ".join(words):
        return "guard"
    if words[1:3] == ["-m", "bandit"]:
        return words[3]
    if words[1:3] == ["-m", "streamlit"]:  # the dashboard's process becomes Streamlit's
        return "dashboard"
    if any("spawn_main" in word for word in words):
        return "api"
    return None  # a shell that waits to become a child, a resource tracker


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _stat(int(folder.name))
            if fields is not None:
                yield int(folder.name), int(fields[1])


def _state(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[0] if fields else None


def _stat(pid: int) -> list[str] | None:
    """What follows the name in `/proc/<pid>/stat`: state, parent, …; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
