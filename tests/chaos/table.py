"""Rows of a campaign in words and as a table."""

import math
from collections import Counter
from collections.abc import Sequence

from tests.chaos.campaign import Row

HEAD = (
    "| fault | n | requests | acknowledged | lost | duplicates | longest gap without a ranking "
    "| failed | refused (503) | slowest call | recovery | digest equal |",
    "| --- " + "| ---: " * 10 + "| --- |",
)


def table(rows: Sequence[Row]) -> list[str]:
    """One line a fault, as Markdown."""
    return [*HEAD, *map(_line, rows)]


def told(row: Row) -> list[str]:
    """Everything about one fault."""
    found = row.figures
    events = Counter(event.what for event in row.events)
    lines = [f"\n== {row.phase}: " + ", ".join(f"{n}× {what}" for what, n in events.items())]
    lines += [f"  {name}: {figure}" for name, figure in row.notes.items()]
    if not math.isnan(found.p99_during_s):
        lines.append(
            f"  p99 of rankings: {found.p99_before_s * 1000:.1f} ms before, "
            f"{found.p99_during_s * 1000:.1f} ms during"
        )
    lines += [f"  not served: {dict(found.outcomes)}"] if found.outcomes else []
    lines += [f"  gap of {gap}" for gap in row.gaps]
    lines += [f"  repeated rows, seen once: {row.verdict.repeats_n}"]
    lines += [f"  PROBLEM: {problem}" for problem in row.verdict.problems]
    return lines


def _line(row: Row) -> str:
    found, verdict = row.figures, row.verdict
    cells = (
        row.phase,
        len(row.events),
        found.requests_n,
        verdict.acknowledged_n,
        len(verdict.lost),
        verdict.duplicates_n,
        f"{found.gap_s:.2f} s",
        f"{found.failed_share:.3%}",
        f"{found.refused_share:.1%}",
        f"{found.longest_s:.2f} s",
        f"{found.recovery_s:.2f} s",
        "yes" if verdict.digest_equal else "**no**",
    )
    return f"| {' | '.join(map(str, cells))} |"
