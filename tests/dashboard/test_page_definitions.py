"""Definitions & audit over a real API: what a form does, and what it never does."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace
from streamlit.testing.v1 import AppTest

from bandit.service.defining import DefinitionService
from dashboard.page_definitions import changes_in_words, history_csv
from dashboard.source import Source
from dashboard.writing import Writer
from tests.api.conftest import DECLARED, World
from tests.bandit.service.making import EXPERIMENT, SURFACE, defined, wait_until
from tests.bandit.service.making_keys import MemoryKeys, made
from tests.dashboard.test_pages import text_of

TIMEOUT_S = 60


class Office(NamedTuple):
    """An API, and a source and a writer over it."""

    world: World
    source: Source
    writer: Writer


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Writer]]:
    keys = MemoryKeys()
    text = made(keys, "default", "read", "admin", client="mia").text
    world = World(tmp_path_factory.mktemp("api"), keys=keys)
    with TestClient(world.app()) as client:
        writer = Writer("http://testserver.local", text, transport=client._transport)
        wait_until(lambda: writer.who()[0] is not None)
        yield world, writer


@pytest.fixture
def office(api: tuple[World, Writer]) -> Office:
    """As it was declared at first, whatever a test before this one did."""
    world, writer = api
    world.definitions.versions[:] = defined(*DECLARED)
    return Office(world, source_of(world), writer)


def source_of(world: World, project: str = "default") -> Source:
    defining = DefinitionService(
        lambda: world.definitions,  # type: ignore[arg-type, return-value]
        now_ms=lambda: 0,
        new_id=str,
        project=project,
    )
    desk: Any = SimpleNamespace(definitions=defining)
    nobody: Any = None
    return Source(lambda: nobody, monotonic_s=lambda: 0.0, desk=lambda: desk)


def draw(source, writer) -> None:
    """Runs inside AppTest, which takes its text and not its surroundings."""
    from dashboard.page_definitions import render

    render(source, writer)


def show(office: Office, *, writes: bool = True, **query: str) -> AppTest:
    writer = office.writer if writes else None
    at = AppTest.from_function(
        draw, kwargs={"source": office.source, "writer": writer}, default_timeout=TIMEOUT_S
    )
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def press(at: AppTest, label: str) -> None:
    [button] = [button for button in at.button if button.label == label]
    button.click().run()
    assert not at.exception


def typed(at: AppTest, kind: str, label: str, value: object) -> None:
    [widget] = [widget for widget in at.get(kind) if widget.label == label]
    widget.set_value(value)  # type: ignore[union-attr]


def test_a_form_changes_what_is_declared_and_history_tells_who(office: Office):
    at = show(office, kind="surfaces", key="home.feed")
    typed(at, "text_area", "description", "What people see first.")
    press(at, "Save")
    assert "surface home.feed is declared, version 2." in text_of(at)
    found = office.world.definitions.get("surface", "home.feed")
    assert found.spec == replace(SURFACE, description="What people see first.")
    assert found.author == "mia"
    assert "**Version 2** · mia" in text_of(at)
    assert '`description`: `""` → `"What people see first."`' in text_of(at)


def test_something_new_is_declared_and_shown(office: Office):
    at = show(office, kind="metrics", key="(a new one)")
    typed(at, "text_input", "key (a name that never changes)", "revenue")
    typed(at, "selectbox", "source", "outcome")
    press(at, "Save")
    assert office.world.definitions.get("metric", "revenue").version == 1
    assert at.query_params["key"] == "revenue"
    assert "metric revenue is declared, version 1." in text_of(at)


def test_a_name_that_is_taken_is_not_overwritten(office: Office):
    at = show(office, kind="metrics", key="(a new one)")
    typed(at, "text_input", "key (a name that never changes)", "clicks")
    press(at, "Save")
    assert "Nothing was changed" in text_of(at)
    assert office.world.definitions.get("metric", "clicks").version == 1


def test_a_problem_is_said_at_its_field_and_nothing_typed_is_lost(office: Office):
    at = show(office, kind="surfaces", key="home.feed")
    typed(at, "text_area", "rules", '{"least": {"a": 2}}')
    typed(at, "text_area", "description", "kept")
    press(at, "Save")
    [error] = [error.value for error in at.error]
    assert "must be" not in error or "`$.rules" in error
    assert [area.value for area in at.text_area if area.label == "description"] == ["kept"]
    assert office.world.definitions.get("surface", "home.feed").version == 1
    typed(at, "text_area", "rules", "{")
    press(at, "Save")
    assert "rules: it is no JSON" in text_of(at)


def test_a_change_that_somebody_else_made_meanwhile_is_told_and_never_overwritten(office: Office):
    at = show(office, kind="surfaces", key="home.feed")
    theirs = replace(SURFACE, description="theirs")
    office.world.definitions.put(theirs, expected=1, author="ann", change_id="x", now_ms=0)
    typed(at, "text_area", "description", "mine")
    press(at, "Save")
    assert "somebody else changed it meanwhile" in text_of(at)
    assert "ann made version 2 meanwhile" in text_of(at)
    assert "which changed `description`" in text_of(at)
    assert office.world.definitions.get("surface", "home.feed").spec == theirs
    press(at, "Load version 2, without my edits")
    typed(at, "text_area", "description", "both")
    press(at, "Save")
    assert office.world.definitions.get("surface", "home.feed").version == 3


def test_all_of_it_can_be_edited_as_json(office: Office):
    at = show(office, kind="surfaces", key="home.feed")
    at.segmented_control[0].select("JSON").run()
    label, text = at.text_area[0].label, str(at.text_area[0].value)
    typed(at, "text_area", label, text.replace('"max_actions": 10', '"max_actions": 0'))
    press(at, "Save")
    assert "`$.max_actions`" in text_of(at)
    typed(at, "text_area", label, text.replace('"max_actions": 10', '"max_actions": 7'))
    press(at, "Save")
    assert office.world.definitions.get("surface", "home.feed").spec == replace(
        SURFACE, max_actions=7
    )


def test_all_of_it_can_be_edited_as_toml(office: Office):
    at = show(office, kind="surfaces", key="home.feed")
    at.segmented_control[0].select("TOML").run()
    label, text = at.text_area[0].label, str(at.text_area[0].value)
    typed(at, "text_area", label, text + "max_actions = 8")
    press(at, "Save")
    assert "It is no TOML" in text_of(at)  # it is there already
    typed(at, "text_area", label, text.replace("max_actions = 10", "max_actions = 8"))
    press(at, "Save")
    assert office.world.definitions.get("surface", "home.feed").spec == replace(
        SURFACE, max_actions=8
    )


def test_an_experiment_is_stopped_by_a_button_that_says_what_it_means(office: Office):
    assert EXPERIMENT.status == "running"
    at = show(office, kind="experiments", key=EXPERIMENT.key)
    assert "It can not be started again" in text_of(at)
    press(at, "Stop")
    assert f"experiment {EXPERIMENT.key} is stopped." in text_of(at)
    found = office.world.definitions.get("experiment", EXPERIMENT.key)
    assert found.spec == replace(EXPERIMENT, status="stopped")
    assert [button.label for button in at.button].count("Archive") == 1


def test_the_kill_switch_is_turned_on_and_off(office: Office):
    at = show(office, kind="surfaces", key="home.feed")
    press(at, "Turn the kill switch on")
    assert office.world.definitions.get("surface", "home.feed").spec.killed
    press(at, "Turn the kill switch off")
    assert not office.world.definitions.get("surface", "home.feed").spec.killed


def test_who_may_only_read_sees_all_and_changes_nothing(office: Office):
    at = show(office, writes=False, kind="surfaces", key="home.feed")
    assert 'policy = "random"' in at.code[0].value
    at.segmented_control(key="as").set_value("JSON").run()
    assert '"policy": "random"' in at.code[0].value
    assert at.query_params["as"] == "JSON"
    assert "**Version 1**" in text_of(at)
    assert [button.label for button in at.button] == []
    new = show(office, writes=False, kind="metrics", key="(a new one)")
    assert "PUT /v1/metrics/{key}" in text_of(new)


def test_another_projects_definitions_are_not_there(office: Office):
    theirs = Office(office.world, source_of(office.world, "theirs"), office.writer)
    text = text_of(show(theirs, kind="surfaces", key="home.feed"))
    assert "home.feed" not in text


def test_words_of_others_are_only_words(office: Office):
    evil = "![x](https://evil.example/x.png) <script>"
    office.world.definitions.put(
        replace(SURFACE, description=f"`{evil}"),
        expected=1,
        author=evil,
        change_id="x",
        now_ms=0,
    )
    at = show(office, kind="surfaces", key="home.feed")
    [heading] = [text.value for text in at.markdown if text.value.startswith("**Version 2**")]
    assert "![" not in heading
    assert "<" not in heading.replace("\\<", "")
    [version] = office.source.versions("surface", "home.feed").payload[1:]  # type: ignore[index]
    [line] = changes_in_words(version)
    assert line.count("`") == 6  # three codes, and nothing inside ends one
    assert history_csv([version]).splitlines()[0] == "version,created_ms,author,path,old,new"
