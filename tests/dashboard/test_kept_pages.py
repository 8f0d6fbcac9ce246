"""Pages over kept numbers: what they say is the payload's, and no row of the log is read for it."""

import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bandit.service.planning import PlanQuestion
from bandit.service.planning_words import answer_in_words
from bandit.service.reporting import ReportService
from bandit.service.reporting_answers import answers_of
from bandit.service.reporting_words import number
from bandit.store.client import Store
from bandit.store.queries import named_queries
from dashboard.parts import plain
from dashboard.source import Source
from tests.conftest import Gateway
from tests.dashboard.conftest import Seeded
from tests.dashboard.test_pages import show, table_of, text_of

LOG = re.compile(
    r"\b(FROM|JOIN)\s+(decisions|rewards|exposures|outcomes|assignments|judged\w*|unit_values\w*)\b"
)
"""What a query says that reads rows of the log."""


class World(NamedTuple):
    """The seeded store's reports, and the names of the queries that they asked."""

    reports: ReportService
    asked: list[str]
    seeded: Seeded

    def source(self) -> Source:
        return Source(lambda: self.reports, monotonic_s=time.monotonic, ttl_s=600.0)


@pytest.fixture(scope="module")
def world(gateway: Gateway, seeded: Seeded) -> Iterator[World]:
    store = Store.connect(gateway.url(), database=seeded.store.database)
    asked: list[str] = []
    reports = ReportService(counted(store, asked), lambda: seeded.kept_ms[-1])
    yield World(reports, asked, seeded)
    store.close()


def counted(store: Store, asked: list[str]) -> Store:
    """The same store, which tells what it is asked."""
    rows = store.rows

    def telling(name: str, **parameters: object):
        asked.append(name)
        return rows(name, **parameters)

    store.rows = telling  # type: ignore[method-assign]
    return store


def test_effects_over_time_and_what_happened_are_the_payloads(world: World):
    at = show("page_experiment", world.source(), experiment="feed-2026")
    report, history = world.reports.experiment("feed-2026"), world.reports.history("feed-2026")
    assert report.source == "kept"
    assert len({point.at_ms for point in history.points}) == 2
    told = table_of(at, "about")
    assert list(told["what"]) == [plain(mark.text) for mark in reversed(history.marks)]
    assert "sale began" in list(told["what"])
    for answer in answers_of(report):
        assert f"{answer.question}  \n**{answer.short}**" in text_of(at)
        assert answer.why in text_of(at)
    assert "owner ana" in text_of(at)
    assert {one.label for one in at.expander} >= {"SQL of click", "SQL of latency"}
    assert len(at.code) == len(world.reports.sql("feed-2026").statements)


@pytest.mark.parametrize("page", ["page_experiments", "page_experiment", "page_planner"])
def test_a_view_reads_kept_numbers_and_no_row_of_the_log(world: World, page: str):
    world.asked.clear()
    show(page, world.source())
    assert {name for name in world.asked if LOG.search(named_queries()[name].sql)} == set()
    assert any(name.startswith("kept_") for name in world.asked)


def test_a_report_from_the_log_would_be_found_out(world: World):
    world.asked.clear()
    world.reports.experiment("feed-2026", fresh=True)
    assert any(LOG.search(named_queries()[name].sql) for name in world.asked)


def test_an_address_can_ask_for_the_past(world: World):
    then_ms = world.seeded.kept_ms[0]
    at = show("page_experiment", world.source(), experiment="feed-2026", at=str(then_ms))
    effect = world.reports.experiment("feed-2026", at_ms=then_ms).effects[0].effect
    assert "These are the numbers and definitions of then." in text_of(at)
    assert [tile.value for tile in at.metric] == [number(effect.control), number(effect.treatment)]
    wrong = show("page_experiment", world.source(), experiment="feed-2026", at="yesterday")
    assert "Shown is now." in text_of(wrong)


def test_a_plan_is_the_payloads(world: World):
    at = show(
        "page_planner", world.source(), surface="home.feed", metric="click", effect="10",
        units_per_day="5000", shows="that it is better",
    )  # fmt: skip
    question = PlanQuestion(effect=0.1, units_per_day=5000.0, shows="better")
    found = world.reports.planning("home.feed", question, "click")
    headline, advice = answer_in_words(found)
    assert f"**{headline}**" in text_of(at)
    assert advice in text_of(at)
    looks = table_of(at, "looks")
    assert len(looks) == len(found.plan.designs) == 6
    known = table_of(at, "from the control of").set_index("metric").loc["click"]
    assert known["mean"] == number(found.baseline.mean)
    assert known["from the control of"] == "feed-2026"
    assert at.query_params["effect"] == "10"


def test_typed_in_numbers_need_no_surface(world: World):
    at = show("page_planner", world.source(), surface="typed-in numbers", mean="0.05", effect="10")
    assert "31,232 units in each of 2 variants" in text_of(at)
    assert "type in new units per day" in text_of(at)
    wrong = show("page_planner", world.source(), surface="typed-in numbers", mean="3")
    assert "mean of a proportion is 3.0, must be in [0, 1]" in text_of(wrong)


def test_lines_of_the_list_are_the_payloads(world: World):
    at = show("page_experiments", world.source())
    shown = world.reports.overview().experiments
    table = table_of(at, "interval").set_index("experiment")
    assert set(table.index) == {one.key for one in shown}
    for one in shown:
        assert table.loc[one.key, "units"] == one.units_n
        assert table.loc[one.key, "owner"] == one.owner
    at = show("page_experiments", world.source(), words="button")
    assert list(table_of(at, "interval")["experiment"]) == ["colours-2026"]
    at = show("page_experiments", world.source(), status="archived")
    assert list(table_of(at, "interval")["experiment"]) == ["feed-2025"]
    at = show("page_experiments", world.source(), owner="ana")
    assert list(table_of(at, "interval")["experiment"]) == ["feed-2026"]
