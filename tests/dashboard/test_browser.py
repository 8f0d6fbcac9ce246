"""The dashboard as a process, in a real Chromium: what people really get."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

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
PAGES = ("experiments", "experiment", "policies", "health")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TIMEOUT_MS = 60_000
# Streamlit looks for its base path by asking below the page's address first.
PROBES = ("/_stcore/health", "/_stcore/host-config")


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
    page.goto(f"{url}{'' if name == 'experiments' else name}{query}")
    page.get_by_text("Data as of").wait_for()
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')")
    for chart in page.get_by_test_id("stVegaLiteChart").all():
        chart.locator("canvas, svg").first.wait_for()


def photograph(page: Page, name: str) -> Path:
    """The whole page, however long."""
    ARTIFACTS.mkdir(exist_ok=True)
    size = page.viewport_size
    assert size is not None
    height = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
    path = ARTIFACTS / f"{name}.png"
    page.screenshot(path=path)
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_pages_are_drawn_without_complaint(
    browser: Browser, dashboard: Dashboard, size: dict[str, int], theme: str
):
    page, seen = open_page(browser, size, theme)
    for name in PAGES:
        visit(page, dashboard.url, name)
        assert page.get_by_test_id("stException").count() == 0
        assert page.get_by_role("heading", level=1).inner_text().lower() == name
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        inside = page.get_by_test_id("stMain").evaluate("main => main.scrollWidth")
        assert max(wide, inside) <= size["width"]
        path = photograph(page, f"{name}-{theme}-{size['width']}")
        assert path.stat().st_size > 10_000
        page.set_viewport_size(size)  # type: ignore[arg-type]
    assert seen.complaints == []
    assert seen.hosts == {dashboard.url.split("/")[2]}
    page.context.close()


def test_experiment_page_shows_the_payloads_numbers(browser: Browser, dashboard: Dashboard):
    page, _ = open_page(browser)
    visit(page, dashboard.url, "experiment", "?experiment=feed-2026&level=99%20%25")
    as_of = page.get_by_text("Data as of").inner_text()
    report = ReportService(dashboard.seeded.store, lambda: _moment(as_of)).experiment(
        "feed-2026", alpha=0.01
    )
    effect = report.effects[0].anytime
    page.get_by_text(report.verdict.headline, exact=True).wait_for()
    tiles = page.get_by_test_id("stMetricValue").all_inner_texts()
    assert tiles == [number(effect.control), number(effect.treatment)]
    said = page.locator("[aria-label^='Effect on click:']").get_attribute("aria-label")
    assert f"{number(effect.effect)}, from {number(effect.effect_ci_low)}" in (said or "")
    page.context.close()


def test_a_choice_changes_the_page_and_its_address(browser: Browser, dashboard: Dashboard):
    page, _ = open_page(browser)
    visit(page, dashboard.url, "experiment")
    pick(page, "Scale of the effects", "relative")
    page.wait_for_url("**scale=relative**")
    pick(page, "Experiment", "upsell-2026")
    page.get_by_text("No decision of this experiment is in the log.").wait_for()
    assert "experiment=upsell-2026" in page.url
    assert "scale=relative" in page.url
    page.context.close()


def pick(page: Page, label: str, option: str) -> None:
    """Choose in a select box."""
    box = page.get_by_test_id("stSelectbox").filter(has=page.get_by_text(label, exact=True))
    box.get_by_role("combobox").click()
    page.get_by_role("option", name=option).click()


def test_overview_leads_to_the_experiment(browser: Browser, dashboard: Dashboard):
    page, _ = open_page(browser)
    visit(page, dashboard.url, "experiments")
    page.get_by_text("Effects, variants and reward over time").first.click()
    page.wait_for_url("**/experiment?*experiment=feed-2026*")
    page.get_by_role("heading", name="Effects").wait_for()
    page.context.close()


def test_downloads_hold_the_effects(browser: Browser, dashboard: Dashboard):
    page, _ = open_page(browser)
    visit(page, dashboard.url, "experiment")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).click()
    text = Path(waiting.value.path()).read_text()
    assert waiting.value.suggested_filename == "experiment-feed-2026.csv"
    assert text.splitlines()[0].startswith("metric,")
    assert len(text.splitlines()) == 4  # a header and three metrics of one treatment
    page.context.close()


def test_a_dashboard_over_an_empty_store_says_the_next_step(browser: Browser, gateway: Gateway):
    store, database = open_database(gateway)
    process, url = start_dashboard(environ_of(gateway, database))
    try:
        page, seen = open_page(browser)
        for name in PAGES:
            page.goto(f"{url}{'' if name == 'experiments' else name}")
            page.get_by_text("Nothing is declared yet").wait_for()
        assert seen.complaints == []
        page.context.close()
    finally:
        stop_dashboard(process)
        store.close()


def test_a_dashboard_without_a_store_starts_and_says_so(browser: Browser, tmp_path: Path):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("BANDIT_", "STREAMLIT_"))}
    # Port 9 is the discard service's: nobody listens there.
    environ = plain | {"BANDIT_DATA_DIR": str(tmp_path), "BANDIT_GATEWAY_PORT": "9"}
    process, url = start_dashboard(environ)
    try:
        page, _ = open_page(browser)
        page.goto(url)
        page.get_by_text("There is nothing to show").wait_for()
        page.get_by_text("bandit up").wait_for()
        page.context.close()
    finally:
        stop_dashboard(process)


def _moment(as_of: str) -> int:
    text = as_of.removeprefix("Data as of ").removesuffix(" UTC.")
    at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)
