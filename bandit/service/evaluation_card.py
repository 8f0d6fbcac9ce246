"""The artefact of an evaluation as one HTML page that needs nothing else: no script, no address.

Everything that comes from a log, a spec or a client is escaped; a refused candidate has its
reasons where others have numbers.
"""

import html
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from bandit.ope import Evaluation, Interval
from bandit.service.evaluating_results import CandidateResult
from bandit.service.evaluation_artefact import Artefact
from bandit.service.reporting_words import DASH, number, percent

STYLE = (
    ":root{color-scheme:light dark;--ink:#1c1c1e;--dim:#5d5d66;--line:#c9c9d1;--good:#0a6b3b;"
    "--bad:#a3201d;--warn:#7a5200;--back:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ececf1;--dim:#a9a9b5;--line:#4a4a55;"
    "--good:#5fd39a;--bad:#ff8a84;--warn:#f0bd5a;--back:#17171b}}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;"
    "color:var(--ink);background:var(--back)}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}p,li{max-width:50rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{border-bottom:1px solid var(--line);padding:.35rem .8rem .35rem 0;text-align:left;"
    "vertical-align:top}td.n,th.n{text-align:right}caption{text-align:left;color:var(--dim)}"
    ".ok{color:var(--good)}.caution{color:var(--warn)}.refuse{color:var(--bad)}.dim{color:var(--dim)}"
    "pre{overflow:auto;border:1px solid var(--line);padding:.6rem}summary{cursor:pointer}"
    "svg{max-width:100%;height:auto}svg text{fill:var(--ink);font:13px system-ui,sans-serif}"
    "svg .axis{stroke:var(--line)}svg .bar{stroke:var(--ink);stroke-width:2}"
    "svg .dot{fill:var(--ink)}"
)
STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
"""For a Content-Security-Policy that allows this style and nothing else."""
WORDS = {"ok": "can be told", "caution": "with caution", "refuse": "refused: no number"}


def card_of(artefact: Artefact) -> str:
    """The page."""
    run = artefact.run
    title = f"Evaluation on {run.surface}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<p>{_text(artefact.estimand)}</p>",
        _about(artefact),
        _candidates(run.candidates),
        _plot(run.candidates),
        *(_candidate(candidate, artefact.reasons) for candidate in run.candidates),
        _pairs(artefact),
        _method(artefact),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>"
    )


def _about(artefact: Artefact) -> str:
    run = artefact.run
    since = _moment(run.since_ms) if run.since_ms else "the beginning of the log"
    rows = [
        ("Saved as", artefact.id or "not saved"),
        ("Made", f"{_moment(artefact.made_at_ms)}, by {artefact.author}"),
        ("Decisions made", f"from {since} until {_moment(run.until_ms)}"),
        ("Judged by", f"{run.n:,} decisions of {run.units_n:,} units"),
        ("Left out", _counts(run.excluded) or "none"),
        ("Waiting for their join window", f"{run.waiting_n:,}"),
        ("The logging policies earned", _with_interval(run.logged, run.logged_interval)),
        ("Rewards", f"by the rules of version {run.surface_version} of the surface"),
    ]
    if run.thinned:
        rows.append(("Thinned", "load was shed for a while, so decisions are weighted"))
    return _pairs_table("What this is about", rows)


def _candidates(candidates: Sequence[CandidateResult]) -> str:
    header = ("candidate", "verdict", "reward per decision", "against logging", "at any look")
    rows = []
    for candidate in candidates:
        verdict = candidate.evaluation.verdict
        gain = candidate.gain
        rows.append(
            (
                _text(candidate.name),
                f'<span class="{verdict}">{_text(WORDS[verdict])}</span>',
                _text(_with_interval(candidate.value, candidate.interval)),
                _text(_with_interval(gain.gain if gain else None, gain.interval if gain else None)),
                _text(_interval(candidate.anytime_gain)),
            )
        )
    return "<h2>Candidates</h2>" + _table("Each candidate's value and gain", header, rows)


def _candidate(candidate: CandidateResult, reasons: dict[str, str]) -> str:
    evaluation = candidate.evaluation
    parts = [f"<h2>{_text(candidate.name)}</h2>"]
    if evaluation.reasons:
        items = "".join(
            f"<li><code>{_text(code)}</code>: {_text(reasons.get(code, code))}</li>"
            for code in evaluation.reasons
        )
        lead = (
            "The log can not tell what it would have earned:"
            if evaluation.verdict == "refuse"
            else "To be read beside the numbers:"
        )
        parts.append(f'<p class="{evaluation.verdict}">{lead}</p><ul>{items}</ul>')
    if candidate.notes:
        notes = "".join(f"<li>{_text(note)}</li>" for note in candidate.notes)
        parts.append(f"<ul>{notes}</ul>")
    parts.append(_estimates(evaluation))
    parts.append(_diagnostics(candidate))
    if candidate.segments:
        parts.append(_segments(candidate))
    spec = msgspec.json.format(msgspec.json.encode(candidate.spec)).decode()
    parts.append(f"<details><summary>Spec</summary><pre>{_text(spec)}</pre></details>")
    return "".join(parts)


def _estimates(evaluation: Evaluation) -> str:
    if evaluation.verdict == "refuse":
        return ""
    rows = [
        (
            _text(estimate.estimator)
            + (" (headline)" if estimate.estimator == evaluation.headline else ""),
            _text(number(estimate.value)),
            _text(_interval(estimate.interval)),
            _text(estimate.interval.method if estimate.interval else DASH),
            _text(estimate.note),
        )
        for estimate in evaluation.estimates
    ]
    header = ("estimator", "value", f"{100 * (1 - evaluation.alpha):g} % interval", "how", "note")
    return _table("Estimates", header, rows)


def _diagnostics(candidate: CandidateResult) -> str:
    d = candidate.evaluation.diagnostics
    rows = [
        ("Worth so many decisions of its own", f"{d.ess:,.1f} ({percent(d.ess_share)})"),
        ("Mean weight (1 for a right log)", number(d.mean_weight)),
        (
            "Greatest weight, and its share",
            f"{number(d.max_weight)}, {percent(d.max_weight_share)}",
        ),
        ("Known bound on the weight", number(d.weight_bound)),
        ("Tail index", number(d.pareto_k)),
        ("Mass where nothing could be logged", percent(d.support_deficit)),
        ("Lessons learned", f"{candidate.lessons_n:,}"),
        ("Digest of what it had learned", candidate.digest or DASH),
    ]
    rows += [
        (f"Propensity test: {test.name}", f"z = {number(test.z)}, p = {number(test.p_value)}")
        for test in d.tests
    ]
    return _pairs_table("Diagnostics", rows)


def _segments(candidate: CandidateResult) -> str:
    rows = [
        (
            _text(segment.name),
            f"{segment.n:,}",
            f'<span class="{segment.verdict}">{_text(WORDS[segment.verdict])}</span>',
            _text(
                _with_interval(
                    segment.gain.gain if segment.gain else None,
                    segment.gain.interval if segment.gain else None,
                )
            ),
        )
        for segment in candidate.segments
    ]
    return _table("Segments", ("segment", "decisions", "verdict", "against logging"), rows)


def _pairs(artefact: Artefact) -> str:
    rows = [
        (
            _text(f"{pair.candidate} − {pair.other}"),
            _text(_with_interval(pair.gain.gain, pair.gain.interval)),
            _text(_interval(pair.anytime)),
        )
        for pair in artefact.run.pairs
    ]
    if not rows:
        return ""
    return "<h2>Against each other</h2>" + _table(
        "On the same decisions", ("comparison", "difference", "at any look"), rows
    )


def _method(artefact: Artefact) -> str:
    run = artefact.run
    settings = msgspec.json.format(msgspec.json.encode(run.settings)).decode()
    snapshots = [(policy, f"{low} to {high}") for policy, (low, high) in run.snapshots.items()]
    search = ""
    if run.search is not None:
        chosen = run.search.chosen or "none"
        search = (
            f"<p>{run.search.tried_n} combinations were tried ({_text(run.search.method)}); "
            f"chosen: {_text(chosen)}. {_text(run.search.correction)}</p>"
        )
    sql = "".join(
        f"<details><summary>Query <code>{_text(name)}</code></summary><pre>{_text(text)}</pre>"
        "</details>"
        for name, text in artefact.sql.items()
    )
    return (
        f"<h2>How it was made</h2>{search}"
        + _pairs_table("Snapshots that drew the decisions", snapshots)
        + f"<details><summary>Settings</summary><pre>{_text(settings)}</pre></details>{sql}"
        f'<p class="dim">bandit {_text(artefact.code_version)}, artefact version '
        f"{artefact.version}.</p>"
    )


def _plot(candidates: Sequence[CandidateResult]) -> str:
    """Gains with their intervals on one axis; candidates that are refused are not on it."""
    found = [(c.name, c.gain) for c in candidates if c.gain is not None]
    if not found:
        return ""
    low = min(0.0, *(gain.interval.low for _, gain in found))
    high = max(0.0, *(gain.interval.high for _, gain in found))
    span = (high - low) or 1.0

    def x(value: float) -> str:
        return f"{220 + 460 * (value - low) / span:.1f}"

    rows = "".join(
        f'<text x="0" y="{28 * place + 25}">{_text(name[:30])}</text>'
        f'<line class="bar" x1="{x(gain.interval.low)}" x2="{x(gain.interval.high)}" '
        f'y1="{28 * place + 20}" y2="{28 * place + 20}"/>'
        f'<circle class="dot" cx="{x(gain.gain)}" cy="{28 * place + 20}" r="4"/>'
        for place, (name, gain) in enumerate(found)
    )
    height = 28 * len(found) + 30
    said = "; ".join(f"{name}: {_with_interval(g.gain, g.interval)}" for name, g in found)
    return (
        f'<svg viewBox="0 0 720 {height}" width="720" height="{height}" role="img" '
        f'aria-label="{_text(f"Gain over logging: {said}")}">'
        f'<line class="axis" x1="{x(0.0)}" x2="{x(0.0)}" y1="4" y2="{height - 20}"/>'
        f'<text x="{x(0.0)}" y="{height - 6}" text-anchor="middle">0</text>{rows}</svg>'
    )


def _pairs_table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>'
        for name, value in rows
    )
    return f'<div class="wide"><table><caption>{_text(title)}</caption>{cells}</table></div>'


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption>{_text(title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _with_interval(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return DASH
    return number(value) if interval is None else f"{number(value)} {_interval(interval)}"


def _interval(interval: Interval | None) -> str:
    return DASH if interval is None else f"[{number(interval.low)}, {number(interval.high)}]"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {why}" for why, n in sorted(counts.items()))


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _text(value: str) -> str:
    return html.escape(value, quote=True)
