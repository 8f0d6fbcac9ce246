"""A run as text and as a page of its own."""

from collections.abc import Mapping
from html import escape

from bandit.service.simulations import Final, Pair, SavedRun
from bandit.stats import Effect
from sims.pictures import data_url

COLUMNS = ("policy", "reward", "late", "regret", "rank", "vs {reference}", "p", "µs")
NOTES = (
    "reward: mean per round over seeds, with its t interval; late: the same of the last quarter; "
    "regret: what the best action would have earned more, per round; rank: mean over seeds, 1 is "
    "best; vs: mean difference of reward per round on the same seeds, with its interval; p: of "
    "that difference, corrected ({correction}) for all pairs of the run; µs: processor time of a "
    "round."
)
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a}
body{margin:2rem auto;max-width:64rem;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.2rem .7rem;text-align:right}
th{border-bottom:1px solid #888}th:first-child,td:first-child{text-align:left}img{max-width:100%}
.note{color:#555;font-size:.85rem}.wins{color:#00664d}.loses{color:#a33}
"""


def rows_of(run: SavedRun, world: str) -> list[tuple[str, ...]]:
    """The final table of a world, a row for each policy, the best first."""
    pairs = {(p.policy, p.other): p for p in run.pairs if p.world == world}
    return [
        _row(final, pairs.get((final.policy, run.reference)))
        for final in run.finals
        if final.world == world
    ]


def header_of(run: SavedRun) -> tuple[str, ...]:
    """Its columns."""
    return tuple(name.format(reference=run.reference) for name in COLUMNS)


def as_text(run: SavedRun) -> str:
    """The final tables, for a terminal."""
    parts = []
    for world in run.worlds:
        rows = [header_of(run), *rows_of(run, world.name)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
        lines = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        parts.append("\n".join([_title(run, world.name), *lines]))
    return "\n\n".join(parts)


def as_fragment(run: SavedRun, pictures: Mapping[str, bytes]) -> str:
    """Tables and curves as HTML without a page around them.

    Args:
        run: What is shown.
        pictures: PNG of each world's curves, if they are to be in it.
    """
    parts = []
    for world in run.worlds:
        parts.append(f"<h2>{escape(_title(run, world.name))}</h2>")
        if world.name in pictures:
            source = data_url(pictures[world.name])
            about = f"Mean reward and regret so far of each policy in {world.name}"
            parts.append(f'<img src="{source}" alt="{escape(about)}">')
        parts.append(_table(header_of(run), rows_of(run, world.name)))
        if world.about:
            parts.append(f'<p class="note">{escape(world.about)}</p>')
    parts.append(_win_losses(run))
    parts.append(f'<p class="note">{escape(NOTES.format(correction=run.options.correction))}</p>')
    return "\n".join(parts)


def as_page(run: SavedRun, pictures: Mapping[str, bytes]) -> str:
    """A page that needs nothing else: pictures are inside; see `as_fragment`."""
    title = escape(f"Simulation {run.name}")
    told = run.options
    seeds = f"{len(told.seeds)} seeds from {told.seeds[0]}"
    join = "" if told.join_n is None else f", a join window of {told.join_n}"
    how = f"{told.rounds_n:,} rounds, {seeds}, learning {told.delay_n} rounds late{join}"
    what = _table(("policy", "declared as"), [(one.key, one.what) for one in run.policies])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{title}</h1><p>{escape(how)}; {escape(run.made_at)}, version "
        f"{escape(run.code_version)}.</p>\n{as_fragment(run, pictures)}\n<h2>Policies</h2>{what}\n"
        "</body></html>\n"
    )


def _title(run: SavedRun, world: str) -> str:
    return f"{world}: {run.options.rounds_n:,} rounds, {len(run.options.seeds)} seeds"


def _row(final: Final, pair: Pair | None) -> tuple[str, ...]:
    adjusted = None if pair is None else pair.effect.p_value_adjusted
    return (
        final.policy,
        _with_interval(final.reward, final.reward_low, final.reward_high),
        f"{final.late:.4f}",
        f"{final.regret:.4f}",
        f"{final.rank:.2f}",
        "" if pair is None else _difference(pair.effect),
        "" if pair is None else "–" if adjusted is None else f"{adjusted:.2g}",
        "–" if final.micros is None else f"{final.micros:.1f}",
    )


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    shown = f"{value:.4f}"
    return shown if low is None or high is None else f"{shown} [{low:.4f}, {high:.4f}]"


def _difference(effect: Effect) -> str:
    shown = "–" if effect.effect is None else f"{effect.effect:+.4f}"
    low, high = effect.effect_ci_low, effect.effect_ci_high
    return shown if low is None or high is None else f"{shown} [{low:+.4f}, {high:+.4f}]"


def _win_losses(run: SavedRun) -> str:
    """Wins − losses of the row's policy against the column's, over worlds."""
    keys = [policy.key for policy in run.policies]
    if len(keys) < 2:
        return ""
    counts = {(one.policy, one.other): f"{one.wins_n} : {one.losses_n}" for one in run.wins}
    rows = [(key, *(counts.get((key, other), "") for other in keys)) for key in keys]
    worlds = f"{len(run.worlds)} world" + "s" * (len(run.worlds) != 1)
    title = f"<h2>Wins : losses of the row against the column, in {worlds}</h2>"
    return title + _table(("", *keys), rows)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
