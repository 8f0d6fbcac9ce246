"""Who may look, before and after they signed in; the form itself is drawn by AppTest."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.access import MOST_WRONG, Attempts, KeyBook
from dashboard.signing_in import KEY, PASSED, Door, viewer_in_words, viewer_of
from dashboard.source import Source
from dashboard.writing import Answer, Who, Writer

READER = Who(project="shop", client="web", scopes=frozenset({"read"}))
ADMIN = Who(project="shop", client="mia", scopes=frozenset({"read", "admin"}))
CLIENT = Who(project="shop", client="app", scopes=frozenset({"rank"}))
ANYBODY = Who(project=None, client="", scopes=frozenset({"read", "admin"}))
GOOD = "bandit_reader"


class Api:
    """Knows these keys, and can go away."""

    def __init__(self, **keys: Who) -> None:
        self.keys = {GOOD: READER, "bandit_admin": ADMIN, "bandit_app": CLIENT} | keys
        self.is_away = False
        self.clock_s = 0.0

    def __call__(self, key: str) -> tuple[Who | None, Answer]:
        if self.is_away:
            return None, Answer(0, problem="the API does not answer")
        who = self.keys.get(key)
        return who, Answer(200) if who else Answer(401, problem="an API key must be brought")


def door(api: Api, sign_in: Any = "key", *, password: str = "hush", key: str = "") -> Door:
    return Door(
        sign_in=sign_in,
        password=password,
        key=key,
        allowed="",
        book=KeyBook(api, monotonic_s=lambda: api.clock_s),
        attempts=Attempts(monotonic_s=lambda: api.clock_s),
        writer=lambda key, author: Writer("http://api", key, author=author),
        address=lambda: "here",
    )


def test_nobody_is_a_viewer_before_they_signed_in():
    for sign_in in ("password", "key"):
        assert viewer_of(door(Api(), sign_in), {}) == (None, "")
    assert viewer_of(door(Api(), "password"), {PASSED: False})[0] is None


def test_a_key_sees_its_project_and_changes_only_what_it_may():
    reader, _ = viewer_of(door(Api()), {KEY: GOOD})
    admin, _ = viewer_of(door(Api()), {KEY: "bandit_admin"})
    assert reader is not None
    assert admin is not None
    assert (reader.project, reader.writer) == ("shop", None)
    assert (admin.project, admin.name) == ("shop", "mia")
    assert admin.writer is not None
    assert viewer_in_words(admin) == "mia · project shop · may read and change"


def test_a_key_that_may_not_read_sees_nothing():
    viewer, problem = viewer_of(door(Api()), {KEY: "bandit_app"})
    assert viewer is None
    assert "`read`" in problem


def test_who_passed_by_the_password_acts_with_the_dashboards_key_or_with_their_own():
    entrance = door(Api(), "password", key=GOOD)
    viewer, _ = viewer_of(entrance, {PASSED: True})
    assert viewer is not None
    assert (viewer.project, viewer.writer) == ("shop", None)
    own, _ = viewer_of(entrance, {PASSED: True, KEY: "bandit_admin"})
    assert own is not None
    assert own.writer is not None


def test_where_nobody_is_asked_everybody_may_do_what_the_api_lets_everybody_do():
    api = Api(**{"": ANYBODY})
    viewer, _ = viewer_of(door(api, "off"), {})
    assert viewer is not None
    assert viewer.project is None
    assert viewer.writer is not None
    asked, _ = viewer_of(door(Api(), "off"), {})  # an API that asks for keys
    assert asked is not None
    assert asked.writer is None


def test_pages_go_on_while_the_api_is_away_but_a_key_that_nobody_knows_sees_nothing():
    api = Api()
    api.is_away = True
    viewer, _ = viewer_of(door(api, "off"), {})
    assert viewer is not None
    assert viewer.writer is None
    nobody, problem = viewer_of(door(api, "off", key=GOOD), {})
    assert nobody is None
    assert problem == "the API does not answer"


def test_a_page_that_is_open_ends_with_its_key():
    api = Api()
    viewer, _ = viewer_of(door(api), {KEY: GOOD})
    assert viewer is not None

    def no_reports() -> Any:
        raise AssertionError("nobody may ask")

    source = Source(no_reports, monotonic_s=lambda: 0.0).of_viewer(viewer.problem)
    assert viewer.problem() == ""
    del api.keys[GOOD]
    api.clock_s += 10
    assert "good no more" in viewer.problem()
    assert source.overview(0.05).payload is None
    api.keys[GOOD] = Who(project="other", client="web", scopes=frozenset({"read"}))
    api.clock_s += 10
    assert "another project" in source.overview(0.05).problem


def test_secrets_are_in_no_text():
    assert "hush" not in repr(door(Api()))
    assert GOOD not in repr(door(Api(), key=GOOD))


def draw(door, problem) -> None:
    """Runs inside AppTest, which takes its text and not its surroundings."""
    import streamlit as st

    from dashboard.signing_in import show_door, viewer_of

    viewer, said = viewer_of(door, st.session_state)
    if viewer is None:
        show_door(door, said)
    else:
        st.markdown("behind the door")


@pytest.fixture
def form() -> Callable[[Door], AppTest]:
    return lambda entrance: AppTest.from_function(
        draw, kwargs={"door": entrance, "problem": ""}, default_timeout=60
    ).run()


def try_with(at: AppTest, given: str) -> str:
    at.text_input[0].set_value(given)
    at.button[0].click().run()
    assert not at.exception
    return "\n".join([*(e.value for e in at.error), *(m.value for m in at.markdown)])


def test_the_password_opens_and_after_a_few_wrong_ones_nothing_does(
    form: Callable[[Door], AppTest],
):
    api = Api()
    entrance = door(api, "password")
    assert "behind the door" in try_with(form(entrance), "hush")
    at = form(entrance)
    for _ in range(MOST_WRONG):
        assert try_with(at, "guess") == "That is not the password."
    assert try_with(at, "hush").startswith("Too many wrong attempts. Try again in 60 s.")
    api.clock_s += 60
    assert "behind the door" in try_with(at, "hush")


@pytest.mark.parametrize("given", ["", "bandit_wrong", "bandit_app", "bänd", "bandit_\n", "x" * 99])
def test_only_a_key_that_may_read_opens(form: Callable[[Door], AppTest], given: str):
    at = form(door(Api()))
    assert "That key lets nobody in" in try_with(at, given)
    assert "behind the door" in try_with(at, f" {GOOD} ")
