"""What happened to an experiment, told from versions made by hand."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bandit.service.reporting_timeline import TimeMark, arrivals_of, marks_of
from bandit.specs import AnySpec, Metric, Note, Surface
from bandit.store.definitions import Definition
from bandit.store.numbers import PeriodNumbers
from tests.bandit.service.making_numbers import NOW_MS, experiment_of, moments_of, numbers_of

HOUR_MS = 3_600_000


def versions_of(*specs: AnySpec) -> list[Definition]:
    """One an hour, by ana."""
    return [
        Definition(
            kind=spec.kind, key=spec.key, version=at, created_ms=NOW_MS + at * HOUR_MS,
            author="ana", change_id=str(at), spec=spec,
        )
        for at, spec in enumerate(specs, 1)
    ]  # fmt: skip


def grown(experiment, high: int):
    """Its last variant given buckets up to `high`."""
    *others, last = experiment.variants
    wider = msgspec.structs.replace(last, allocation=[(last.allocation[0][0], high)])
    return msgspec.structs.replace(experiment, variants=[*others, wider])


def said(marks: tuple[TimeMark, ...]) -> list[tuple[str, str]]:
    return [(mark.kind, mark.text) for mark in marks]


def test_an_experiments_life_is_told_in_order():
    draft = grown(experiment_of(status="draft"), 5100)
    running = msgspec.structs.replace(draft, status="running")
    ramped = msgspec.structs.replace(grown(running, 10_000), owner="bo")
    stopped = msgspec.structs.replace(ramped, status="stopped")
    marks = marks_of(versions_of(draft, running, ramped, stopped))
    assert said(marks) == [
        ("declared", "declared"),
        ("status", "started"),
        ("ramp", "ramp: t 1 % → 50 %"),
        ("change", "changed: owner"),
        ("status", "stopped"),
    ]
    assert [mark.version for mark in marks] == [1, 2, 3, 3, 4]
    assert {mark.author for mark in marks} == {"ana"}


def test_notes_are_those_of_the_newest_version_by_then():
    first = experiment_of(notes=[Note(at_ms=NOW_MS + 5, text="sale")])
    second = msgspec.structs.replace(first, notes=[Note(at_ms=NOW_MS + 7, text="outage")])
    versions = versions_of(first, second)
    assert ("note", "outage") in said(marks_of(versions))
    assert ("note", "sale") not in said(marks_of(versions))
    assert ("note", "sale") in said(marks_of(versions, at_ms=NOW_MS + HOUR_MS))
    assert marks_of(versions, at_ms=NOW_MS + 6) == ()  # it was not declared yet


def test_changes_of_the_surface_and_its_metrics_are_told_once_the_experiment_is_there():
    home = Surface(key="home", policy="a")
    killed = msgspec.structs.replace(home, policy="b", killed=True)
    metric = Metric(key="clicks", source="reward")
    capped = msgspec.structs.replace(metric, cap=3.0)
    marks = marks_of(
        versions_of(experiment_of()), [versions_of(home, killed), versions_of(metric, capped)]
    )
    assert said(marks)[1:] == [
        ("surface", "surface home: kill switch on; policy a → b"),
        ("metric", "metric clicks changed: cap"),
    ]
    late = [msgspec.structs.replace(one, created_ms=one.created_ms + 9 * HOUR_MS)
            for one in versions_of(experiment_of())]  # fmt: skip
    assert said(marks_of(late, [versions_of(home, killed)])) == [
        ("declared", "declared, and started")
    ]


def period(hour: int, variant: str, units_n: int) -> PeriodNumbers:
    return PeriodNumbers(
        at_ms=NOW_MS + hour * HOUR_MS, variant=variant, units_n=units_n, decisions_n=2 * units_n,
        reward_sum=0.0,
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ct"), st.integers(0, 99)),
                unique_by=lambda one: one[:2]))  # fmt: skip
def test_arrivals_add_up_and_every_variant_is_at_every_time(cells: list[tuple[int, str, int]]):
    numbers = numbers_of(
        moments_of("m", {"c": [[1.0, 2.0]]}),
        periods=tuple(period(*cell) for cell in cells),
        closed_ms=NOW_MS + 1000 * HOUR_MS,
    )
    points = arrivals_of(numbers, ["c", "t"]).points
    for key in {variant for _, variant, _ in cells}:
        mine = [point for point in points if point.variant == key]
        assert len(mine) == len({hour for hour, *_ in cells})
        assert mine[-1].total_n == sum(n for _, variant, n in cells if variant == key)
        assert [p.total_n for p in mine] == sorted(p.total_n for p in mine)


def test_the_period_under_way_ends_where_the_numbers_do():
    numbers = numbers_of(
        moments_of("m", {"c": [[1.0, 2.0]]}),
        periods=(period(0, "c", 5),),
        closed_ms=NOW_MS + HOUR_MS // 2,
    )
    [point] = arrivals_of(numbers, ["c", "t"]).points
    assert point.at_ms == NOW_MS + HOUR_MS // 2
