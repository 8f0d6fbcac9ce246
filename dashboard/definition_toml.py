"""Declarations as TOML, as policies are written elsewhere: what differs from its default; pure."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec

from bandit.specs import AnySpec
from dashboard.forms import FieldError, fields_of


def toml_of(kind: type[AnySpec], declared: Mapping[str, Any]) -> str:
    """What is declared, without what has its default.

    >>> from bandit.specs import Layer
    >>> print(toml_of(Layer, {"key": "web", "salt": "s", "holdout": [[0, 100]]}), end="")
    key = "web"
    salt = "s"
    holdout = [[0, 100]]

    Args:
        kind: Of the declaration.
        declared: JSON of it.

    Raises:
        FieldError: It says null where that is not the default, which TOML has no word for.
    """
    text = _written(kind, declared)
    if not _says(kind, text, declared):
        raise FieldError("it says null somewhere, which TOML has no word for: edit it as JSON")
    return text


def _written(kind: type[AnySpec], declared: Mapping[str, Any]) -> str:
    defaults = {field.name: field.default for field in fields_of(kind)} | {"project": "default"}
    told = {
        name: value
        for name, value in declared.items()
        if name not in defaults or value != defaults[name]
    }
    plain = {name: value for name, value in told.items() if not _is_tables(value)}
    lines = _lines(plain)
    for name in (name for name in told if name not in plain):
        for row in told[name]:
            lines += ["", f"[[{_key(name)}]]", *_lines(row)]
    return "\n".join(lines) + "\n"


def _says(kind: type[AnySpec], text: str, declared: Mapping[str, Any]) -> bool:
    """Whether it means what is declared, for all that was left out."""
    try:
        meant = msgspec.convert(declared, kind)
    except msgspec.ValidationError:
        return True  # something new, which is not whole yet
    try:
        return msgspec.convert(from_toml(text), kind) == meant
    except msgspec.ValidationError:
        return False


def from_toml(text: str) -> dict[str, Any]:
    """What TOML says, as JSON.

    Raises:
        FieldError: It is no TOML, or says what JSON has no word for.
    """
    try:
        found = tomllib.loads(text)
        told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    except (tomllib.TOMLDecodeError, OverflowError, RecursionError) as exc:
        raise FieldError(f"it is no TOML ({exc}), must be one declaration") from exc
    return told


def _is_tables(value: object) -> bool:
    """Whether a list is written as tables of their own: variants are."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _lines(told: Mapping[str, Any]) -> list[str]:
    """A line each, but for null: it is what holds where nothing is said, but for few places."""
    return [f"{_key(name)} = {_value(one)}" for name, one in told.items() if one is not None]


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        parts = ", ".join(_lines(value))
        return f"{{ {parts} }}" if parts else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value if one is not None)}]"
    if isinstance(value, str):
        # JSON's texts are TOML's, but for one control character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)
