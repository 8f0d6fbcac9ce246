"""Processor time, memory and place of the service's processes, out of `/proc`."""

import os
from collections import defaultdict
from collections.abc import Mapping, Set
from pathlib import Path

ROLES = ("gateway", "drain", "api", "learn", "refresh")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> dict[str, float]:
    """Processor time that the living processes below one have used, by role."""
    found = dict.fromkeys(ROLES, 0.0)
    for one, role in _roles(pid).items():
        fields = _stat(one)
        if fields is not None:
            found[role] += (int(fields[11]) + int(fields[12])) / _TICKS
    return found


def rss_mb(pid: int) -> dict[str, float]:
    """Memory of the processes below one, by role; of several of a role the greatest."""
    found = dict.fromkeys(ROLES, 0.0)
    for one, role in _roles(pid).items():
        fields = _stat(one)
        if fields is not None:
            found[role] = max(found[role], int(fields[21]) * _PAGE / 2**20)
    return found


def place(pid: int, cores_of: Mapping[str, Set[int]]) -> None:
    """Keep the processes below one on processors, by role; what they start stays there, too.

    Raises:
        OSError: Not allowed, or the machine has no such processor.
    """
    for one, role in _roles(pid).items():
        if role in cores_of:
            for thread in Path(f"/proc/{one}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores_of[role])


def _roles(pid: int) -> dict[int, str]:
    """Processes below one that are a role's, or were started by one that is."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        fields = _stat(int(folder.name)) if folder.name.isdigit() else None
        if fields is not None:
            children[int(fields[1])].append(int(folder.name))
    found: dict[int, str] = {}
    waiting: list[tuple[int, str | None]] = [(pid, None)]
    while waiting:
        parent, inherited = waiting.pop()
        for child in children[parent]:
            role = _role(child) or inherited
            if role is not None:
                found[child] = role
            waiting.append((child, role))
    return found


def _role(pid: int) -> str | None:
    """By the command line: `python -m bandit ROLE`."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    if words[1:3] == ["-m", "bandit"] and words[3] in ROLES:
        return words[3]
    return None


def _stat(pid: int) -> list[str] | None:
    """What follows the name in `/proc/<pid>/stat`: state, parent, …; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
