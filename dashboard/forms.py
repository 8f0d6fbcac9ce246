"""Forms of declarations, made of the specs' own types: what to ask, and what an answer becomes.

Nothing is judged here: a form asks, the API judges. Without Streamlit, so that it is plain to test.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

import msgspec
from msgspec import inspect as types

from bandit.specs import AnySpec, Experiment

Widget = Literal["text", "long", "choice", "flag", "number", "key", "keys", "texts", "json", "rows"]

REFERS: Mapping[str, str] = {
    "policy": "policy",
    "shadows": "policy",
    "surface": "surface",
    "layer": "layer",
    "metrics": "metric",
    "guardrails": "metric",
    "covariates": "metric",
}
"""Fields that name other declarations, and of which kind."""
LONG = frozenset({"description", "targeting"})
BY_BUTTON: Mapping[str, frozenset[str]] = {
    "experiment": frozenset({"status"}),
    "surface": frozenset({"killed"}),
}
"""What has a button of its own once it is declared."""
FIRST: Mapping[str, Sequence[str]] = {
    "surface": ("policy", "shadows", "join_window_s", "uniform_share", "description"),
    "policy": ("type", "surface", "arguments", "floor", "description"),
    "experiment": (
        *("surface", "variants", "control", "metrics", "guardrails", "segments"),
        *("status", "owner", "description"),
    ),
    "metric": ("source", "name", "type", "per", "better", "margin", "margin_scale", "description"),
    "layer": ("salt", "holdout", "description"),
}
"""What is asked first; the rest waits under *More*."""


LINE = 80
"""JSON of so many characters is written in one line."""


class FieldError(ValueError):
    """What was written into a field is not what it takes."""


class FormField(NamedTuple):
    """What is asked for one field of a spec.

    Attributes:
        name: Of the field.
        widget: How it is asked.
        default: JSON of what holds if nobody says anything.
        is_required: Nothing holds then.
        may_be_null: Null is an answer.
        choices: Of a `choice`.
        low, high: Of a `number`; None: unbounded, or open at that end.
        is_whole: Whether a `number` is whole.
        meaning: The spec's own words.
    """

    name: str
    widget: Widget
    default: Any
    is_required: bool
    may_be_null: bool
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    is_whole: bool
    meaning: str


def fields_of(kind: type[AnySpec]) -> list[FormField]:
    """What a form asks: every field but key and project, those of `FIRST` first."""
    told = types.type_info(kind)
    assert isinstance(told, types.StructType)
    meanings, hints = meanings_of(kind), get_type_hints(kind)
    found = [
        _field(field, hints[field.name], meanings.get(field.name, ""))
        for field in told.fields
        if field.name not in ("key", "project")
    ]
    first = FIRST[kind.kind]
    return sorted(found, key=lambda f: first.index(f.name) if f.name in first else len(first))


def _field(field: types.Field, hint: object, meaning: str) -> FormField:
    kind, may_be_null = _without_null(field.type)
    if field.default_factory is not msgspec.NODEFAULT:
        default = msgspec.to_builtins(field.default_factory())
    else:
        default = None if field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default)
    return FormField(
        name=field.name,
        widget=_widget(field.name, kind),
        default=default,
        is_required=field.required,
        may_be_null=may_be_null,
        # In the order in which they were written, which the type information does not keep.
        choices=get_args(hint) if isinstance(kind, types.LiteralType) else (),
        low=getattr(kind, "ge", None),
        high=getattr(kind, "le", None),
        is_whole=isinstance(kind, types.IntType),
        meaning=meaning,
    )


def _without_null(kind: types.Type) -> tuple[types.Type, bool]:
    if isinstance(kind, types.UnionType):
        others = [one for one in kind.types if not isinstance(one, types.NoneType)]
        if len(others) < len(kind.types) and len(others) == 1:
            return others[0], True
    return kind, False


def _widget(name: str, kind: types.Type) -> Widget:
    if name == "variants":
        return "rows"
    if isinstance(kind, types.LiteralType):
        return "choice"
    if isinstance(kind, types.BoolType):
        return "flag"
    if isinstance(kind, types.IntType | types.FloatType):
        return "number"
    if isinstance(kind, types.StrType):
        return "key" if name in REFERS else "long" if name in LONG else "text"
    if isinstance(kind, types.ListType) and isinstance(kind.item_type, types.StrType):
        return "keys" if name in REFERS else "texts"
    return "json"


def meanings_of(kind: type[AnySpec]) -> dict[str, str]:
    """What a spec's docstring says of its fields."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    told: dict[str, str] = {}
    for names, text in re.findall(r"^    (\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", listed, re.MULTILINE):
        told |= dict.fromkeys(names.split(", "), re.sub(r"\s+", " ", text))
    return told


def text_of(value: object) -> str:
    """JSON as people write it, in a line if it fits; of nothing, nothing."""
    if value is None:
        return ""
    text = msgspec.json.encode(value)
    return msgspec.json.format(text, indent=2 if len(text) > LINE else 0).decode()


def parsed(field: FormField, given: object) -> object:
    """What an answer becomes in JSON.

    Args:
        field: What was asked.
        given: What its widget gave back.

    Raises:
        FieldError: It can not be read; what it means is for the API to judge.
    """
    if field.widget == "json":
        return _json(field, str(given or ""))
    if field.widget == "rows":
        assert isinstance(given, Sequence)
        return [_variant(row) for row in given]
    if field.widget == "number":
        if given is None and not field.may_be_null:
            raise FieldError("nothing is given, must be a number")
        return given
    if given in (None, "") and field.may_be_null:
        return None
    return "" if given is None else given


def _json(field: FormField, text: str) -> object:
    if not text.strip():
        return field.default
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise FieldError(f"it is no JSON ({exc}), must be one JSON value") from exc


def rows_of(variants: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Variants as a table has them.

    >>> rows_of([{"key": "a", "policy": "p", "payload": None, "allocation": [[0, 5000]]}])
    [{'key': 'a', 'policy': 'p', 'payload': '', 'buckets': '0-5000'}]
    """
    return [
        {
            "key": one["key"],
            "policy": one.get("policy") or "",
            "payload": ""
            if one.get("payload") is None
            else msgspec.json.encode(one["payload"]).decode(),
            "buckets": ", ".join(f"{low}-{high}" for low, high in one["allocation"]),
        }
        for one in variants
    ]


def _variant(row: Mapping[str, Any]) -> dict[str, object]:
    payload = str(row.get("payload") or "")
    try:
        read = msgspec.json.decode(payload) if payload.strip() else None
    except (msgspec.DecodeError, RecursionError) as exc:
        raise FieldError(f"payload {payload[:40]!r} is no JSON, must be one JSON value") from exc
    return {
        "key": str(row.get("key") or ""),
        "policy": row.get("policy") or None,
        "payload": read,
        "allocation": ranges(str(row.get("buckets") or "")),
    }


def ranges(text: str) -> list[list[int]]:
    """Half-open ranges of buckets.

    >>> ranges("0-2500, 5000-10000")
    [[0, 2500], [5000, 10000]]

    Raises:
        FieldError: It can not be read.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d{1,5})\s*[-–]\s*(\d{1,5})", part)
        if match is None:
            raise FieldError(f"buckets are {part[:40]!r}, must be ranges as 0-5000, 6000-10000")
        found.append([int(match[1]), int(match[2])])
    return found


def blank(kind: type[AnySpec]) -> dict[str, Any]:
    """What a form of something new begins with."""
    told = {field.name: field.default for field in fields_of(kind)}
    if kind is Experiment:
        halves = ("control", "0-5000"), ("treatment", "5000-10000")
        told["control"] = "control"
        told["variants"] = [
            {"key": key, "policy": None, "payload": None, "allocation": ranges(text)}
            for key, text in halves
        ]
    return told


def field_of(problem: str, place: str, names: Sequence[str]) -> str:
    """The field that a problem of the API is about; empty: the declaration as a whole.

    >>> field_of("Expected `int`, got `str`", "$.variants[0].allocation", ["variants", "salt"])
    'variants'
    >>> field_of("control is 'x', must be one of ['a']", "", ["variants", "control"])
    'control'
    """
    match = re.match(r"\$\.(\w+)", place)
    if match and match[1] in names:
        return match[1]
    first = re.match(r"\w+", problem)
    return first[0] if first and first[0] in names else ""
