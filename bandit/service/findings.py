"""What a check finds: what is, what must be, and what to do about it, in plain words."""

from collections.abc import Iterable
from typing import Literal

from bandit.records import Record

Level = Literal["ok", "warning", "problem"]
EXIT_CODES: dict[Level, int] = {"ok": 0, "warning": 1, "problem": 2}


class Finding(Record, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes:
        area: What it is about: `settings`, `disk`, `journal` …
        code: Stable name, as api/OBSERVABILITY.md lists it; `ok` where nothing is wrong.
        level: `warning`: look at it today. `problem`: something is lost, refused or wrong now.
        text: What is.
        must_be: What it must be; empty where nothing is wrong.
        next_step: What to do; empty where nothing is to be done.
    """

    area: str
    code: str
    level: Level
    text: str
    must_be: str = ""
    next_step: str = ""


def fine(area: str, text: str) -> Finding:
    """Nothing is wrong."""
    return Finding(area=area, code="ok", level="ok", text=text)


def warning(area: str, code: str, text: str, must_be: str, next_step: str) -> Finding:
    """Something to look at today."""
    return Finding(
        area=area, code=code, level="warning", text=text, must_be=must_be, next_step=next_step
    )


def problem(area: str, code: str, text: str, must_be: str, next_step: str) -> Finding:
    """Something that is lost, refused or wrong now."""
    return Finding(
        area=area, code=code, level="problem", text=text, must_be=must_be, next_step=next_step
    )


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if all is well, 1 with warnings, 2 with problems."""
    return max((EXIT_CODES[each.level] for each in findings), default=0)
