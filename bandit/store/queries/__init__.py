"""Named queries: every SQL text of the service, by name.

A `.sql` file of this folder holds any number of queries:

```sql
-- name: rewards_of_decision
-- What came back for a decision.
-- bytes: reward_id
SELECT reward_id, value FROM rewards WHERE event_id = {event_id:UUID}
```
The line `-- bytes:` is optional: the result's String columns named there come back as `bytes`, all
others as `str`. A line `-- like: other with this for that` in place of a text takes another query's
of the same file, and reads from `this` where that one reads from `that`. What several queries have
in common stands once, in any file, under `-- part: name` and its description; a line `-- put: name`
stands for it. Parameters are typed and bound by the server, never pasted into the text.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

_HEAD = re.compile(r"^-- (name|part): *(\S+)\s*$", re.MULTILINE)
_PUT = re.compile(r"^( *)-- put: *(\w+)$", re.MULTILINE)
_LIKE = re.compile(r"^-- like: *(\w+) with (\w+) for (\w+)$")
_PARAMETER = re.compile(r"\{(\w+):([^{}]+)\}")


class Query(NamedTuple):
    """One named query."""

    name: str
    description: str
    sql: str
    parameters: Mapping[str, str]
    """Name and ClickHouse type of each."""
    bytes_columns: tuple[str, ...] = ()


@cache
def named_queries() -> Mapping[str, Query]:
    """Every query of this folder, by name.

    Raises:
        ValueError: Two queries or parts of one name, or one without a description.
    """
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in sorted(files(__name__).iterdir(), key=lambda entry: entry.name)
        if file.name.endswith(".sql")
    }
    parts: dict[str, str] = {}
    for text in texts.values():
        own = parts_of(text)
        if named := parts.keys() & own:
            raise ValueError(f"parts {sorted(named)} are named twice")
        parts |= own
    found: dict[str, Query] = {}
    for file_name, text in texts.items():
        for query in parse(text, parts):
            if query.name in found:
                raise ValueError(f"query {query.name!r} of {file_name} is named twice")
            found[query.name] = query
    return MappingProxyType(found)


def parts_of(text: str) -> dict[str, str]:
    """The parts of one file, by name.

    Raises:
        ValueError: A part without a description.
    """
    return {
        name: _query(name, body.strip().splitlines()).sql
        for kind, name, body in _heads(text)
        if kind == "part"
    }


def parse(text: str, parts: Mapping[str, str] = MappingProxyType({})) -> Iterator[Query]:
    """Read the queries of one file.

    Args:
        text: Of the file.
        parts: What `-- put:` may name.

    Raises:
        ValueError: A query without a description, one parameter with two types, or no such part.
    """
    texts: dict[str, str] = {}
    for kind, name, body in _heads(text):
        if kind == "part":
            continue
        lines = _with_parts(body, parts).strip().splitlines()
        if like := _LIKE.search(lines[-1]):
            other, this, that = like.groups()
            lines[-1:] = texts[other].replace(f"FROM {that}(", f"FROM {this}(").splitlines()
        query = _query(name, lines)
        texts[name] = query.sql
        yield query


def _heads(text: str) -> Iterator[tuple[str, str, str]]:
    """What each text of a file is, its name, and it."""
    _, *found = _HEAD.split(text)
    yield from zip(found[::3], found[1::3], found[2::3], strict=True)


def _with_parts(body: str, parts: Mapping[str, str]) -> str:
    def text_of(found: re.Match[str]) -> str:
        margin, name = found.groups()
        if name not in parts:
            raise ValueError(f"there is no part {name!r} to put")
        return "\n".join(margin + line for line in parts[name].splitlines())

    return _PUT.sub(text_of, body)


def _query(name: str, lines: list[str]) -> Query:
    start = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    comments = [line.removeprefix("--").strip() for line in lines[:start]]
    description = " ".join(line for line in comments if not line.startswith("bytes:"))
    if not description:
        raise ValueError(f"query {name!r} has no description, must have one")
    sql = "\n".join(lines[start:]).strip().removesuffix(";")
    parameters: dict[str, str] = {}
    for parameter, kind in _PARAMETER.findall(sql):
        if parameters.setdefault(parameter, kind) != kind:
            raise ValueError(f"parameter {parameter!r} of query {name!r} has two types")
    bytes_columns = tuple(
        column.strip()
        for line in comments
        if line.startswith("bytes:")
        for column in line.removeprefix("bytes:").split(",")
    )
    return Query(name, description, sql, MappingProxyType(parameters), bytes_columns)
