"""What happened to an experiment and when: units that came, and what was changed; pure."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from bandit.records import Record
from bandit.specs import BUCKETS, Experiment, Metric, Surface
from bandit.store.definitions import Definition
from bandit.store.numbers import ExperimentNumbers

MarkKind = Literal["declared", "status", "ramp", "change", "surface", "metric", "note"]
_STATUS = {
    "running": "started",
    "stopped": "stopped",
    "archived": "archived",
    "draft": "declared as a draft",
}
_TOLD_ELSEWHERE = ("notes", "status", "key", "project")


class ArrivalPoint(Record, frozen=True, kw_only=True):
    """Units of one variant that came in one period of time.

    Attributes:
        at_ms: End of the period; of the one that is under way, the time that the numbers are of.
        variant: Its key.
        units_n: That came for the first time, in the period.
        total_n: Up to its end.
        decisions_n: Counted decisions in the period, of all units of the variant.
    """

    at_ms: int
    variant: str
    units_n: int
    total_n: int
    decisions_n: int


class Arrivals(Record, frozen=True, kw_only=True):
    """Units over time, by variant.

    Attributes:
        period_ms: An hour, or a day of a long experiment.
        from_ms: Start of the first period; None before the first unit.
        points: By time and variant; every variant that has units at all is at every time.
    """

    period_ms: int
    from_ms: int | None = None
    points: tuple[ArrivalPoint, ...] = ()


class TimeMark(Record, frozen=True, kw_only=True):
    """Something that happened while an experiment ran.

    Attributes:
        at_ms: When.
        kind: `declared` (its first version), `status`, `ramp` (units were let in), `change` (of
            anything else), `surface` and `metric` (of these), or a `note` of the experiment.
        text: What, in plain words.
        author: Who changed it; None for a note.
        version: That it made; None for a note.
    """

    at_ms: int
    kind: MarkKind
    text: str
    author: str | None = None
    version: int | None = None


def arrivals_of(numbers: ExperimentNumbers, variants: Sequence[str]) -> Arrivals:
    """When units came.

    Args:
        numbers: Of the experiment.
        variants: Their keys, in order.
    """
    by_place = {(found.at_ms, found.variant): found for found in numbers.periods}
    known = [key for key in variants if any(variant == key for _, variant in by_place)]
    totals = dict.fromkeys(known, 0)
    points = []
    for start_ms in sorted({at_ms for at_ms, _ in by_place}):
        for key in known:
            found = by_place.get((start_ms, key))
            totals[key] += found.units_n if found else 0
            points.append(
                ArrivalPoint(
                    at_ms=max(start_ms, min(start_ms + numbers.period_ms, numbers.closed_ms)),
                    variant=key,
                    units_n=found.units_n if found else 0,
                    total_n=totals[key],
                    decisions_n=found.decisions_n if found else 0,
                )
            )
    return Arrivals(
        period_ms=numbers.period_ms,
        from_ms=min((at_ms for at_ms, _ in by_place), default=None),
        points=tuple(points),
    )


def marks_of(
    experiment: Sequence[Definition],
    others: Iterable[Sequence[Definition]] = (),
    at_ms: int | None = None,
) -> tuple[TimeMark, ...]:
    """What was changed while an experiment ran, and its notes, in order of time.

    Args:
        experiment: All its versions, oldest first.
        others: All versions of its surface, and of each of its metrics.
        at_ms: Nothing later; None: everything.
    """
    marks = [*_experiment_marks(experiment), *_notes(experiment, at_ms)]
    first_ms = experiment[0].created_ms if experiment else 0
    for versions in others:
        marks += [mark for mark in _other_marks(versions) if mark.at_ms >= first_ms]
    shown = (mark for mark in marks if at_ms is None or mark.at_ms <= at_ms)
    return tuple(sorted(shown, key=lambda mark: mark.at_ms))


def _experiment_marks(versions: Sequence[Definition]) -> Iterator[TimeMark]:
    before: Experiment | None = None
    for definition in versions:
        after = definition.spec
        assert isinstance(after, Experiment)
        for kind, text in _said(before, after):
            yield _mark(definition, kind, text)
        before = after


def _said(before: Experiment | None, after: Experiment) -> Iterator[tuple[MarkKind, str]]:
    """What a version of an experiment changed."""
    if before is None:
        state = "" if after.status == "draft" else f", and {_STATUS[after.status]}"
        yield "declared", f"declared{state}"
        return
    if before.status != after.status:
        yield "status", _STATUS[after.status]
    grown = [text for key in _keys(after) if (text := _ramped(before, after, key))]
    if grown:
        yield "ramp", f"ramp: {', '.join(grown)}"
    told = [*_TOLD_ELSEWHERE, *(["variants"] if grown else [])]
    changed = _changed(before, after, told)
    if changed:
        yield "change", f"changed: {', '.join(changed)}"


def _keys(experiment: Experiment) -> list[str]:
    return [variant.key for variant in experiment.variants]


def _ramped(before: Experiment, after: Experiment, key: str) -> str:
    """How a variant's share grew; empty if it did not."""
    was, now = _share(before, key), _share(after, key)
    return "" if was == now else f"{key} {100 * was:g} % → {100 * now:g} %"


def _share(experiment: Experiment, key: str) -> float:
    return (
        sum(
            high - low
            for variant in experiment.variants
            if variant.key == key
            for low, high in variant.allocation
        )
        / BUCKETS
    )


def _changed(before: object, after: object, told: Sequence[str] = ()) -> list[str]:
    """Names of the fields that a version changed."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return [name for name in new if name not in told and old.get(name) != new[name]]


def _notes(versions: Sequence[Definition], at_ms: int | None) -> Iterator[TimeMark]:
    """Of the newest version by then."""
    known = [one for one in versions if at_ms is None or one.created_ms <= at_ms]
    if known:
        spec = known[-1].spec
        assert isinstance(spec, Experiment)
        for note in spec.notes:
            yield TimeMark(at_ms=note.at_ms, kind="note", text=note.text)


def _other_marks(versions: Sequence[Definition]) -> Iterator[TimeMark]:
    """Changes of a surface or metric; how it began is none."""
    for before, definition in itertools.pairwise(versions):
        old, new = before.spec, definition.spec
        if isinstance(old, Surface) and isinstance(new, Surface):
            yield _mark(definition, "surface", f"surface {new.key}: {_surface_said(old, new)}")
        elif isinstance(new, Metric):
            changed = ", ".join(_changed(old, new)) or "declared again"
            yield _mark(definition, "metric", f"metric {new.key} changed: {changed}")


def _surface_said(old: Surface, new: Surface) -> str:
    texts = []
    if old.killed != new.killed:
        texts.append(f"kill switch {'on' if new.killed else 'off'}")
    if old.policy != new.policy:
        texts.append(f"policy {old.policy} → {new.policy}")
    changed = _changed(old, new, ("killed", "policy"))
    if changed:
        texts.append(f"changed: {', '.join(changed)}")
    return "; ".join(texts) or "declared again"


def _mark(definition: Definition, kind: MarkKind, text: str) -> TimeMark:
    return TimeMark(
        at_ms=definition.created_ms,
        kind=kind,
        text=text,
        author=definition.author,
        version=definition.version,
    )
