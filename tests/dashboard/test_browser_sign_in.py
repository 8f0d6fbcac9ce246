"""Signing in, in a real Chromium: nothing is shown before, and only their own project after."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from bandit.cli.binding import free_port
from tests.dashboard.conftest import Seeded, start_dashboard, stop_dashboard
from tests.dashboard.oidc_provider import Provider
from tests.dashboard.test_browser import TIMEOUT_MS, browser, open_page

__all__ = ["browser"]
pytestmark = pytest.mark.browser
MINE, THEIRS = "bandit_mine", "bandit_theirs"
SECRET_WORDS = ("feed-2026", "home.feed", "colours-2026")


class Keys:
    """An API that says of keys what they may do, and nothing else."""

    def __init__(self) -> None:
        self.projects = {MINE: "default", THEIRS: "theirs"}
        keys = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = self.headers.get("authorization", "").removeprefix("Bearer ")
                project = keys.projects.get(text)
                status = 200 if project else 401
                told = {"project": project, "key_id": "1", "client": "mia", "scopes": ["read"]}
                body = json.dumps(told if project else {"detail": "a key must be brought"})
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    running = Keys()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture(scope="module")
def by_key(seeded: Seeded, keys: Keys) -> Iterator[str]:
    environ = seeded.environ | {"BANDIT_DASHBOARD_SIGN_IN": "key", "BANDIT_API_URL": keys.url}
    process, url = start_dashboard(environ)
    yield url
    stop_dashboard(process)


def sign_in(page: Page, label: str, text: str) -> None:
    page.get_by_role("textbox", name=label).fill(text)
    page.get_by_role("button", name="Sign in").click()


def shows_nothing(page: Page) -> None:
    page.get_by_role("heading", name="Sign in").wait_for()
    text = page.locator("body").inner_text()
    assert [word for word in SECRET_WORDS if word in text] == []
    assert page.get_by_role("link", name="Experiments").count() == 0


def received(page: Page) -> list[bytes]:
    """Everything that the server tells this page from now on."""
    told: list[bytes] = []

    def note(payload: str | bytes) -> None:
        told.append(payload if isinstance(payload, bytes) else payload.encode())

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    return told


def test_a_password_is_asked_for_at_every_address_and_leads_where_one_was_going(
    browser: Browser, seeded: Seeded
):
    process, url = start_dashboard(seeded.environ | {"BANDIT_DASHBOARD_PASSWORD": "open sesame"})
    try:
        page, seen = open_page(browser)
        told = received(page)
        page.goto(f"{url}experiment?experiment=colours-2026")
        shows_nothing(page)
        sign_in(page, "Password", "open barley")
        page.get_by_text("That is not the password.").wait_for()
        shows_nothing(page)
        told_before = b"".join(told)
        # The address came from this page itself, so that it may be in there; a surface may not.
        assert b"home.feed" not in told_before
        assert b"red button" not in told_before
        sign_in(page, "Password", "open sesame")
        page.get_by_text("Does a red button earn more than a blue one?").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        expect(page.get_by_text("Does a red button")).to_have_count(0, timeout=TIMEOUT_MS)
        assert seen.complaints == []
        assert seen.hosts == {url.split("/")[2]}
        page.context.close()
    finally:
        stop_dashboard(process)


def test_a_key_shows_another_project_nothing_of_this_one(browser: Browser, by_key: str):
    page, _ = open_page(browser)
    told = received(page)
    for path in ("health?surface=home.feed", "experiment?experiment=feed-2026"):
        page.goto(by_key + path)
        sign_in(page, "API key", THEIRS)
        page.get_by_text("mia · project theirs · may read").wait_for()
    for name in ("Experiments", "Definitions & audit"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", level=1, name=name).wait_for()
        page.get_by_text("mia · project theirs · may read").wait_for()
    for said in told:
        assert b"Does the learned feed" not in said
        assert b"checkout.upsell" not in said
    page.context.close()


def test_a_key_shows_its_own_project_until_it_is_revoked_also_on_a_page_that_stays_open(
    browser: Browser, by_key: str, keys: Keys
):
    page, _ = open_page(browser)
    page.goto(by_key)
    sign_in(page, "API key", MINE)
    page.get_by_text("feed-2026").first.wait_for()
    del keys.projects[MINE]
    page.get_by_text("your API key is good no more").wait_for()
    expect(page.get_by_text("feed-2026")).to_have_count(0, timeout=TIMEOUT_MS)
    page.context.close()


def test_oidc_lets_in_whom_the_settings_name_and_nobody_else(browser: Browser, seeded: Seeded):
    provider = Provider("mia@example.org", "dash")
    port = free_port("127.0.0.1", 0)
    environ = seeded.environ | {
        "BANDIT_DASHBOARD_URL": f"http://127.0.0.1:{port}",
        "BANDIT_OIDC_METADATA_URL": f"{provider.url}/.well-known/openid-configuration",
        "BANDIT_OIDC_CLIENT_ID": "dash",
        "BANDIT_OIDC_CLIENT_SECRET": "hush",
        "BANDIT_OIDC_ALLOWED": "@example.org",
    }
    process, url = start_dashboard(environ, port)
    try:
        page, _ = open_page(browser)
        page.goto(url)
        shows_nothing(page)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("mia@example.org · all projects").wait_for()
        page.get_by_text("feed-2026").first.wait_for()
        page.get_by_role("button", name="Sign out").click()
        shows_nothing(page)
        provider.email = "eve@elsewhere.org"
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("eve@elsewhere.org may not come in here").wait_for()
        shows_nothing(page)
        page.context.close()
    finally:
        stop_dashboard(process)
        provider.close()
