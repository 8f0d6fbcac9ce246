"""Definitions & audit: what is declared, who changed what and when; made and changed by the API."""

from collections.abc import Sequence
from typing import Any

import msgspec
import streamlit as st

from bandit.service.history import DefinitionVersion
from bandit.service.reporting_tables import as_csv
from bandit.service.reporting_words import DASH
from bandit.specs import SPECS
from bandit.store.definitions import Definition
from dashboard.definition_form import GO, SAID, show_editor
from dashboard.definition_steps import show_steps
from dashboard.definition_toml import toml_of
from dashboard.forms import FieldError, text_of
from dashboard.parts import (
    BOX_PX,
    HALF_PX,
    REFRESH_S,
    choose,
    in_short,
    moment,
    plain,
    show_downloads,
    show_missing,
    show_table,
    side_by_side,
    switch,
)
from dashboard.source import Source
from dashboard.writing import Writer

KINDS = {f"{name}s" if name != "policy" else "policies": name for name in SPECS}
"""What the page calls a kind, and the address of the API too → its name."""
NEW = "(a new one)"
SHOWN = 50
"""Versions of a history that are drawn; a download has all."""


def render(source: Source, writer: Writer | None = None) -> None:
    """Draw the page.

    Args:
        writer: None for who may only read.
    """
    st.title("Definitions & audit")
    if said := st.session_state.pop(SAID, ""):
        st.success(said, icon=":material/check_circle:")
    if key := st.session_state.pop(GO, ""):
        st.session_state.pop("key", None)  # the box begins anew, with what the address says
        st.query_params["key"] = key
    row = side_by_side()
    with row:
        name = choose("Kind", list(KINDS), "kind", "experiments", width_px=HALF_PX)
    kind = KINDS[name]
    found, problem = source.definitions(kind)
    if found is None:
        show_missing(problem)
        return
    keys = [definition.key for definition in found]
    with row:
        first = keys[0] if keys else NEW
        key = choose("Which one", [*keys, NEW], "key", first, width_px=BOX_PX)
    _live(source, kind, key)
    if key == NEW:
        if writer is None:
            _say_how(kind, name, is_empty=not keys)
        else:
            show_editor(source, writer, kind, name, None)
        return
    newest = next(definition for definition in found if definition.key == key)
    if writer is not None:
        show_steps(source, writer, name, newest)
    edit, history = st.tabs(["Edit" if writer else "Definition", "History"])
    with edit:
        if writer is None:
            _declaration(newest)
        else:
            show_editor(source, writer, kind, name, newest)
    with history:
        _history(source, kind, key)


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, kind: str, key: str) -> None:
    """The list, which follows what others do while somebody fills in a form."""
    found, problem = source.definitions(kind)
    if problem:
        st.warning(f"This list may be old. ({in_short(problem)})", icon=":material/cloud_off:")
    if found:
        with st.expander(f"All {len(found):,}", expanded=key == NEW):
            show_table([definition_row(one) for one in found])


def _declaration(newest: Definition) -> None:
    """What is declared, for who may only read."""
    kind, declared = SPECS[newest.kind], msgspec.to_builtins(newest.spec)
    way = switch("Shown as", ("TOML", "JSON"), "as")
    try:
        text = toml_of(kind, declared) if way == "TOML" else text_of(declared)
    except FieldError:
        text = text_of(declared)
    # Without colours for its words: stock ones are too faint to read for some.
    st.code(text, language=None, wrap_lines=True)
    st.caption(
        ("What is not in it has its default. " if way == "TOML" else "")
        + "This session may only read: an API key with the scope `admin` changes it."
    )


def _say_how(kind: str, name: str, *, is_empty: bool) -> None:
    begin = f"No {kind} is declared. " if is_empty else ""
    st.info(
        f"{begin}*Next:* `PUT /v1/{name}/{{key}}`, or use an API key with the scope `admin` here.",
        icon=":material/inbox:",
    )


def _history(source: Source, kind: str, key: str) -> None:
    versions, problem = source.versions(kind, key)
    if versions is None:
        show_missing(problem)
        return
    newest_first = versions[::-1]
    for version in newest_first[:SHOWN]:
        with st.container(border=True):
            st.markdown(f"**Version {version.version}** · {plain(version.author)}")
            st.caption(moment(version.created_ms))
            st.markdown("\n".join(f"- {text}" for text in changes_in_words(version)))
    if len(versions) > SHOWN:
        st.caption(f"{len(versions) - SHOWN:,} older versions are in the downloads.")
    show_downloads(
        f"history-{kind}-{key}",
        csv=history_csv(newest_first),
        payload=msgspec.json.encode(versions),
    )


def definition_row(definition: Definition) -> dict[str, str]:
    """A line of the list."""
    spec = definition.spec
    return {
        "key": definition.key,
        "project": spec.project,
        "state": state_of(definition),
        "description": spec.description or DASH,
        "version": str(definition.version),
        "changed": moment(definition.created_ms),
        "by": definition.author,
    }


def state_of(definition: Definition) -> str:
    """What it is up to, as far as it can be up to anything."""
    if getattr(definition.spec, "killed", False):
        return "killed"
    return str(getattr(definition.spec, "status", DASH))


def changes_in_words(version: DefinitionVersion) -> list[str]:
    """What a version changed, a line for each place."""
    if [change.path for change in version.changes] == ["$"]:
        return ["declared"]
    if not version.changes:
        return ["nothing: it was declared again as it was"]
    return [
        f"`{change.path.removeprefix('$.')}`: {_value(change.old)} → {_value(change.new)}"
        for change in version.changes
    ]


def _value(value: Any) -> str:
    """A JSON value as code, which nothing in it can end."""
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value).decode().replace("`", "'")
    return f"`{text}`" if len(text) <= 300 else f"`{text[:300]}…`"


def history_csv(versions: Sequence[DefinitionVersion]) -> str:
    """A line for each place that each version changed."""
    return as_csv(
        [
            {
                "version": version.version,
                "created_ms": version.created_ms,
                "author": version.author,
                "path": change.path,
                "old": _cell(change.old),
                "new": _cell(change.new),
            }
            for version in versions
            for change in version.changes
        ]
    )


def _cell(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
