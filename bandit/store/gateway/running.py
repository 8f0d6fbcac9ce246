"""Run one request on a handle; everything here blocks and belongs into a thread."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from bandit.store.gateway.engine import Answer, Engine, Handle, Stream, quote, quote_name
from bandit.store.gateway.native import empty_result
from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.request import Request
from bandit.store.gateway.sessions import Lease, Sessions
from bandit.store.gateway.statement import (
    Insert,
    first_word,
    is_query,
    leading_words,
    output_format,
    split_insert,
)
from bandit.store.gateway.users import User, check_reader, read_only_refusal

# Formats whose pieces can be put one after the other; of any other, each piece is a document.
_STREAMABLE = frozenset(
    {"Native", "TabSeparated", "TSV", "TSVRaw", "CSV", "RowBinary", "JSONEachRow"}
)
_FOOTER = re.compile(rb"\b(TOTALS|EXTREMES)\b", re.IGNORECASE)
# `wait_end_of_query` waits for this much of the result, so that errors have their status.
_BUFFER_BYTES = 8 << 20
# The engine signals its whole process group: a supervisor and all that it runs.
_DEADLY = [["SYSTEM", word] for word in ("SHUTDOWN", "KILL", "SUSPEND")]
# Where chDB's defaults differ from a server's.
_AS_ON_A_SERVER = {"implicit_select": "0", "allow_introspection_functions": "0"}
_KILL_BY_ID = re.compile(
    rb"\A(\s*KILL\s+QUERY\s+WHERE\s+)query_id\s*=\s*('(?:[^'\\]|\\.)*')", re.IGNORECASE
)


class Outcome(NamedTuple):
    """What a statement gave: an answer in full, or its first piece and the stream it comes from."""

    format: str | None
    answer: Answer
    stream: Stream | None = None
    first: bytes | None = None


class Run:
    """One request from its handle to its end. `finish` must be called, whatever happens."""

    def __init__(self, engine: Engine, sessions: Sessions, user: User, request: Request) -> None:
        self._engine = engine
        self._sessions = sessions
        self._user = user
        self._request = request
        self._on_end: list[Callable[[], None]] = []
        self.insert = split_insert(request.query, request.body)
        joint = b"\n" if request.query and request.body else b""
        self.sql = self.insert.statement if self.insert else request.query + joint + request.body

    @property
    def is_insert(self) -> bool:
        """Whether it belongs to the threads for inserts."""
        return self.insert is not None or first_word(self.sql) == "INSERT"

    @property
    def is_open(self) -> bool:
        """Whether `finish` has something to give back."""
        return bool(self._on_end)

    def start(self) -> Outcome:
        """Run it, or get it going far enough to know that it is a stream of rows.

        Raises:
            Refusal: It may not be run, or failed.
        """
        outcome = self._started()
        if outcome.stream is None:
            self.finish()
        return outcome

    def _started(self) -> Outcome:
        handle = self._open()
        self._check(handle)
        self._prepare(handle)
        if self.insert:
            return self._insert(handle, self.insert)
        sql = _KILL_BY_ID.sub(_kill_by_tag, self.sql)
        fmt = output_format(sql, self._request.default_format)
        if fmt in _STREAMABLE and is_query(sql) and not self._has_footer(sql):
            return self._query(handle, sql, fmt)
        answer = handle.run(sql, fmt, self._request.parameters)
        if self._is_empty:  # nothing but comments, or a zero byte before anything else
            raise Refusal(62, "SYNTAX_ERROR", "Syntax error: empty query")
        return Outcome(fmt if answer.data or is_query(sql) else None, answer)

    def _query(self, handle: Handle, sql: bytes, fmt: str) -> Outcome:
        """Rows: an answer in full if they are few, else a stream; memory is bounded either way."""
        stream = handle.stream(sql, fmt, self._request.parameters)
        self._on_end.append(stream.close)
        piece = stream.fetch()
        pieces = []
        size = 0
        while piece is not None:
            pieces.append(piece)
            size += len(piece)
            if size > (_BUFFER_BYTES if self._request.buffered else 0):
                return Outcome(fmt, Answer(b"", stream.summary), stream, b"".join(pieces))
            piece = stream.fetch()
        data = b"".join(pieces)
        if fmt == "Native" and not data:
            stream.close()
            data = empty_result(handle, sql, self._request)
        return Outcome(fmt, Answer(data, stream.summary))

    def _has_footer(self, sql: bytes) -> bool:
        """Whether totals or extremes follow the rows: chDB leaves them out of a stream."""
        return "extremes" in self._request.settings or _FOOTER.search(sql) is not None

    def finish(self) -> None:
        """Give everything back, last taken first."""
        while self._on_end:
            with suppress(Exception):
                self._on_end.pop()()

    def _open(self) -> Handle:
        request = self._request
        self._sessions.expire()
        # A reader has no temporary tables, and readonly=1 could never be taken off its session.
        if not request.session_id or self._user.read_only:
            handle = self._engine.open()
            self._on_end.append(handle.close)
            return handle
        if "readonly" in request.settings:
            raise Refusal(
                36, "BAD_ARGUMENTS", "readonly can not be set for one request of a session"
            )
        key = (self._user.name, request.session_id)
        handle = self._sessions.borrow(key, must_exist=request.session_check)
        lease = Lease(self._sessions, key, handle, request.session_timeout_s)
        self._on_end.append(lease.end)
        lease.remember((*request.settings, "log_comment"))
        return handle

    def _check(self, handle: Handle) -> None:
        kind = handle.kind(self.sql)
        if kind.statements_n > 1:
            raise Refusal(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
        if self._user.read_only:
            check_reader(self._request, self.sql)
            if not kind.statements_n and not self.insert:
                raise Refusal(62, "SYNTAX_ERROR", "Syntax error: the statement can not be parsed")
        may_write = not (self._user.read_only or self._request.read_only_method)
        # What does not parse is left to the engine, which says where.
        parses = kind.statements_n > 0 or self.insert is not None
        self._is_empty = not parses
        if parses and not kind.reads_only and not may_write:
            raise read_only_refusal("Cannot execute query")
        if leading_words(self.sql, 2) in _DEADLY:
            raise Refusal(48, "NOT_IMPLEMENTED", "The gateway is stopped by SIGTERM only")
        if kind.controls and is_query(self.sql):
            raise Refusal(48, "NOT_IMPLEMENTED", "INTO OUTFILE is not allowed over HTTP")

    def _prepare(self, handle: Handle) -> None:
        request = self._request
        settings = dict(request.settings)
        read_only = "1" if self._user.read_only else settings.pop("readonly", "")
        settings.pop("readonly", None)
        # The engine gives ids of its own; this is how a client's id finds its query.
        settings["log_comment"] = request.query_id
        handle.set({**_AS_ON_A_SERVER, **settings})
        if self.insert and request.parameters:
            for name, value in request.parameters.items():
                handle.run(f"SET {quote_name('param_' + name)} = {quote(value)}".encode(), "TSV")
        if request.database:
            handle.use(request.database)
        for table in request.external:
            name = quote_name(table.name)
            handle.run(f"CREATE TEMPORARY TABLE {name} ({table.structure})".encode(), "TSV")
            self._on_end.append(partial(_drop, handle, name))
            handle.insert(f"INSERT INTO {name}".encode(), table.format, memoryview(table.data))
        if read_only:
            handle.set({"readonly": read_only})

    def _insert(self, handle: Handle, insert: Insert) -> Outcome:
        return Outcome(None, handle.insert(insert.statement, insert.format, insert.data))


def _drop(handle: Handle, name: str) -> None:
    handle.run(f"DROP TABLE {name}".encode(), "TSV")


def _kill_by_tag(found: re.Match[bytes]) -> bytes:
    """`query_id = 'x'` in the client's sense: its id is in the query's log_comment."""
    mark, value = found[1], found[2]
    return mark + b"(query_id = " + value + b" OR Settings['log_comment'] = " + value + b")"
