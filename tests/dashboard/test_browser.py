"""The dashboard as a process, in a real Chromium: what people really get."""

import ast
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from bandit.service.reporting import ReportService
from bandit.service.reporting_words import number
from tests.conftest import Gateway
from tests.dashboard.conftest import (
    ROOT,
    Dashboard,
    environ_of,
    open_database,
    start_dashboard,
    stop_dashboard,
)

pytestmark = pytest.mark.browser

ARTIFACTS = ROOT / "artifacts"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
VIEWS: tuple[tuple[Literal["light", "dark"], dict[str, int]], ...] = (
    ("light", DESK),
    ("dark", PHONE),
)
TIMEOUT_MS = 120_000
# Streamlit looks for its base path by asking below the page's address first.
PROBES = ("/_stcore/health", "/_stcore/host-config")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
DRAWN = """() => document.querySelector("h1")
    && document.body.textContent.includes("may read")
    && !document.querySelector("[data-testid=stSkeleton]")
"""
"""The page's program has come to its end, where it says what its viewer may do, and drawn it all.

Whether it runs is not asked: on a slow machine a page that refreshes itself is always about it.
"""
FITS = """width => Math.max(
    document.scrollingElement.scrollWidth,
    document.querySelector("[data-testid=stMain]").scrollWidth,
) <= width
"""
"""The page is no wider than its window, in sight or not; charts follow the window in a moment."""


class Listed(NamedTuple):
    """A page, as `dashboard/app.py` lists it."""

    title: str
    path: str


def listed_pages() -> list[Listed]:
    """Every page there is: one that is added is visited without a change here."""
    found = []
    for node in ast.walk(ast.parse((ROOT / "dashboard" / "app.py").read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "page":
            title, _, *paths = [str(ast.literal_eval(argument)) for argument in node.args[1:]]
            path = paths[0] if paths else title.lower()
            found.append(Listed(title, "" if path == "experiments" else path))
    return found


PAGES = listed_pages()


class Seen(NamedTuple):
    """What a page did that nobody asked for."""

    complaints: list[str]
    hosts: set[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        message = "Chromium is not installed, must be: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[tuple[Page, Seen]]:
    """One window for all visits: what it has loaded once it need not load again."""
    page, seen = open_page(browser)
    yield page, seen
    page.context.close()


@pytest.fixture
def window(visitor: tuple[Page, Seen]) -> tuple[Page, Seen]:
    """The window of all visits, as if it had just been opened."""
    page, seen = visitor
    page.goto("about:blank")
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")
    seen.complaints.clear()
    seen.hosts.clear()
    return visitor


@pytest.fixture(scope="module")
def empty(gateway: Gateway) -> Iterator[str]:
    """Address of a dashboard over a store in which nothing is declared."""
    store, database = open_database(gateway)
    process, url = start_dashboard(environ_of(gateway, database))
    yield url
    stop_dashboard(process)
    store.close()


def open_page(
    browser: Browser, size: dict[str, int] = DESK, theme: str = "light"
) -> tuple[Page, Seen]:
    page = browser.new_context(viewport=size, color_scheme=theme).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(TIMEOUT_MS)
    seen = Seen([], set())

    def on_console(message: ConsoleMessage) -> None:
        probe = message.location.get("url", "").endswith(PROBES)
        if message.type in {"error", "warning"} and not probe:
            seen.complaints.append(f"{message.type}: {message.text}")

    def on_request(request: Request) -> None:
        if request.url.startswith(("http", "ws")):
            seen.hosts.add(request.url.split("/")[2])

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    return page, seen


def visit(page: Page, url: str, name: str, query: str = "") -> None:
    """Open a page and wait until it and its charts are drawn."""
    page.goto(f"{url}{name}{query}")
    page.wait_for_function(DRAWN)
    for chart in page.get_by_test_id("stVegaLiteChart").all():
        chart.locator("canvas, svg").first.wait_for()


def photograph(page: Page, name: str) -> None:
    """The whole page, however long; kept for people to look at. The window stays that long."""
    ARTIFACTS.mkdir(exist_ok=True)
    size = page.viewport_size
    assert size is not None
    height = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def barriers(page: Page) -> list[str]:
    """What keeps people from using the page, as axe-core judges it."""
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run(document, {resultTypes: ['violations'], runOnly: rules})", RULES
    )
    return [
        f"{broken['id']}: {node['html'][:200]}"
        for broken in found["violations"]
        if broken["impact"] in ("serious", "critical")
        for node in broken["nodes"]
    ]


def test_every_page_of_the_menu_is_visited():
    assert len(PAGES) >= 9
    assert [found.path for found in PAGES].count("") == 1


@pytest.mark.parametrize("found", PAGES, ids=lambda found: found.title)
@pytest.mark.parametrize("data", ["seeded", "empty"])
def test_a_page_is_drawn_in_both_themes_and_on_a_phone(
    window: tuple[Page, Seen], dashboard: Dashboard, empty: str, found: Listed, data: str
):
    """One visit: the window then changes its theme and its width, as people's do."""
    page, seen = window
    url = dashboard.url if data == "seeded" else empty
    visit(page, url, found.path)
    assert page.get_by_role("heading", level=1).all_inner_texts() == [found.title]
    for theme, size in VIEWS:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.wait_for_function(DRAWN)
        page.wait_for_function(FITS, arg=size["width"])
        assert barriers(page) == [], f"{theme}, {size['width']} px"
        photograph(page, f"{found.path or 'start'}-{data}-{theme}-{size['width']}")
    assert page.get_by_test_id("stException").count() == 0
    assert seen.complaints == []
    assert seen.hosts == {url.split("/")[2]}


def test_experiment_page_shows_the_payloads_numbers(
    window: tuple[Page, Seen], dashboard: Dashboard
):
    page, _ = window
    visit(page, dashboard.url, "experiment", "?experiment=feed-2026&level=99%20%25")
    as_of = page.get_by_text("Data as of").inner_text()
    report = ReportService(dashboard.seeded.store, lambda: _moment(as_of)).experiment(
        "feed-2026", alpha=0.01
    )
    effect = report.effects[0].anytime
    page.get_by_text(report.verdict.headline, exact=True).first.wait_for()
    tiles = page.get_by_test_id("stMetricValue").all_inner_texts()
    assert tiles == [number(effect.control), number(effect.treatment)]
    said = page.locator("[aria-label^='Effect on click:']").first.get_attribute("aria-label")
    assert f"{number(effect.effect)}, from {number(effect.effect_ci_low)}" in (said or "")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for question in ("Did treatment win?", "May I stop?"):  # the answers come before any switch
        expect(page.get_by_text(question)).to_be_in_viewport(timeout=TIMEOUT_MS)


def test_a_choice_changes_the_page_and_its_address(window: tuple[Page, Seen], dashboard: Dashboard):
    page, _ = window
    visit(page, dashboard.url, "experiment")
    switch(page, "relative")
    page.wait_for_url("**scale=relative**")
    pick(page, "Experiment", "upsell-2026")
    page.get_by_text("No decision of this experiment is in the log.").first.wait_for()
    assert "experiment=upsell-2026" in page.url
    assert "scale=relative" in page.url


def pick(page: Page, label: str, option: str) -> None:
    """Choose in a select box."""
    box = page.get_by_test_id("stSelectbox").filter(has=page.get_by_text(label, exact=True))
    box.get_by_role("combobox").click()
    page.get_by_role("option", name=option).click()


def switch(page: Page, option: str) -> None:
    """Choose among a few that are all in sight."""
    page.get_by_test_id("stButtonGroup").get_by_text(option, exact=True).click()


def test_overview_leads_to_the_experiment(window: tuple[Page, Seen], dashboard: Dashboard):
    page, _ = window
    visit(page, dashboard.url, "")
    page.get_by_text("Effects, variants and reward over time").first.click()
    page.wait_for_url("**/experiment?*experiment=feed-2026*")
    page.get_by_role("heading", name="Effects", exact=True).wait_for()


def test_downloads_hold_the_effects(window: tuple[Page, Seen], dashboard: Dashboard):
    page, _ = window
    visit(page, dashboard.url, "experiment")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).click()
    text = Path(waiting.value.path()).read_text()
    assert waiting.value.suggested_filename == "experiment-feed-2026.csv"
    assert text.splitlines()[0].startswith("metric,")
    assert len(text.splitlines()) == 4  # a header and three metrics of one treatment


def test_a_chart_is_saved_as_a_picture_without_asking_another_host(
    window: tuple[Page, Seen], dashboard: Dashboard
):
    page, seen = window
    visit(page, dashboard.url, "experiment", "?experiment=feed-2026")
    page.get_by_test_id("stVegaLiteChart").first.hover()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as PNG").first.click()
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG\r\n")
    assert seen.hosts == {dashboard.url.split("/")[2]}
    assert seen.complaints == []


def test_a_dashboard_without_a_store_starts_and_says_so(window: tuple[Page, Seen], tmp_path: Path):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("BANDIT_", "STREAMLIT_"))}
    # Port 9 is the discard service's: nobody listens there.
    environ = plain | {"BANDIT_DATA_DIR": str(tmp_path), "BANDIT_GATEWAY_PORT": "9"}
    process, url = start_dashboard(environ)
    try:
        page, _ = window
        page.goto(url)
        page.get_by_text("There is nothing to show").wait_for()
        page.get_by_text("bandit up").wait_for()
    finally:
        stop_dashboard(process)


def _moment(as_of: str) -> int:
    text = as_of.removeprefix("Data as of ").removesuffix(" UTC.")
    at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)
