"""Editing one declaration, by form or as JSON; nothing that others did is overwritten unseen."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import msgspec
import pandas as pd
import streamlit as st

from bandit.service.history import changes
from bandit.specs import SPECS
from bandit.store.definitions import Definition
from dashboard.changing import show_answer
from dashboard.definition_toml import from_toml, toml_of
from dashboard.forms import (
    BY_BUTTON,
    FIRST,
    REFERS,
    FieldError,
    FormField,
    blank,
    field_of,
    fields_of,
    parsed,
    rows_of,
    text_of,
)
from dashboard.parts import begun, moment, plain
from dashboard.source import Source
from dashboard.writing import Answer, Writer, path_of

SAID, GO = "bandit_said", "bandit_go"
"""What was just done, and what it was done to, for the run after it."""
WAYS = ("form", "TOML", "JSON")


class Trouble(NamedTuple):
    """Why nothing was saved, until it is tried again."""

    field: str
    words: str
    answer: Answer | None = None


def finish(source: Source, words: str, kind: str, key: str) -> None:
    """Show what is now declared, and say what was done."""
    source.forget_definitions()
    st.session_state.pop(f"loaded|{kind}|{key}", None)
    st.session_state[SAID] = words
    st.session_state[GO] = key
    st.rerun()


def show_editor(
    source: Source, writer: Writer, kind: str, name: str, newest: Definition | None
) -> None:
    """The form, or the JSON, of what is declared or of something new.

    Args:
        source: For the keys that there are to choose from.
        writer: Saves it.
        kind: `surface`.
        name: `surfaces`, as the API's address has it.
        newest: What is declared now; None: something new.
    """
    loaded = _loaded(kind, newest)
    if newest is not None and loaded is not None and newest.version != loaded.version:
        _tell_of_others(kind, loaded, newest)
    editor = _Editor(source, writer, kind, name, loaded)
    way = st.segmented_control("Edit as", WAYS, default=WAYS[0], key=f"way|{kind}", required=True)
    if way in (None, WAYS[0]):
        editor.as_form()
    else:
        editor.as_text(str(way))


def _loaded(kind: str, newest: Definition | None) -> Definition | None:
    """The version that is being edited: it stays while others make newer ones."""
    if newest is None:
        return None
    place = f"loaded|{kind}|{newest.key}"
    kept: Definition = st.session_state.setdefault(place, newest)
    return kept


def _tell_of_others(kind: str, loaded: Definition, newest: Definition) -> None:
    was, now = msgspec.to_builtins(loaded.spec), msgspec.to_builtins(newest.spec)
    places = ", ".join(f"`{c.path.removeprefix('$.')}`" for c in changes(was, now)) or "nothing"
    st.warning(
        f"**{plain(newest.author)} made version {newest.version} meanwhile** "
        f"({moment(newest.created_ms)}), which changed {places}. You are editing version "
        f"{loaded.version}, so it can not be saved.",
        icon=":material/call_merge:",
    )
    if st.button(f"Load version {newest.version}, without my edits"):
        st.session_state[f"loaded|{kind}|{newest.key}"] = newest
        st.rerun()


class _Editor:
    """One declaration being edited in one session."""

    def __init__(
        self, source: Source, writer: Writer, kind: str, name: str, loaded: Definition | None
    ) -> None:
        self._source, self._writer = source, writer
        self._kind, self._name, self._loaded = kind, name, loaded
        key, version = (loaded.key, loaded.version) if loaded else ("", 0)
        # Widgets of another version are other widgets: what was typed never moves to it.
        self._tag = f"{kind}|{key}|{version}"
        self._base: dict[str, Any] = (
            msgspec.to_builtins(loaded.spec) if loaded else blank(SPECS[kind])
        )
        self._trouble: Trouble | None = st.session_state.get(f"trouble|{self._tag}")

    def as_text(self, language: str) -> None:
        """All of it as one text, `TOML` or `JSON`."""
        known = self._base if self._loaded else {"key": "", **self._base}
        try:
            shown = toml_of(SPECS[self._kind], known) if language == "TOML" else text_of(known)
        except FieldError as exc:
            st.info(f"{begun(str(exc))}.", icon=":material/info:")
            return
        with st.form(f"{language}|{self._tag}"):
            text = st.text_area(
                "The whole declaration", shown, height=480, key=f"{language}-text|{self._tag}"
            )
            if language == "TOML":
                st.caption("What is not in it has its default.")
            if self._trouble:
                self._show(self._trouble)
            is_sent = st.form_submit_button("Save", type="primary", icon=":material/save:")
        if is_sent:
            self._save(self._read(text, language))

    def _read(self, text: str, language: str) -> dict[str, Any]:
        if language == "TOML":
            try:
                return from_toml(text)
            except FieldError as exc:
                self._fail(Trouble("", f"{begun(str(exc))}."))
        try:
            body = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as exc:
            self._fail(Trouble("", f"It is no JSON ({exc}), must be one JSON object."))
        if not isinstance(body, dict):
            self._fail(Trouble("", "It is no JSON object, must be one."))
        return body

    def as_form(self) -> None:
        """A widget for each field."""
        by_button = BY_BUTTON.get(self._kind, frozenset()) if self._loaded else frozenset()
        asked = [field for field in fields_of(SPECS[self._kind]) if field.name not in by_button]
        first = [field for field in asked if field.name in FIRST[self._kind]]
        rest = [field for field in asked if field.name not in FIRST[self._kind]]
        given: dict[str, object] = {}
        with st.form(f"form|{self._tag}"):
            if self._trouble and not self._trouble.field:
                self._show(self._trouble)
            if not self._loaded:
                label = "key (a name that never changes)"
                given["key"] = st.text_input(label, key=f"{self._tag}|key", max_chars=100)
                self._show_at("key")
            for field in first:
                given[field.name] = self._ask(field)
            is_there = self._trouble is not None and self._trouble.field in {f.name for f in rest}
            with st.expander("More", expanded=is_there):
                for field in rest:
                    given[field.name] = self._ask(field)
            is_sent = st.form_submit_button("Save", type="primary", icon=":material/save:")
        if is_sent:
            self._save(self._body(asked, given))

    def _body(self, asked: Sequence[FormField], given: Mapping[str, object]) -> dict[str, Any]:
        body = dict(self._base)
        if not self._loaded:
            body["key"] = str(given["key"]).strip()
        for field in asked:
            try:
                body[field.name] = parsed(field, given[field.name])
            except FieldError as exc:
                self._fail(Trouble(field.name, f"{field.name}: {exc}."))
        if "salt" in body and not body["salt"]:
            body["salt"] = body["key"]  # keys are used once, so it separates as well as any
        return body

    def _save(self, body: dict[str, Any]) -> None:
        key = str(body.get("key") or (self._loaded.key if self._loaded else ""))
        if not key:
            self._fail(Trouble("key", "key is empty, must be a name."))
        against = f'"{self._loaded.version}"' if self._loaded else ""
        answer = self._writer.put(path_of(self._name, key), body, against=against)
        if not answer.is_done:
            self._source.forget_definitions()
            names = [field.name for field in fields_of(SPECS[self._kind])]
            field = field_of(answer.problem, answer.place, [*names, "key"])
            self._fail(Trouble(field, answer.in_words, answer))
        st.session_state.pop(f"trouble|{self._tag}", None)
        version = answer.etag.strip('"')
        words = f"{self._kind} {key} is declared, version {version}."
        finish(self._source, words, self._kind, key)

    def _fail(self, trouble: Trouble) -> NoReturn:
        """Say it where it belongs: that part of the page is drawn already."""
        st.session_state[f"trouble|{self._tag}"] = trouble
        st.rerun()

    def _show(self, trouble: Trouble) -> None:
        if trouble.answer is not None and trouble.answer.status != 400:
            show_answer(trouble.answer, "")
        else:
            st.error(f"Nothing was saved. {trouble.words}", icon=":material/error:")

    def _show_at(self, name: str) -> None:
        if self._trouble and self._trouble.field == name:
            self._show(self._trouble)

    def _ask(self, field: FormField) -> object:
        answer = self._widget(field)
        self._show_at(field.name)
        return answer

    def _widget(self, field: FormField) -> object:
        value = self._base.get(field.name, field.default)
        key, tooltip = f"{self._tag}|{field.name}", field.meaning or None
        if field.widget == "flag":
            return st.toggle(field.name, bool(value), key=key, help=tooltip)
        if field.widget == "choice":
            index = field.choices.index(value) if value in field.choices else 0
            return st.selectbox(field.name, field.choices, index=index, key=key, help=tooltip)
        if field.widget == "number":
            return _number(field, value, key)
        if field.widget == "rows":
            return _rows(value, key, self._declared("policy"))
        if field.widget == "key":
            options = self._declared(REFERS[field.name], value)
            chosen = options.index(value) if value in options else None
            return st.selectbox(
                field.name, options, index=chosen, key=key, help=tooltip, placeholder="none"
            )
        if field.widget in ("keys", "texts"):
            listed = value or []
            options = self._declared(REFERS.get(field.name, ""), *listed)
            return st.multiselect(
                field.name, options, listed, key=key, help=tooltip, accept_new_options=True
            )
        text = text_of(value) if field.widget == "json" else str(value or "")
        if field.widget in ("json", "long"):
            return st.text_area(f"{field.name}", text, key=key, help=tooltip, height=90)
        return st.text_input(field.name, text, key=key, help=tooltip)

    def _declared(self, kind: str, *more: str) -> list[str]:
        """Keys there are to choose from, and those that are chosen."""
        found, _ = self._source.definitions(kind) if kind else ([], "")
        return list(dict.fromkeys([*(one.key for one in found or ()), *filter(None, more)]))


def _number(field: FormField, value: Any, key: str) -> object:
    kind = int if field.is_whole else float
    low, high, begin = (None if n is None else kind(n) for n in (field.low, field.high, value))
    ask: Any = st.number_input  # its types know no number that may be whole or not
    return ask(
        field.name,
        min_value=low,
        max_value=high,
        value=begin,
        step=1 if field.is_whole else None,
        format=None if field.is_whole else "%.10g",
        key=key,
        help=field.meaning or None,
        placeholder="none",
    )


def _rows(value: Any, key: str, policies: Sequence[str]) -> list[dict[str, Any]]:
    st.caption(
        "variants: on a surface each names a policy, without one each has a payload (JSON). The "
        "10,000 buckets are their shares: 0-5000 is half."
    )
    used = [one.get("policy") for one in value]
    options = list(dict.fromkeys([*policies, *filter(None, used)]))
    table = st.data_editor(
        pd.DataFrame(rows_of(value), columns=["key", "policy", "payload", "buckets"], dtype=str),
        num_rows="dynamic",
        hide_index=True,
        key=key,
        column_config={
            "policy": st.column_config.SelectboxColumn("policy", options=options),
        },
    )
    filled = table.astype(object).where(table.notna(), "")
    return [{str(name): cell for name, cell in row.items()} for row in filled.to_dict("records")]
