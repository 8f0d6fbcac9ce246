"""Pages about a surface, a decision, this host and saved runs: every number is the payload's."""

import time
from pathlib import Path

import msgspec
import pytest
from streamlit.testing.v1 import AppTest

from bandit.errors import StoreUnavailable
from bandit.service.browsing import DecisionBrowser
from bandit.service.evaluation_artefact import EvaluationService
from bandit.service.findings import fine, problem
from bandit.service.promoting import PromotionService
from bandit.service.reporting import ReportService
from bandit.service.reporting_actions import ActionReports
from bandit.service.reporting_surface import SurfaceReports
from bandit.service.reporting_words import number, percent
from bandit.service.simulations import (
    Curve,
    Final,
    RunOptions,
    SavedRun,
    SimulatedPolicy,
    SimulatedWorld,
)
from bandit.store.definitions import Definitions
from dashboard.page_decisions import candidate_rows, earned_in_words
from dashboard.parts import filled
from dashboard.source import Desk, Source
from dashboard.writing import Answer
from tests.dashboard.conftest import Seeded
from tests.dashboard.test_pages import Nothing, check_charts, draw, reports, text_of

__all__ = ["reports"]
TIMEOUT_S = 120
FOUND = (
    fine("disk", "There is room."),
    problem("drains", "drain_silent", "A drain is silent.", "a sign of life", "Start it."),
)


@pytest.fixture(scope="module")
def desk(seeded: Seeded) -> Desk:
    now_ms, store = time.time_ns() // 1_000_000, seeded.store
    return Desk(
        surfaces=SurfaceReports(store, lambda: now_ms),
        actions=ActionReports(store, lambda: now_ms),
        decisions=DecisionBrowser(store, lambda: now_ms),
        promotions=PromotionService(store, now_ms=lambda: now_ms, new_id=str),
        evaluations=EvaluationService(store, code_version=""),
        definitions=Definitions(store),
        examine=lambda: FOUND,
    )


@pytest.fixture
def source(reports: ReportService, desk: Desk) -> Source:
    return Source(lambda: reports, monotonic_s=time.monotonic, ttl_s=600.0, desk=lambda: desk)


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


def tables(at: AppTest, *columns: str):
    return [t.value for t in at.dataframe if set(columns) <= set(t.value.columns)]


def test_bandit_shows_allocation_exploration_actions_and_segments(source: Source, desk: Desk):
    at = show("page_bandit", source, surface="home.hero", by="nothing")
    found = desk.surfaces.allocation("home.hero", top=7)
    own = next(each for each in found.policies if each.policy == found.policy)
    tiles = {tile.label: tile.value for tile in at.metric}
    assert tiles["Explores"] == percent(own.explored_share)
    assert tiles["Draws at the floor"] == percent(own.floor_drawn_share)
    text = text_of(at)
    assert f"{own.decisions_n:,} decisions of {own.policy}" in text
    since_ms = desk.surfaces.newcomers("home.hero").since_ms
    actions = desk.actions.actions("home.hero", 0.05, limit=12, since_ms=since_ms)
    [table] = tables(at, "action", "audit p")
    assert list(table["action"]) == [each.action for each in actions.actions]
    assert list(table["shown"]) == [f"{each.shown_n:,}" for each in actions.actions]
    assert list(table["mean"]) == [number(each.mean) for each in actions.actions]
    assert f"{actions.judged_n:,} decisions tell of actions" in text
    assert "No member of the context has 2 to 50 values" in text
    assert "feed-vw can not be read" in text  # the seeded snapshots hold no model
    assert at.query_params["policy"] == ["feed-vw"] or at.query_params["policy"] == "feed-vw"


def test_bandit_of_a_surface_that_showed_nothing_says_the_next_step(source: Source):
    at = show("page_bandit", source, surface="checkout.upsell")
    assert "Nothing has been shown on checkout.upsell yet." in text_of(at)
    assert "kill switch of checkout.upsell is on" in text_of(at)


def test_health_shows_what_comes_back_and_what_doctor_says(source: Source, desk: Desk):
    at = show("page_health", source, surface="home.feed")
    found = desk.surfaces.feedback("home.feed")
    tiles = {tile.label: tile.value for tile in at.metric}
    assert tiles["Join rate"] == percent(found.join_rate)
    assert tiles["Late rewards"] == f"{found.late_n:,}"
    assert tiles["Orphans"] == f"{found.orphan_n:,}"
    text = text_of(at)
    assert "drains: A drain is silent." in text
    assert "Start it." in text
    assert "no client version" in text


def test_a_decision_is_found_explained_and_told_what_it_earned(source: Source, desk: Desk):
    newest = desk.decisions.newest("home.feed", limit=20)
    at = show("page_decisions", source, surface="home.feed")
    [table] = tables(at, "event id", "on top")
    assert list(table["event id"]) == [each.event_id for each in newest.decisions]
    one = newest.decisions[3]
    at = show("page_decisions", source, decision=one.event_id)
    explained, joined = desk.decisions.explain(one.event_id), desk.decisions.joined(one.event_id)
    text = text_of(at)
    for sentence in explained.because:
        assert sentence in text
    assert earned_in_words(joined) in text
    [table] = tables(at, "action", "probability on top")
    assert table["action"][0] == explained.ranking[0].id
    assert table.to_dict("records") == filled(candidate_rows(explained))
    at.button(key=f"replay-{one.event_id}").click().run()
    assert "BANDIT_SALT" in text_of(at)  # nobody gave it the secret
    at.button(key="back").click().run()
    assert not at.exception
    assert tables(at, "event id", "on top")
    at.session_state["chosen-decision"] = one.event_id  # as choosing its line does
    at.run()
    assert at.text_input(key="decision").value == one.event_id
    assert earned_in_words(joined) in text_of(at)


def test_an_event_id_that_is_nobodys_is_said_to_be(source: Source):
    at = show("page_decisions", source, decision="01a20a1c-ea51-7a94-96ea-91b6fa976190")
    assert "is not in the log" in text_of(at)
    assert "is not in the log" in text_of(show("page_decisions", source, decision="<b>rubbish"))


class Wishes:
    """A writer that notes what is asked of the API."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []

    def post(self, path: str, body: object = None) -> Answer:
        self.asked.append((path, body))
        return Answer(201, {"state": "refused", "reason": "The log can not tell."})


def draw_policies(source, writer) -> None:
    """Runs inside AppTest."""
    from dashboard.page_policies import render

    render(source, writer)


def test_policies_ask_the_gate_and_promote_by_the_api(source: Source, desk: Desk):
    wishes = Wishes()
    at = AppTest.from_function(
        draw_policies, kwargs={"source": source, "writer": wishes}, default_timeout=TIMEOUT_S
    )
    at.query_params["surface"] = "home.hero"
    at.query_params["challenger"] = "first"
    at.run()
    assert not at.exception
    [table] = tables(at, "kind", "trust")
    refused = table[table["trust"] == "refuse"]
    assert set(refused["value"]) <= {"–"}
    assert table["kind"][0] == "live"
    at.button(key="ask-gate").click().run()
    gate = desk.promotions.ask("home.hero", "first").gate
    for check in gate.checks:
        assert check.text in text_of(at)
    at.button(key="promote").click().run()
    assert wishes.asked == [("/v1/surfaces/home.hero/promotions", {"challenger": "first"})]
    assert "It was asked and refused, and nothing changed: The log can not tell." in text_of(at)


def test_who_may_only_read_can_not_promote(source: Source):
    at = show("page_policies", source, surface="home.hero")
    assert at.button(key="promote").disabled


def saved_run() -> SavedRun:
    final = {
        "world": "w", "reward": 0.5, "reward_low": 0.4, "reward_high": 0.6, "late": 0.55,
        "regret": 0.1, "regret_low": 0.05, "regret_high": 0.15, "rank": 1.0, "micros": 12.5,
    }  # fmt: skip
    return SavedRun(
        id="run-1",
        name="A run",
        made_at="2026-11-23T10:00:00+00:00",
        seconds=1.0,
        code_version="1",
        options=RunOptions(
            rounds_n=100, seeds=[1, 2], delay_n=0, join_n=None, alpha=0.05, correction="holm"
        ),
        worlds=[SimulatedWorld(name="w", about="A world.")],
        policies=[SimulatedPolicy(key=key, what="") for key in ("vw", "uniform")],
        reference="vw",
        finals=[Final(policy=key, **final) for key in ("vw", "uniform")],
        pairs=[],
        wins=[],
        curves=[
            Curve(
                world="w", policy=key, rounds_n=[50, 100], reward=[0.4, 0.5],
                reward_low=[None, None], reward_high=[None, None], regret=[5.0, 10.0],
                regret_low=[4.0, 8.0], regret_high=[6.0, 12.0],
            )
            for key in ("vw", "uniform")
        ],
        files=[],
    )  # fmt: skip


def test_saved_runs_are_browsed_and_a_broken_one_is_told_of(tmp_path: Path, seeded: Seeded):
    reports = ReportService(seeded.store, lambda: time.time_ns() // 1_000_000)
    source = Source(lambda: reports, monotonic_s=time.monotonic, ttl_s=0.0, data_dir=tmp_path)
    assert "bandit simulate" in text_of(show("page_simulations", source))
    for name, raw in (("run-1", msgspec.json.encode(saved_run())), ("bad", b"{")):
        folder = tmp_path / "simulations" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_bytes(raw)
    source = Source(lambda: reports, monotonic_s=time.monotonic, data_dir=tmp_path)
    at = show("page_simulations", source)
    text = text_of(at)
    assert "2 policies in 1 worlds, 100 rounds, 2 seeds" in text
    assert "bad: " in text
    [table] = tables(at, "regret per round")
    assert list(table["policy"]) == ["vw", "uniform"]
    assert list(table["reward"]) == ["0.5 [0.4, 0.6]"] * 2


@pytest.mark.parametrize("page", ["page_bandit", "page_decisions", "page_simulations"])
def test_a_page_of_an_empty_store_says_the_next_step(page: str):
    empty = Source(Nothing, monotonic_s=time.monotonic)  # type: ignore[arg-type]
    assert "PUT something first" in text_of(show(page, empty))


def test_decisions_say_that_the_store_went_away(seeded: Seeded, desk: Desk):
    clock, is_away = [0.0], []
    reports = ReportService(seeded.store, lambda: time.time_ns() // 1_000_000)

    def connect() -> ReportService:
        if is_away:
            raise StoreUnavailable("connection refused")
        return reports

    source = Source(connect, monotonic_s=lambda: clock[0], desk=lambda: desk)
    at = show("page_decisions", source)
    clock[0], is_away[:] = 1000.0, [True]
    at.run()
    assert not at.exception
    assert "these numbers are old. (connection refused)" in text_of(at)
