"""Who looks at the dashboard: the form before the pages, and the line below them."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from dashboard.access import Attempts, KeyBook, is_allowed, is_password
from dashboard.writing import Who, Writer

SignIn = Literal["off", "password", "key", "oidc"]
KEY, PASSED = "bandit_key", "bandit_password_was_right"
"""What a session remembers of its sign-in; nobody else sees it."""


@dataclass(frozen=True)
class Door:
    """What it takes to come in; one for all sessions.

    Attributes:
        sign_in: How people sign in.
        password: The one for all.
        key: The API key of whoever did not bring one of their own; empty: none.
        allowed: Whom OIDC lets in.
        book: What keys may do.
        attempts: Wrong guesses.
        writer: Our API with a key, and with who makes the changes.
        address: Where this session is from.
    """

    sign_in: SignIn
    password: str = field(repr=False)
    key: str = field(repr=False)
    allowed: str
    book: KeyBook
    attempts: Attempts
    writer: Callable[[str, str], Writer]
    address: Callable[[], str] = lambda: st.context.ip_address or "loopback"


@dataclass(frozen=True)
class Viewer:
    """Who looks, and what they may do.

    Attributes:
        project: Whose definitions and log they see; None: everybody's.
        writer: Our API with their key; None: they may only read.
        name: Who they are; empty: nobody was asked.
        problem: Why they may not look any more; asked before each look, empty while they may.
        has_own_key: Whether the key is one that they brought.
    """

    project: str | None
    writer: Writer | None
    name: str
    problem: Callable[[], str]
    has_own_key: bool


def viewer_of(door: Door, session: MutableMapping[Any, Any]) -> tuple[Viewer | None, str]:
    """Who looks; None before they have signed in, with what stands in their way.

    Args:
        door: What it takes.
        session: Of Streamlit.
    """
    name = ""
    if door.sign_in == "password" and not session.get(PASSED):
        return None, ""
    if door.sign_in == "oidc":
        name, problem = _person(door)
        if not name:
            return None, problem
    own = session.get(KEY, "")
    if door.sign_in == "key" and not own:
        return None, ""
    key = own or door.key
    who, problem = door.book.who(key)
    if key and (who is None or not who.may_read):
        return None, problem or "this key may not read, must have the scope `read`"
    may_write = who is not None and who.may_write
    return Viewer(
        project=who.project if who else None,
        writer=door.writer(key, name) if may_write else None,
        name=name or (who.client if who and own else ""),
        problem=lambda: _ended(door, key, who),
        has_own_key=bool(own),
    ), ""


def _ended(door: Door, key: str, then: Who | None) -> str:
    """Why a key sees no more what it saw; empty while it does."""
    now, problem = door.book.who(key)
    if key and now is None:
        return f"your API key is good no more: {problem}"
    if key and then is not None and now is not None and now.project != then.project:
        return "your API key is of another project now: load the page again"
    return ""


def _person(door: Door) -> tuple[str, str]:
    """Who the provider says they are; empty before they have signed in, or if they may not."""
    if not st.user.is_logged_in:
        return "", ""
    told = st.user.to_dict()
    email = told.get("email")
    is_verified = told.get("email_verified") is not False
    if not is_allowed(email, door.allowed, is_verified=is_verified):
        return "", f"{email or 'somebody without an address'} may not come in here"
    return str(email or told.get("name") or told.get("sub") or "somebody"), ""


def show_door(door: Door, problem: str) -> None:
    """The form before the pages; it shows nothing of what is behind it.

    Args:
        door: What it takes.
        problem: What stands in the way of who tried.
    """
    st.title("Sign in")
    if problem:
        st.error(f"You are not signed in: {problem}.", icon=":material/lock:")
    if door.sign_in == "oidc":
        if st.user.is_logged_in:
            if st.button("Sign in as somebody else", type="primary"):
                st.logout()
        elif st.button("Sign in", type="primary", icon=":material/login:"):
            st.login()
    elif door.sign_in == "password" and not st.session_state.get(PASSED):
        _ask(door, "Password", lambda given: _try_password(door, given))
    if door.sign_in == "key" or KEY in st.session_state:
        _ask(door, "API key", lambda given: _try_key(door, given))
        st.caption("It must have the scope `read`: `bandit keys create` makes one.")
    elif problem and door.key:
        st.markdown("The dashboard's own key is what `BANDIT_DASHBOARD_KEY` says.")
    if KEY in st.session_state and st.button("Go on without this key"):
        del st.session_state[KEY]
        st.rerun()


def _ask(door: Door, label: str, attempt: Callable[[str], str]) -> None:
    with st.form(f"sign-in-{label}", width=420):
        given = st.text_input(label, type="password", autocomplete="current-password")
        is_sent = st.form_submit_button("Sign in", type="primary", icon=":material/login:")
    if not is_sent:
        return
    wait_s = door.attempts.wait_s(door.address())
    if wait_s > 0:
        st.error(f"Too many wrong attempts. Try again in {wait_s:.0f} s.", icon=":material/lock:")
        return
    wrong = attempt(given)
    if wrong:
        st.error(wrong, icon=":material/lock:")
    else:
        st.rerun()


def _try_password(door: Door, given: str) -> str:
    """Come in, or why not."""
    if not is_password(given, door.password):
        door.attempts.note_wrong(door.address())
        return "That is not the password."
    st.session_state[PASSED] = True
    return ""


def _try_key(door: Door, given: str) -> str:
    """Come in with a key, or why not."""
    given = given.strip()
    who, problem = None, "a key is a text that begins with `bandit_`"
    if given.startswith("bandit_") and given.isascii() and given.isprintable():
        who, problem = door.book.who(given)
    if who is None or not who.may_read:
        door.attempts.note_wrong(door.address())
        return f"That key lets nobody in: {problem or 'it must have the scope `read`'}."
    st.session_state[KEY] = given
    return ""


def show_viewer(door: Door, viewer: Viewer) -> None:
    """Below a page: who looks, what they may do, and the way out."""
    st.divider()
    row = st.container(horizontal=True, vertical_alignment="center")
    row.caption(viewer_in_words(viewer))
    if viewer.writer is None and door.sign_in != "key":
        with row.popover("Use an API key", icon=":material/key:"):
            _ask(door, "API key", lambda given: _try_key(door, given))
    is_signed_in = door.sign_in != "off" or viewer.has_own_key
    if is_signed_in and row.button("Sign out", icon=":material/logout:"):
        for name in (KEY, PASSED):
            st.session_state.pop(name, None)
        if door.sign_in == "oidc":
            st.logout()
        st.rerun()


def viewer_in_words(viewer: Viewer) -> str:
    """Who looks, and what they may do.

    >>> viewer_in_words(Viewer("shop", None, "web", lambda: "", True))
    'web · project shop · may read'
    """
    name = [viewer.name] if viewer.name else []
    project = "all projects" if viewer.project is None else f"project {viewer.project}"
    may = "may read" if viewer.writer is None else "may read and change"
    return " · ".join([*name, project, may])
