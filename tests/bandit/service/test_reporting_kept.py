"""Reports from kept numbers: which are read, as of when, and that they stay the same."""

from collections.abc import Iterator

import msgspec
import pytest

from bandit.errors import NotDeclared, RecordError
from bandit.service.reporting import ReportService
from bandit.specs import Metric, Surface
from bandit.store.client import Store
from bandit.store.kept import HOUR_MS, KeptNumbers
from tests.bandit.logs import T0, LogMaker
from tests.bandit.service.test_refreshing_reports import (
    DAY,
    EXPERIMENT,
    FAR_MS,
    SPECS,
    SURFACE,
    decide,
    declare,
    drained,
    refresh,
)

SCANS = ("unit_", "report_counts", "report_weight", "report_running", "report_span", "report_rate",
         "report_log_rows", "report_thinned", "report_served", "report_latency", "report_open",
         "report_policy")  # fmt: skip


@pytest.fixture
def log(store: Store) -> Iterator[LogMaker]:
    """Six units, refreshed as of five seconds after the start."""
    declare(store, *SPECS)
    made = LogMaker(store)
    decide(made, 0)
    refresh(store, T0 + 5000)
    return made


def service(store: Store, at_ms: int) -> ReportService:
    return ReportService(store, lambda: T0 + at_ms)


def asked_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the queries from now on."""
    names: list[str] = []
    rows = store.rows
    monkeypatch.setattr(
        store, "rows", lambda name, **given: names.append(name) or rows(name, **given)
    )
    return names


def test_reading_a_kept_report_scans_no_table_of_the_log(
    store: Store, log: LogMaker, monkeypatch: pytest.MonkeyPatch
):
    asked = asked_of(store, monkeypatch)
    reports = service(store, 6000)
    got = reports.experiment("e")
    assert (got.source, got.as_of_ms, got.surface_as_of_ms) == ("kept", T0 + 5000, T0 + 5000)
    assert reports.surface("home").source == "kept"
    [headline] = reports.overview().experiments
    assert (headline.as_of_ms, headline.verdict) == (T0 + 5000, got.verdict)
    reports.history("e")
    assert len(asked) < 20
    assert [name for name in asked if name.startswith(SCANS)] == []
    assert reports.experiment("e", fresh=True).source == "log"
    assert [name for name in asked if name.startswith(SCANS)] != []


def test_a_report_of_a_past_time_is_the_same_bytes_whatever_comes_later(
    store: Store, log: LogMaker
):
    decide(log, 5100, value=0.75)
    refresh(store, T0 + 9000)
    at_ms = T0 + 5000
    kept = service(store, 9500).experiment("e", at_ms=at_ms)
    between = service(store, 9500).experiment("e", at_ms=T0 + 7000)
    assert (kept.source, kept.as_of_ms) == ("kept", at_ms)
    assert (between.source, between.as_of_ms) == ("log", T0 + 7000)
    assert sum(v.counted_n for v in between.variants) == 12
    # more comes, and everything is declared anew
    decide(log, 10_000, value=-1.0)
    declare(store, Metric(key="clicks", source="reward", per="unit", cap=0.1), expected=1,
            at_ms=T0 + 10_000)  # fmt: skip
    declare(
        store, msgspec.structs.replace(SURFACE, default_reward=0.25), expected=1, at_ms=T0 + 10_000
    )
    declare(store, msgspec.structs.replace(EXPERIMENT, description="new"), expected=1,
            at_ms=T0 + 10_000)  # fmt: skip
    refresh(store, T0 + 20_000)
    later = service(store, 400_000)
    for before in (kept, between):
        again = later.experiment("e", at_ms=before.as_of_ms)
        assert again.as_of_ms == before.as_of_ms
        assert msgspec.json.encode(again) == msgspec.json.encode(before)
    assert later.surface("home", at_ms=at_ms).version == 1
    newest = later.experiment("e")
    assert (newest.description, newest.source) == ("new", "kept")
    assert newest.effects[0].effect.control != kept.effects[0].effect.control


def test_a_time_too_young_to_be_final_has_the_newest_kept_numbers(store: Store, log: LogMaker):
    drained(store, T0 + 6000)
    got = service(store, 9500).experiment("e", at_ms=T0 + 8000)
    assert (got.source, got.as_of_ms) == ("kept", T0 + 5000)
    assert service(store, 9500).experiment("e", at_ms=T0 + 99_000_000).as_of_ms == T0 + 5000


def test_changed_definitions_have_no_kept_numbers_until_they_are_refreshed(
    store: Store, log: LogMaker
):
    wider = Metric(key="clicks", source="reward", per="decision")
    declare(store, wider, expected=1, at_ms=T0 + 6000)
    before = service(store, 7000).experiment("e")
    assert before.source == "log"
    refresh(store, T0 + 8000)
    after = service(store, 9000).experiment("e")
    assert after.source == "kept"
    assert after.generation == before.generation
    assert after.variants == before.variants
    assert after.effects[0].effect == before.effects[0].effect


def test_another_version_of_the_surface_is_judged_from_the_log(store: Store, log: LogMaker):
    richer = msgspec.structs.replace(SURFACE, default_reward=0.25)
    declare(store, richer, expected=1, at_ms=T0 + 6000)
    refresh(store, T0 + 8000)
    reports = service(store, 9000)
    assert reports.experiment("e").source == "kept"
    old = reports.experiment("e", surface_version=1)
    # as it was: the numbers of that version are those that were kept before
    assert (old.surface_version, old.generation) == (
        1,
        service(store, 9000).experiment("e", at_ms=T0 + 5000).generation,
    )


def test_what_was_declared_later_is_as_it_was_declared_first(store: Store):
    declare(store, *SPECS, at_ms=T0 + HOUR_MS)  # of a log that was imported
    decide(LogMaker(store), 0)
    drained(store, T0 + 2 * HOUR_MS)
    reports = service(store, 2 * HOUR_MS)
    got = reports.experiment("e", at_ms=T0 + 60_000)
    assert sum(variant.counted_n for variant in got.variants) == 6
    with pytest.raises(NotDeclared):
        reports.experiment("nobody", at_ms=T0 + 60_000)
    assert reports.overview(at_ms=T0 + 60_000).experiments == ()


def test_a_history_is_each_effect_over_time_with_the_band_of_every_look(
    store: Store, log: LogMaker
):
    for at in range(1, 4):
        decide(log, 10_000 * at, n=60)
        refresh(store, T0 + 10_000 * at + 5000)
    reports = service(store, 50_000)
    got = reports.history("e", alpha=0.1)
    assert [point.at_ms - T0 for point in got.points] == [5000, 15_000, 25_000, 35_000]
    assert [point.units_n for point in got.points] == [6, 66, 126, 186]
    assert got.points[0].reason == "few_units"
    last, report = got.points[-1], reports.experiment("e", alpha=0.1).effects[0]
    assert (last.metric, last.control, last.treatment) == ("clicks", "c", "t")
    assert (last.effect, last.effect_ci_low) == (report.effect.effect, report.anytime.effect_ci_low)
    assert len(reports.history("e", n=2).points) == 2
    assert reports.history("e", at_ms=T0 + 16_000).as_of_ms == T0 + 15_000
    with pytest.raises(RecordError, match="n is 121, must be in 1 to 120"):
        reports.history("e", n=121)
    with pytest.raises(RecordError, match="metric is 'x', must be one of clicks"):
        reports.history("e", metric="x")


def test_a_history_of_which_nothing_is_kept_says_what_to_do(store: Store):
    declare(store, *SPECS)
    got = service(store, 0).history("e")
    assert (got.points, got.as_of_ms) == ((), None)
    assert "`bandit refresh`" in got.next_step


def test_a_mode_that_there_is_not_is_refused(store: Store):
    declare(store, *SPECS)
    with pytest.raises(RecordError, match="sequential is 'weekly', must be one of anytime"):
        service(store, 0).experiment("e", sequential="weekly")  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="declares no looks"):
        service(store, 0).experiment("e", sequential="planned")


def test_an_experiment_that_can_not_be_judged_does_not_hide_the_others(store: Store, log: LogMaker):
    broken = msgspec.structs.replace(EXPERIMENT, key="broken", metrics=["nobody"])
    declare(store, broken)
    found = {each.key: each for each in service(store, 6000).overview().experiments}
    assert found["broken"].verdict.state == "broken"
    assert found["broken"].as_of_ms is None
    assert found["e"].units_n == 6


def test_numbers_that_are_gone_are_made_from_the_log_again(store: Store, log: LogMaker):
    before = service(store, 6000).experiment("e", at_ms=T0 + 5000)
    drained(store, T0 + 20_000)
    store.apply("ALTER TABLE $database.kept_numbers DELETE WHERE 1 SETTINGS mutations_sync = 2")
    again = service(store, 30_000).experiment("e", at_ms=T0 + 5000)
    assert (before.source, again.source) == ("kept", "log")
    assert again.effects == before.effects
    assert again.variants == before.variants
    assert again.values == before.values


def test_a_surface_has_numbers_of_its_own_generation(store: Store, log: LogMaker):
    kept = KeptNumbers(store).newest("surface", "home", FAR_MS)
    assert kept is not None
    assert service(store, 6000).surface("home").generation == kept.generation
    other = Surface(key="home", policy="random", join_window_s=2.0)
    declare(store, other, expected=1, at_ms=T0 + 5500)
    got = service(store, 6000).surface("home")
    assert got.source == "log"
    assert got.generation != kept.generation
    assert kept.as_of_ms > DAY
