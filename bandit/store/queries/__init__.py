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
of the same file, and reads from `this` where that one reads from `that`. Parameters are typed and
bound by the server, never pasted into the text.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

_NAME = re.compile(r"^-- name: *(\S+)\s*$", re.MULTILINE)
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
        ValueError: Two queries of one name, or one without a description.
    """
    found: dict[str, Query] = {}
    for file in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        for query in parse(file.read_text(encoding="utf-8")):
            if query.name in found:
                raise ValueError(f"query {query.name!r} of {file.name} is named twice")
            found[query.name] = query
    return MappingProxyType(found)


def parse(text: str) -> Iterator[Query]:
    """Read the queries of one file.

    Raises:
        ValueError: A query without a description, or one parameter with two types.
    """
    _, *parts = _NAME.split(text)
    texts: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        lines = body.strip().splitlines()
        if like := _LIKE.search(lines[-1]):
            other, this, that = like.groups()
            lines[-1:] = texts[other].replace(f"FROM {that}(", f"FROM {this}(").splitlines()
        query = _query(name, lines)
        texts[name] = query.sql
        yield query


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
