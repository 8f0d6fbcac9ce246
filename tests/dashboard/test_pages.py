"""Pages without a browser: what they say, with data, without any, and with the store away."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import altair as alt
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from bandit.errors import StoreUnavailable
from bandit.service.reporting import Overview, ReportService
from bandit.service.reporting_words import (
    effect_in_words,
    number,
    p_value,
    percent,
    yardstick_in_words,
)
from dashboard.source import Source
from tests.dashboard.conftest import Seeded

PAGES = ("page_experiments", "page_experiment", "page_planner", "page_policies", "page_health")
TIMEOUT_S = 60


def draw(page, source) -> None:
    """Runs inside AppTest, which takes its text and not its surroundings."""
    import importlib

    importlib.import_module(f"dashboard.{page}").render(source)


def show(page: str, source: Source, **query: str) -> AppTest:
    at = AppTest.from_function(
        draw, kwargs={"page": page, "source": source}, default_timeout=TIMEOUT_S
    )
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    check_charts(at)
    return at


def check_charts(at: AppTest) -> None:
    """Vega-Lite can draw them, and where the data are is always called the same."""
    for chart in at.get("vega_lite_chart"):
        spec = json.loads(chart.proto.spec)
        alt.Chart.from_dict(spec)
        names = [dataset.name for dataset in chart.proto.datasets]
        assert names == [f"rows-{place}" for place in range(len(names))]
        assert chart.proto.alt


def text_of(at: AppTest) -> str:
    """All that a page says, but for its charts."""
    kinds = (
        "title",
        "header",
        "subheader",
        "markdown",
        "caption",
        "success",
        "info",
        "warning",
        "error",
    )
    texts = [element.value for kind in kinds for element in at.get(kind)]
    tables = [*at.dataframe, *at.table]
    return "\n".join([*texts, *(table.value.to_string() for table in tables)])


def table_of(at: AppTest, column: str) -> pd.DataFrame:
    """The first table that has a column of that name."""
    return next(one.value for one in (*at.dataframe, *at.table) if column in one.value)


class Remembering:
    """Reports of one moment, over a log that stays as it is: each is made once."""

    def __init__(self, reports: ReportService) -> None:
        self._reports = reports
        self._made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._report, name)

    def _report(self, name: str, *args: object, **kwargs: object) -> Any:
        asked = repr((name, args, sorted(kwargs.items())))
        if asked not in self._made:
            self._made[asked] = getattr(self._reports, name)(*args, **kwargs)
        return self._made[asked]


@pytest.fixture(scope="module")
def reports(seeded: Seeded) -> ReportService:
    now_ms = time.time_ns() // 1_000_000
    made = Remembering(ReportService(seeded.store, lambda: now_ms))
    return cast("ReportService", made)


@pytest.fixture
def source(reports: ReportService) -> Source:
    return Source(lambda: reports, monotonic_s=time.monotonic, ttl_s=60.0)


class Nothing:
    """A store in which nothing is declared."""

    def overview(self, alpha: float = 0.05, *, archived: bool = False) -> Overview:
        return Overview(
            as_of_ms=0, alpha=alpha, surfaces=(), experiments=(), next_step="PUT something first"
        )


def failing(error: Exception) -> Callable[[], ReportService]:
    def connect() -> ReportService:
        raise error

    return connect


def test_overview_has_every_experiments_verdict(source: Source, reports: ReportService):
    text = text_of(show("page_experiments", source))
    for experiment in reports.overview().experiments:
        assert experiment.key in text
        assert experiment.verdict.headline in text
        assert experiment.verdict.next_step in text
    assert "home.feed" in text
    assert "1,500" in text


def test_experiment_shows_the_payloads_numbers(source: Source, reports: ReportService):
    at = show("page_experiment", source)
    report = reports.experiment("feed-2026")
    effect = report.effects[0].effect
    assert report.verdict.headline in text_of(at)
    assert [tile.value for tile in at.metric] == [number(effect.control), number(effect.treatment)]
    effects, variants = table_of(at, "better is"), table_of(at, "variant")
    judged = [found for found in report.effects if found.role != "guardrail"]
    assert list(effects["control"]) == [number(e.effect.control) for e in judged]
    assert effects["effect"][0].startswith(number(effect.effect, sign="+"))
    assert list(variants["units"]) == [f"{v.units_n:,}" for v in report.variants]
    assert list(variants["reward"]) == [number(v.reward_sum) for v in report.variants]


def test_level_and_scale_are_kept_in_the_address(source: Source, reports: ReportService):
    at = show("page_experiment", source, level="99 %", scale="relative", experiment="feed-2026")
    wide = reports.experiment("feed-2026", alpha=0.01).effects[0].anytime
    assert number(wide.effect_ci_low) in at.dataframe[0].value["effect"][0]
    assert at.query_params["level"] == "99 %"
    at.segmented_control(key="level").set_value("90 %").run()
    narrow = reports.experiment("feed-2026", alpha=0.10).effects[0].anytime
    assert number(narrow.effect_ci_low) in at.dataframe[0].value["effect"][0]
    assert at.query_params["level"] == "90 %"


def test_intervals_hold_at_any_time_until_one_planned_look_is_chosen(
    source: Source, reports: ReportService
):
    at = show("page_experiment", source, level="99 %", experiment="feed-2026")
    every = reports.experiment("feed-2026", alpha=0.01).effects
    found = [each for each in every if each.role != "guardrail"]
    assert at.query_params["look"] == "any time"
    table = at.dataframe[0].value
    assert list(table["effect"]) == [effect_in_words(e.anytime) for e in found]
    assert list(table["p"]) == [p_value(e.anytime.p_value) for e in found]
    assert "hold at every look together" in text_of(at)
    at.segmented_control(key="look").set_value("one planned look").run()
    table = at.dataframe[0].value
    assert at.query_params["look"] == "one planned look"
    assert list(table["effect"]) == [effect_in_words(e.effect) for e in found]
    assert list(table["relative"]) == [effect_in_words(e.effect, relative=True) for e in found]
    assert "hold for one look at a time that was planned" in text_of(at)
    said = reports.experiment("feed-2026", alpha=0.01).verdict.headline
    assert said in text_of(at)  # the verdict goes by any look, whatever is chosen


def test_address_names_the_looks(source: Source, reports: ReportService):
    at = show("page_experiment", source, look="one planned look", experiment="feed-2026")
    fixed = reports.experiment("feed-2026").effects[0].effect
    assert at.dataframe[0].value["effect"][0] == effect_in_words(fixed)


def test_address_names_the_experiment(source: Source):
    at = show("page_experiment", source, experiment="upsell-2026")
    assert "No decision of this experiment is in the log." in text_of(at)
    assert (
        show("page_experiment", source, experiment="gone").selectbox(key="experiment").value
        == "feed-2026"
    )


def test_experiment_without_a_surface_shows_units_and_effects(
    source: Source, reports: ReportService
):
    at = show("page_experiment", source, experiment="colours-2026")
    report = reports.experiment("colours-2026")
    assert report.verdict.headline in text_of(at)
    effects, variants = table_of(at, "better is"), table_of(at, "variant")
    assert list(effects["metric"]) == ["revenue per unit (primary)"]
    assert list(variants["units"]) == ["80", "80"]
    assert list(variants["serves"]) == ["payload", "payload"]
    assert "decisions" not in variants
    assert "2 units were set by hand and are left out." in text_of(at)
    assert "Reward over time" not in text_of(at)


def test_experiment_says_what_was_pinned_overridden_and_forced(
    source: Source, reports: ReportService
):
    at = show("page_experiment", source, experiment="hero-2026")
    report = reports.experiment("hero-2026")
    variants = table_of(at, "variant")
    for name in ("pinned", "overridden"):
        counts = [getattr(v, f"{name}_n") for v in report.variants]
        assert sum(counts) > 0
        assert list(variants[name]) == [f"{n:,}" for n in counts]
    assert report.forced_n > 0
    assert f"{report.forced_n} decisions of units set by hand are in no number." in text_of(at)
    usual = table_of(show("page_experiment", source, experiment="feed-2026"), "variant")
    assert "units" in usual
    assert "pinned" not in usual


def test_archived_experiments_are_shown_once_asked_for(source: Source):
    at = show("page_experiment", source, experiment="feed-2025")
    assert at.selectbox(key="experiment").value == "feed-2026"
    assert "feed-2025" not in at.selectbox(key="experiment").options
    at = show("page_experiment", source, experiment="feed-2025", archived="shown")
    assert at.selectbox(key="experiment").value == "feed-2025"
    assert "It is archived" in text_of(at)
    assert "Archived, and hidden here: 1" in text_of(show("page_experiments", source))


def test_a_surface_that_is_switched_off_can_not_be_overlooked(source: Source):
    at = show("page_experiments", source)
    [banner] = [error.value for error in at.error if "kill switch" in error.value]
    assert "kill switch of checkout.upsell is on" in banner
    at = show("page_policies", source, surface="checkout.upsell")
    assert "kill switch of checkout.upsell is on" in text_of(at)
    assert "kill switch" not in text_of(show("page_policies", source, surface="home.feed"))


def test_policies_are_shown_beside_the_uniform_slice_and_with_their_agreement(
    source: Source, reports: ReportService
):
    at = show("page_policies", source, surface="home.hero")
    report = reports.surface("home.hero")
    assert report.uniform is not None
    for text in yardstick_in_words(report.uniform):
        assert text in text_of(at)
    [table] = (found.value for found in at.dataframe if "same top" in found.value)
    assert "uniform-slice" in set(table["policy"])
    assert list(table["same top"]) == [percent(v.agreement) for v in report.values]
    assert list(table["barred: pinned"]) == [f"{v.pinned_n:,}" for v in report.values]
    assert "Against chance" not in text_of(show("page_policies", source, surface="home.feed"))


def test_policies_show_values_and_say_why_one_is_missing(source: Source, reports: ReportService):
    at = show("page_policies", source)
    values = reports.surface("home.feed").values
    [table] = (found.value for found in at.dataframe if "same top" in found.value)
    assert list(table["policy"]) == [value.policy for value in values]
    assert list(table["decisions"]) == [f"{value.snips.n:,}" for value in values]
    assert "**random**, from other policies' decisions: no value, because" in text_of(at)


def test_health_shows_counts_and_learning(source: Source, reports: ReportService):
    at = show("page_health", source)
    health = reports.surface("home.feed").health
    tiles = {tile.label: tile.value for tile in at.metric}
    assert tiles["Decisions"] == f"{health.decisions.distinct_n:,}"
    assert tiles["Rewards"] == f"{health.rewards.distinct_n:,}"
    learned = at.dataframe[0].value.set_index("policy").loc["feed-vw"]
    assert learned["trained"] == f"{29 * 16:,}"
    assert learned["newest"] == "29"


def test_health_names_what_is_wrong(source: Source):
    at = show("page_health", source, surface="checkout.upsell")
    assert "Ask POST /v1/rank with surface 'checkout.upsell'" in text_of(at)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_data_says_the_next_step(page: str):
    empty = Source(Nothing, monotonic_s=time.monotonic)  # type: ignore[arg-type]
    assert "PUT something first" in text_of(show(page, empty))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_whose_store_never_answered_says_so(page: str):
    away = Source(failing(StoreUnavailable("connection refused")), monotonic_s=time.monotonic)
    text = text_of(show(page, away))
    assert "connection refused" in text
    assert "bandit up" in text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_whose_store_went_away_shows_old_numbers_as_old(page: str, reports: ReportService):
    clock = [0.0]
    error: list[Exception] = []

    def connect() -> ReportService:
        if error:
            raise error[0]
        return reports

    source = Source(connect, monotonic_s=lambda: clock[0], ttl_s=1.0)
    at = show(page, source)
    assert "these numbers are old" not in text_of(at)
    clock[0], error[:] = 1000.0, [StoreUnavailable("connection refused")]
    at.run()
    assert not at.exception
    text = text_of(at)
    assert "these numbers are old. (connection refused)" in text
    assert "Data as of" in text
