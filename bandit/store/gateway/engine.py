"""The only module that knows chDB: one directory, one engine, many handles.

A handle has settings, a current database and temporary tables of its own, runs one statement at
a time and costs 0.07 ms to make: every request gets a fresh one, so nothing leaks between them.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from bandit.errors import StoreUnavailable
from bandit.store.gateway.refusal import Refusal

_CONFIG = """<clickhouse>
  <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>
  <mark_cache_size>{mark_cache_bytes}</mark_cache_size>
  <index_mark_cache_size>{mark_cache_bytes}</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <tmp_path>{tmp}</tmp_path>
  <storage_configuration><disks><default>
    <keep_free_space_bytes>{keep_free_bytes}</keep_free_space_bytes>
  </default></disks></storage_configuration>
</clickhouse>
"""
# Formats that chDB's Python layer would turn into Python objects instead of bytes.
_PYTHON_FORMATS = frozenset({"arrowtable", "dataframe", "datastore"})


class Limits(NamedTuple):
    """What the engine may use; its own defaults are 0.9 of the memory and 5 GB of caches."""

    memory_bytes: int = 2 << 30
    mark_cache_bytes: int = 128 << 20
    keep_free_bytes: int = 32 << 20
    """With less free space nothing is inserted (code 243) or merged: a merge that meets a full disk
    half-way can leave a part without its marks (chDB 26.9), which nobody can read."""


class Answer(NamedTuple):
    """A finished statement: its output and ClickHouse's summary of it."""

    data: bytes
    summary: dict[str, str]


class Kind(NamedTuple):
    """What the engine's parser says a statement does."""

    reads_only: bool
    controls: bool
    statements_n: int


class Stream:
    """The output of a running query, piece by piece."""

    def __init__(self, raw: Any, result: Any) -> None:
        self._raw = raw
        self._result = result
        self._done = False
        self._counts = dict.fromkeys(
            ("read_rows", "read_bytes", "result_rows", "result_bytes", "elapsed_ns"), 0
        )

    @property
    def summary(self) -> dict[str, str]:
        """ClickHouse's summary of what was fetched so far."""
        return {name: str(count) for name, count in self._counts.items()}

    def fetch(self) -> bytes | None:
        """The next piece, or None at the end.

        Raises:
            Refusal: The query failed on its way.
        """
        if self._done:
            return None
        with _refusing():
            self._done = True  # unless it goes well
            piece = self._raw.streaming_fetch_result(self._result)
            self._done = piece is None or piece.rows_read() == 0
            if self._done:
                return None
            data = bytes(piece.bytes())
            self._counts["read_rows"] += piece.storage_rows_read()
            self._counts["read_bytes"] += piece.storage_bytes_read()
            self._counts["result_rows"] += piece.rows_read()
            self._counts["result_bytes"] += len(data)
            self._counts["elapsed_ns"] += int(piece.elapsed() * 1e9)
            return data

    def close(self) -> None:
        """Stop the query, if it still runs."""
        if not self._done:
            self._done = True
            with suppress(Exception):
                self._raw.streaming_cancel_query(self._result)


class Handle:
    """One connection to the engine: one statement at a time."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def run(self, sql: bytes, fmt: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """Run a statement to its end.

        Raises:
            Refusal: The engine refuses it.
        """
        _check_format(fmt)
        with _refusing():
            result = self._raw.query(sql, fmt, params=dict(parameters or {}))
            data = bytes(result.bytes() or b"")
            summary = {
                "read_rows": str(result.storage_rows_read()),
                "read_bytes": str(result.storage_bytes_read()),
                "written_rows": str(result.rows_written()),
                "written_bytes": str(result.bytes_written()),
                "result_rows": str(result.rows_read()),
                "result_bytes": str(len(data)),
                "elapsed_ns": str(int(result.elapsed() * 1e9)),
            }
        return Answer(data, summary)

    def stream(self, sql: bytes, fmt: str, parameters: Mapping[str, str]) -> Stream:
        """Start a query whose output is fetched piece by piece."""
        _check_format(fmt)
        with _refusing():
            return Stream(self._raw, self._raw.send_query(sql, fmt, params=dict(parameters)))

    def insert(self, statement: bytes, fmt: str, data: memoryview) -> Answer:
        """Insert `data`, which is in format `fmt`: all of it or nothing.

        Args:
            statement: `INSERT INTO …` without a FORMAT clause.
            fmt: Any input format of ClickHouse's.
            data: Rows in that format; may be empty.
        """
        with _refusing():
            inserter = self._raw.send_insert(statement, fmt)
            try:
                if len(data):
                    self._raw.insert_append(inserter, bytes(data))
                result = self._raw.insert_done(inserter)
            except BaseException:
                with suppress(Exception):
                    self._raw.insert_cancel(inserter)
                raise
            rows, size = str(result.rows_written()), str(result.bytes_written())
            elapsed = str(int(result.elapsed() * 1e9))
        return Answer(b"", {"written_rows": rows, "written_bytes": size, "elapsed_ns": elapsed})

    def kind(self, sql: bytes) -> Kind:
        """What `sql` would do, without running it."""
        with _refusing():
            found = self._raw.classify_query(sql)
        kind = str(found["query_class"])
        return Kind(kind.endswith("READ_ONLY"), kind.endswith("CONTROL"), found["statement_count"])

    def set(self, settings: Mapping[str, str]) -> None:
        """Set settings of this handle."""
        if settings:
            pairs = ", ".join(f"{name} = {quote(value)}" for name, value in settings.items())
            self.run(f"SET {pairs}".encode(), "TSV")

    def use(self, database: str) -> None:
        """Make `database` the current one."""
        self.run(f"USE {quote_name(database)}".encode(), "TSV")

    def text(self, sql: str) -> str:
        """The output of a small statement, as raw tab-separated text."""
        return self.run(sql.encode(), "TSVRaw").data.decode(errors="replace").rstrip("\n")

    def close(self) -> None:
        """Give the handle back; harmless if it was."""
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(Exception):
                raw.close()


class Engine:
    """The engine of one directory; this process owns that directory while it is open."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.directory = directory.resolve()
        self.version = ""
        self.timezone = ""
        self._limits = limits
        self._keeper: Handle | None = None

    def start(self) -> None:
        """Open the directory, making it if need be.

        chDB is imported here: imported before a fork, it would hang the child.

        Raises:
            StoreUnavailable: Another process owns the directory, or it can not be opened.
        """
        if "?" in str(self.directory):
            raise StoreUnavailable(f"{self.directory}: the path must not hold a '?'")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            config = self._write_config()
        except OSError as exc:
            raise StoreUnavailable(f"{self.directory} can not be used: {exc}") from exc
        if _is_locked(self.directory / "status"):
            raise StoreUnavailable(f"{self.directory} is in use by another process")
        self._connect = _import_chdb()
        try:
            self._keeper = Handle(self._connect(f"{self.directory}?config-file={config}"))
            self.version = self._keeper.text("SELECT version()")
            self.timezone = self._keeper.text("SELECT timezone()")
        except (RuntimeError, Refusal) as exc:
            why = Refusal.from_engine(exc).text
            if _is_locked(self.directory / "status"):  # somebody was quicker
                why = "it is in use by another process"
            raise StoreUnavailable(f"{self.directory} can not be opened: {why}") from exc

    def open(self) -> Handle:
        """A fresh handle."""
        with _refusing():
            return Handle(self._connect(str(self.directory)))

    def kill(self, where: str) -> None:
        """Kill the running statements that match `where`, without waiting for them."""
        handle = self.open()
        try:
            handle.run(f"KILL QUERY WHERE {where} ASYNC".encode(), "TSV")
        finally:
            handle.close()

    def close(self) -> None:
        """Close the engine; every other handle must be closed by now."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    def _write_config(self) -> Path:
        path = self.directory / "gateway.xml"
        text = _CONFIG.format(tmp=escape(f"{self.directory}/tmp/"), **self._limits._asdict())
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(path)
        return path


def quote(value: str) -> str:
    r"""A ClickHouse string literal.

    >>> print(quote("it's"))
    'it\'s'
    """
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """A quoted ClickHouse name."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever chDB raises into a `Refusal`: the one border to it."""
    try:
        yield
    except (RuntimeError, TypeError, AttributeError) as exc:
        raise Refusal.from_engine(exc) from exc


def _check_format(fmt: str) -> None:
    if fmt.lower() in _PYTHON_FORMATS:
        raise Refusal(73, "UNKNOWN_FORMAT", f"Unknown format {fmt}")


def _is_locked(status: Path) -> bool:
    """Whether a living process holds the engine's own lock file."""
    try:
        with status.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _import_chdb() -> Callable[[str], Any]:
    # chdb loads its library its own way, so it must come before the submodule.
    import chdb  # noqa: F401
    from chdb import _chdb

    connect: Callable[[str], Any] = getattr(_chdb, "connect")  # its stub forgets it  # noqa: B009
    return connect
