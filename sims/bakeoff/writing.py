"""The table as Markdown and JSON."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sims.bakeoff.entries import LeftOut
from sims.bakeoff.running import Options
from sims.bakeoff.summary import Line, Summary


def as_json(options: Options, found: Summary, left_out: Sequence[LeftOut]) -> bytes:
    """Everything that was found."""
    told: dict[str, Any] = {
        "options": options._asdict(),
        "seeds_in_common": found.seeds,
        "lines": [line._asdict() for line in found.lines],
        "means": found.means,
        "duels": [duel._asdict() for duel in found.duels],
        "left_out": [one._asdict() for one in left_out],
    }
    return msgspec.json.format(msgspec.json.encode(told))


def as_markdown(options: Options, found: Summary, left_out: Sequence[LeftOut]) -> str:
    """Four tables: all worlds together, each world, wins and losses, who could not play."""
    parts = [
        f"At most {options.rounds_n:,} rounds a world, {len(found.seeds)} seeds, "
        f"{len(found.worlds)} worlds; 95 % intervals over seeds.",
        _overall(options, found),
        _worlds(found),
        _duels(found),
    ]
    if left_out:
        parts.append(
            "\n".join(f"* `{one.policy}` did not play {one.world}: {one.why}" for one in left_out)
        )
    return "\n\n".join(parts) + "\n"


def _overall(options: Options, found: Summary) -> str:
    heads = ["policy", "mean rank"]
    heads += [f"{kind} (last quarter)" for kind in options.rewards]
    rows = [[*heads, "regret a round", "µs a round"]]
    rows += [
        [
            f"`{line.policy}`",
            _between(line.rank, line.rank_low, line.rank_high, 2),
            *(_kind(line, kind) for kind in options.rewards),
            _between(line.regret, line.regret_low, line.regret_high, 3),
            "–" if line.micros is None else f"{line.micros:.0f}",
        ]
        for line in found.lines
    ]
    return _table(rows)


def _kind(line: Line, kind: str) -> str:
    if kind not in line.whole:
        return "–"
    digits = 4 if kind == "clicks" else 3
    return f"{line.whole[kind]:.{digits}f} ({line.late[kind]:.{digits}f})"


def _worlds(found: Summary) -> str:
    policies = [line.policy for line in found.lines]
    rows = [["world", *(f"`{policy}`" for policy in policies)]]
    for world, means in found.means.items():
        best = max(means.values())
        texts = []
        for policy in policies:
            value = means.get(policy)
            text = "–" if value is None else f"{value:.{4 if world.endswith('clicks') else 3}f}"
            texts.append(f"**{text}**" if value == best else text)
        rows.append([world, *texts])
    return _table(rows)


def _duels(found: Summary) -> str:
    policies = [line.policy for line in found.lines]
    known = {(duel.policy, duel.other): duel for duel in found.duels}
    rows = [["wins–losses against", *(f"`{policy}`" for policy in policies)]]
    for policy in policies:
        duels = [known.get((policy, other)) for other in policies]
        texts = ["" if duel is None else f"{duel.wins_n}–{duel.losses_n}" for duel in duels]
        rows.append([f"`{policy}`", *texts])
    return _table(rows)


def _between(value: float, low: float | None, high: float | None, digits: int) -> str:
    shown = f"{value:.{digits}f}"
    return (
        shown if low is None or high is None else f"{shown} [{low:.{digits}f}, {high:.{digits}f}]"
    )


def _table(rows: list[list[str]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "| --- " * len(rows[0]) + "|", *body])
