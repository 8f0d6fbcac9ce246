"""An evaluation as titled tables, for a terminal or as Markdown; pure."""

from collections.abc import Iterator

from bandit.cli.report_sections import Section, moment
from bandit.ope import REASONS, Interval
from bandit.service.evaluating_results import CandidateResult, EvaluationRun
from bandit.service.logged import BARRED
from bandit.service.reporting_words import DASH, number
from bandit.specs import PolicySpec

_HEADER = (
    "candidate", "verdict", "would earn", "95 %", "over logged", "at any time", "lately",
    "as good as",
)  # fmt: skip
_MODES = {
    "dr": "by importance weights and a reward model that knew only the past",
    "ips": "by importance weights",
    "rejection": "by the decisions that each could have made itself, which it learned from alone",
}


def sections_of(run: EvaluationRun) -> list[Section]:
    """All of an evaluation in the order in which it should be read."""
    return [_about(run), _candidates(run), *_searched(run), *_pairs(run), *_segments(run)]


def _about(run: EvaluationRun) -> Section:
    earned = "what logged policies earned can not be told"
    if run.logged is not None:
        told = f"{number(run.logged)} {_between(run.logged_interval)}".rstrip()
        earned = f"logged policies earned {told} each"
    since = moment(run.since_ms) if run.since_ms else "the beginning of the log"
    lines = [
        f"{run.n} decisions of {run.units_n} units, made from {since} to {moment(run.until_ms)}; "
        f"{earned}.",
        f"Candidates learned from the log as it came and are judged {_MODES[run.settings.mode]}.",
    ]
    lines += [
        f"Left out: {n} {reason} ({BARRED.get(reason, reason)})."
        for reason, n in run.excluded.items()
    ]
    if run.waiting_n:
        lines.append(f"{run.waiting_n} decisions still wait for their rewards.")
    if run.thinned:
        lines.append("Decisions were thinned when they were logged; rows are weighted for it.")
    return Section(f"Candidates for {run.surface}", lines)


def _candidates(run: EvaluationRun) -> Section:
    level = f"{100 * (1 - run.settings.alpha):g} %"
    header = [level if cell == "95 %" else cell for cell in _HEADER]
    lines = [
        f"{candidate.name}: {words}"
        for candidate in run.candidates
        for words in (
            *(REASONS.get(reason, reason) for reason in candidate.evaluation.reasons),
            *candidate.notes,
        )
    ]
    return Section(
        "What each would have earned", lines, header, [_cells(c) for c in run.candidates]
    )


def _cells(candidate: CandidateResult) -> list[str]:
    gain, late = candidate.gain, candidate.late.best if candidate.late else None
    return [
        candidate.name,
        candidate.evaluation.verdict,
        _told(candidate.value),
        _between(candidate.interval) or DASH,
        f"{_signed(gain.gain)} {_between(gain.interval, sign=True)}" if gain else DASH,
        _between(candidate.anytime_gain, sign=True) or DASH,
        _told(late.value if late else None),
        f"{candidate.evaluation.diagnostics.ess:.0f} decisions",
    ]


def _searched(run: EvaluationRun) -> Iterator[Section]:
    found = run.search
    if found is None:
        return
    chosen = found.chosen or "none: nothing that was tried can be judged by this log"
    rows = [
        [row.name, row.spec.type, _settings(row.spec),
         _told(row.value), _between(row.interval) or DASH, str(row.n), row.verdict]
        for row in found.rows
    ]  # fmt: skip
    header = ("tried", "type", "settings", "earned", "all together", "decisions", "verdict")
    yield Section(f"Chosen: {chosen}", [found.correction], header, rows)


def _settings(spec: PolicySpec) -> str:
    """All that a search may choose, so that no two of its rows look alike."""
    chosen = {
        **spec.parameters,
        "floor": spec.floor,
        "learns_from": spec.learns_from if spec.learns_from != "surface" else None,
        "slot_model": spec.slot_model if spec.slot_model != "shared" else None,
        "window": spec.window,
    }
    named = [f"{name}={value}" for name, value in chosen.items() if value]
    return " ".join([spec.arguments, *named] if spec.arguments else named) or DASH


def _pairs(run: EvaluationRun) -> Iterator[Section]:
    if run.pairs:
        rows = [
            [
                f"{pair.candidate} − {pair.other}",
                _signed(pair.gain.gain),
                _between(pair.gain.interval, sign=True),
                _between(pair.anytime, sign=True) or DASH,
            ]
            for pair in run.pairs
        ]
        header = ("pair", "difference", f"{100 * (1 - run.settings.alpha):g} %", "at any time")
        yield Section("On the same decisions", (), header, rows)


def _segments(run: EvaluationRun) -> Iterator[Section]:
    for candidate in run.candidates:
        if candidate.segments:
            rows = [
                [
                    part.name,
                    str(part.n),
                    part.verdict,
                    f"{_signed(part.gain.gain)} {_between(part.gain.interval, sign=True)}"
                    if part.gain
                    else DASH,
                ]
                for part in candidate.segments
            ]
            yield Section(
                f"{candidate.name} by {run.settings.segment}",
                [f"Intervals hold for all {len(candidate.segments)} together."],
                ("segment", "decisions", "verdict", "over logged"),
                rows,
            )


def _told(value: float | None) -> str:
    return DASH if value is None else number(value)


def _signed(value: float) -> str:
    return f"{value:+.4g}"


def _between(interval: Interval | None, *, sign: bool = False) -> str:
    if interval is None:
        return ""
    if sign:
        return f"[{interval.low:+.4g}, {interval.high:+.4g}]"
    return f"[{interval.low:.4g}, {interval.high:.4g}]"
