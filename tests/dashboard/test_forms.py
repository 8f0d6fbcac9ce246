"""Forms know every field of every spec, and give back what they were given."""

from typing import get_args

import msgspec
import pytest

from bandit.specs import SPECS, AnySpec, Experiment, PolicySpec, PolicyType
from dashboard.forms import (
    FIRST,
    REFERS,
    FieldError,
    blank,
    field_of,
    fields_of,
    parsed,
    ranges,
    rows_of,
    text_of,
)
from tests.dashboard.seeding import OTHERS
from tests.dashboard.seeding import SPECS as SEEDED

EVERY = (*SEEDED, *OTHERS)


@pytest.mark.parametrize("kind", SPECS.values(), ids=lambda kind: kind.kind)
def test_a_form_asks_for_every_field_but_key_and_project(kind: type[AnySpec]):
    names = [field.name for field in fields_of(kind)]
    assert sorted([*names, "key", "project"]) == sorted(kind.__struct_fields__)
    assert names[: len(FIRST[kind.kind])] == list(FIRST[kind.kind])


@pytest.mark.parametrize("name", REFERS)
def test_what_names_another_declaration_is_chosen_from_those(name: str):
    asked = {field.name: field.widget for kind in SPECS.values() for field in fields_of(kind)}
    assert asked[name] in ("key", "keys")


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.kind} {spec.key}")
def test_a_form_that_nobody_touched_gives_back_what_was_declared(spec: AnySpec):
    told = msgspec.to_builtins(spec)
    body = {"key": spec.key, "project": spec.project}
    for field in fields_of(type(spec)):
        value = told[field.name]
        shown = {"json": text_of, "rows": rows_of}.get(field.widget, lambda value: value)
        body[field.name] = parsed(field, shown(value))  # type: ignore[operator]
    assert msgspec.convert(body, type(spec)) == spec


def test_what_a_field_may_hold_is_what_the_spec_says():
    fields = {field.name: field for field in fields_of(Experiment)}
    assert fields["status"].choices == ("draft", "running", "stopped", "archived")
    assert (fields["looks"].low, fields["looks"].high, fields["looks"].is_whole) == (1, 100, True)
    assert fields["looks"].may_be_null
    assert fields["salt"].is_required
    assert "hand" in fields["overrides"].meaning
    types = {field.name: field for field in fields_of(PolicySpec)}["type"].choices
    assert types == get_args(PolicyType)


def test_empty_is_null_where_null_is_an_answer_and_a_text_elsewhere():
    fields = {field.name: field for field in fields_of(Experiment)}
    assert parsed(fields["surface"], None) is None
    assert parsed(fields["surface"], "") is None
    assert parsed(fields["description"], "") == ""
    assert parsed(fields["looks"], None) is None


@pytest.mark.parametrize("text", ["{", "[1,", "nope", "[" * 5000])
def test_text_that_is_no_json_is_refused_in_words(text: str):
    [field] = [field for field in fields_of(Experiment) if field.name == "overrides"]
    with pytest.raises(FieldError, match="must be one JSON value"):
        parsed(field, text)


def test_variants_of_a_table_are_read_and_refused_in_words():
    [field] = [field for field in fields_of(Experiment) if field.name == "variants"]
    row = {"key": "a", "policy": "", "payload": '{"colour": "red"}', "buckets": "0-10, 20–30"}
    assert parsed(field, [row]) == [
        {
            "key": "a",
            "policy": None,
            "payload": {"colour": "red"},
            "allocation": [[0, 10], [20, 30]],
        }
    ]
    with pytest.raises(FieldError, match=r"payload '\{' is no JSON"):
        parsed(field, [row | {"payload": "{"}])
    for buckets in ("half", "0:10", "-5-10", "0-999999"):
        with pytest.raises(FieldError, match="must be ranges"):
            ranges(buckets)


def test_something_new_begins_with_what_holds_if_nobody_says_anything():
    for kind in SPECS.values():
        assert set(blank(kind)) == {field.name for field in fields_of(kind)}
    assert [one["key"] for one in blank(Experiment)["variants"]] == ["control", "treatment"]


@pytest.mark.parametrize(
    ("problem", "place", "found"),
    [
        ("policy 'x' is not declared", "$.variants[1].policy", "variants"),
        ("looks is 0, must be", "", "looks"),
        ("the surface is gone", "", ""),
        ("", "$", ""),
        ("x", "$.nothing_of_ours", ""),
    ],
)
def test_a_problem_is_shown_at_its_field(problem: str, place: str, found: str):
    names = [field.name for field in fields_of(Experiment)]
    assert field_of(problem, place, names) == found
