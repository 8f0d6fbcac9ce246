"""What a statement is, as far as HTTP needs to know: its data, its format, its kind."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from bandit.store.gateway.refusal import Refusal

# Head of an INSERT that may be searched for its FORMAT; ClickHouse's own max_query_size.
_HEAD_BYTES = 262_144
# What is not closed goes to the end: a token never fails late, so the scan stays linear.
_TOKEN = re.compile(
    rb"""
      (?P<space>   \s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<string>  '(?:[^'\\]|\\.?|'')*+(?:'|\Z) )
    | (?P<name>    `(?:[^`\\]|\\.?|``)*+(?:`|\Z) | "(?:[^"\\]|\\.?|"")*+(?:"|\Z) )
    | (?P<word>    [A-Za-z_][A-Za-z0-9_]* )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_TAIL_FORMAT = re.compile(rb"\bFORMAT\s+([A-Za-z]\w*)\s*;?\s*\Z", re.IGNORECASE)
_QUERY_HEADS = (b"SELECT", b"WITH", b"FROM", b"VALUES")


class Insert(NamedTuple):
    """An INSERT taken apart: what chDB prepares, and the bytes it is fed."""

    statement: bytes
    format: str
    data: memoryview


class _Word(NamedTuple):
    text: bytes
    start: int
    end: int


def _words(sql: bytes) -> Iterator[_Word]:
    """Bare words (upper-cased), quoted names, dots and parameters (`{`), outside of parentheses."""
    depth = 0
    for token in _TOKEN.finditer(sql):
        text = token[0]
        if depth == 0 and (token.lastgroup in ("word", "name") or text in (b".", b"{")):
            yield _Word(text.upper() if token.lastgroup == "word" else text, *token.span())
        if token.lastgroup == "other":
            depth += (text in b"([{") - (text in b")]}")


def leading_words(sql: bytes, n: int) -> list[str]:
    r"""The statement's first `n` words, upper-cased; fewer if something else comes before.

    >>> leading_words(b"-- why\n ((select 1))", 1)
    ['SELECT']
    """
    words: list[str] = []
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "word":
            words.append(token[0].upper().decode())
        elif token.lastgroup != "space" and token[0] != b"(":
            break
        if len(words) == n:
            break
    return words


def first_word(sql: bytes) -> str:
    """The statement's first word, upper-cased: `SELECT`, `INSERT`, `KILL`; or nothing."""
    return "".join(leading_words(sql, 1))


def is_query(sql: bytes) -> bool:
    """Whether the statement asks for rows by SELECT and may be sent in a stream."""
    return first_word(sql).encode() in _QUERY_HEADS


def output_format(sql: bytes, default: str) -> str:
    """The format that the statement asks for in its FORMAT clause, else `default`.

    >>> output_format(b"SELECT format FROM t FORMAT CSV SETTINGS max_threads = 1", "Native")
    'CSV'
    """
    tail = _TAIL_FORMAT.search(sql)
    if tail:
        return tail[1].decode()
    found = default
    if re.search(rb"\bFORMAT\b", sql, re.IGNORECASE):
        words = list(_words(sql))
        for at, word in enumerate(words[:-1]):
            closing = at + 2 == len(words) or words[at + 2].text in (b"SETTINGS", b"INTO")
            if word.text == b"FORMAT" and closing:
                found = sql[words[at + 1].start : words[at + 1].end].decode(errors="replace")
    return found


def without_format(sql: bytes) -> bytes:
    """The statement without its closing FORMAT clause."""
    return _TAIL_FORMAT.sub(b"", sql)


def split_insert(query: bytes, body: bytes) -> Insert | None:
    """Take an INSERT that carries data apart.

    Args:
        query: Statement of the URL; may be empty.
        body: Body of the request: data, or statement and data, or nothing.

    Returns:
        None if it is no INSERT or needs no data of ours (VALUES in the text, SELECT).

    Raises:
        Refusal: It reads from a file of the server's (48), or from `input()` (48).
    """
    head = query or body[:_HEAD_BYTES]
    if first_word(head) != "INSERT":
        return None
    place = _format_place(head)
    if place.kind == "inline":
        return None
    if place.kind == "none":
        if not (query and body):
            return None
        return Insert(query, "Values", memoryview(body))
    inline = memoryview(query or body)[place.data :]
    data = inline if not (query and body) else memoryview(bytes(inline) + body)
    return Insert(head[: place.end], place.format, data)


class _Place(NamedTuple):
    kind: str
    format: str = ""
    end: int = 0
    data: int = 0


def _format_place(head: bytes) -> _Place:
    """Where the FORMAT clause of an INSERT is, if it has one."""
    words = _words(head)
    for word in _after_table(words):
        if word.text in (b"VALUES", b"SELECT", b"WITH", b"WATCH"):
            return _Place("inline")
        if word.text == b"FROM":
            raise Refusal(48, "NOT_IMPLEMENTED", "FROM INFILE is not allowed over HTTP")
        if word.text == b"FORMAT":
            name = next(words, None)
            if name is None:
                break
            return _Place(
                "format",
                head[name.start : name.end].decode(errors="replace"),
                word.start,
                _data_start(head, name.end),
            )
    return _Place("none")


def _after_table(words: Iterator[_Word]) -> Iterator[_Word]:
    """What follows `INSERT [INTO] [TABLE] [FUNCTION] a.b`, whatever `a` and `b` are called."""
    next(words, None)  # INSERT
    word = next(words, None)
    for keyword in (b"INTO", b"TABLE", b"FUNCTION"):
        if word and word.text == keyword:
            word = next(words, None)
    expects_name = False
    for word in words:
        if expects_name or word.text == b".":
            expects_name = word.text == b"."
        else:
            yield word


def _data_start(head: bytes, end: int) -> int:
    """Data starts after the first newline, else after the blanks: ClickHouse's own rule."""
    while head[end : end + 1] in (b" ", b"\t", b"\f") and end < len(head):
        end += 1
    if head[end : end + 1] == b"\r":
        end += 1
    if head[end : end + 1] == b"\n":
        end += 1
    return end
