"""Artefacts of evaluations: whole, versioned, and without a number where the log can not tell."""

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest
from msgspec.structs import replace

from bandit.errors import RecordError
from bandit.service.evaluation_artefact import FORMAT, artefact_of, headline_of, read
from bandit.service.evaluation_card import card_of
from tests.bandit.service.making_evaluations import NUMBER, REFUSED, RUN, TOLD

ARTEFACT = artefact_of(RUN, author="ana <a@b>", code_version="1.2.3", evaluation_id="e-1")
VOID = {"meta"}


def test_artefact_is_read_as_it_was_written() -> None:
    text = msgspec.json.encode(ARTEFACT)
    assert msgspec.json.encode(read(text)) == text


def test_artefact_says_what_it_takes_to_read_and_repeat_it() -> None:
    assert (ARTEFACT.version, ARTEFACT.code_version, ARTEFACT.id) == (FORMAT, "1.2.3", "e-1")
    assert "judged_decisions" in ARTEFACT.sql["gate_rows"]
    assert ARTEFACT.reasons["no_decisions"] == "no decision is left to judge by"
    assert ARTEFACT.run.snapshots == {"live": (3, 9)}


def test_refused_candidate_has_no_number_anywhere() -> None:
    """Whoever made the run may have left some in it."""
    assert str(NUMBER) in msgspec.json.encode(RUN).decode()
    assert str(NUMBER) not in msgspec.json.encode(ARTEFACT).decode()
    assert ARTEFACT.run.pairs == ()
    told, refused = headline_of(ARTEFACT).candidates
    assert told.value is not None
    assert told.gain_low is not None
    assert (refused.verdict, refused.value, refused.gain, refused.gain_low) == (
        "refuse", None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "the artefact can not be read"),
        ('{"version": 9}', "the artefact's version is 9, must be 1"),
        ('{"version": 1}', "the artefact can not be read"),
        ("no", "the artefact is no JSON"),
    ],
)
def test_artefact_of_another_layout_is_refused(text: str, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        read(text)


class Page(HTMLParser):
    """Tags, attributes and text of a page; every tag is closed where it must be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + " "


def test_card_is_one_page_without_script_or_address() -> None:
    text = card_of(ARTEFACT)
    page = Page(text)
    assert page.open == []
    assert "<script" not in text
    assert not re.search(r"https?://|url\(|@import", text)
    assert {name for _, name, _ in page.attributes}.isdisjoint({"href", "src", "style", "onclick"})
    assert "prefers-color-scheme:dark" in text


def test_card_escapes_what_others_named() -> None:
    text = card_of(ARTEFACT)
    assert "refused&lt;script&gt;" in text
    assert "country=&lt;b&gt;US&lt;/b&gt;" in text
    assert "ana &lt;a@b&gt;" in text


def test_card_shows_numbers_of_what_can_be_told_and_reasons_of_what_can_not() -> None:
    page = Page(card_of(ARTEFACT))
    told, refused = page.text.split(REFUSED)[0], page.text.split(REFUSED)[-1]
    value = ARTEFACT.run[TOLD].value
    assert value is not None
    assert f"{value:.4g}" in told
    assert "The log can not tell what it would have earned" in refused
    assert "no decision is left to judge by" in refused
    assert f"{NUMBER:.4g}" not in page.text


def test_card_can_be_read_aloud() -> None:
    page = Page(card_of(ARTEFACT))
    assert ("html", "lang", "en") in page.attributes
    [label] = [value for tag, name, value in page.attributes if name == "aria-label"]
    assert label.startswith("Gain over logging: told: ")
    tags = card_of(ARTEFACT)
    assert tags.count("<table") == tags.count("<caption")


def test_card_of_a_run_without_anything_to_tell_is_a_page_too() -> None:
    run = replace(RUN, candidates=RUN.candidates[1:], logged=None, logged_interval=None)
    page = Page(card_of(artefact_of(run, author="a", code_version="1")))
    assert "not saved" in page.text
    assert "refused: no number" in page.text


def test_json_is_plain() -> None:
    assert json.loads(msgspec.json.encode(ARTEFACT))["run"]["n"] == 800
