"""Log lines: one event a line, in a shape that machines read, without what nobody may read."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest

from bandit import logs
from bandit.errors import RecordError, StoreUnavailable
from bandit.logs import JsonFormatter, TextFormatter, configure, tell

KEY = "bandit_0123abcd_" + "k" * 43


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged, as JSON."""
    root = logging.getLogger()
    level = root.level
    lines = io.StringIO()
    configure("drain", level="debug", how="json", stream=lines)
    yield lines
    for handler in [h for h in root.handlers if isinstance(h, logs._Handler)]:
        root.removeHandler(handler)
    root.setLevel(level)


def only(lines: io.StringIO) -> dict[str, object]:
    (line,) = lines.getvalue().splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_an_event_is_one_object_with_its_fields(stream: io.StringIO) -> None:
    log = logging.getLogger("bandit.service.refreshing")
    tell(log, logging.ERROR, "snapshot_refused", "%(policy)s@%(number)d", policy="p", number=7)
    line = only(stream)
    assert {
        "level": "error",
        "process": "drain",
        "event": "snapshot_refused",
    }.items() <= line.items()
    assert line["message"] == "p@7"
    assert line["fields"] == {"policy": "p", "number": 7}
    assert str(line["ts"]).endswith("Z")


def test_a_line_without_a_name_is_called_after_where_it_comes_from(stream: io.StringIO) -> None:
    logging.getLogger("bandit.journal.drain").warning("%d rows", 3)
    assert only(stream)["event"] == (
        "journal.drain.test_a_line_without_a_name_is_called_after_where_it_comes_from"
    )


def test_an_error_is_told_with_its_place_and_without_what_a_client_sent(
    stream: io.StringIO,
) -> None:
    log = logging.getLogger("bandit")
    for exc in (RecordError("unit_id is 'u-secret'"), KeyError("u-secret")):
        try:
            raise exc
        except Exception as caught:
            tell(log, logging.ERROR, "request_failed", "a request failed", error=caught)
    assert "u-secret" not in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()


def test_an_error_of_ours_is_told_in_its_own_words(stream: io.StringIO) -> None:
    error = StoreUnavailable("connection refused")
    tell(logging.getLogger("bandit"), logging.WARNING, "store_away", "%(error)s", error=None)
    stream.truncate(0)
    stream.seek(0)
    tell(logging.getLogger("bandit"), logging.WARNING, "store_away", "%(why)s", why=error)
    assert only(stream)["fields"] == {"why": "StoreUnavailable: connection refused"}


@pytest.mark.parametrize(
    "text",
    ["http://default:hunter2@host:8123/", KEY, "Authorization: Bearer hunter2hunter2"],
)
@pytest.mark.parametrize("how", [JsonFormatter("api"), TextFormatter("api")])
def test_no_secret_is_written(how: logging.Formatter, text: str) -> None:
    record = logging.makeLogRecord({"msg": "%(url)s", "args": {"url": text}, "event": "x"})
    assert "hunter2" not in how.format(record)
    assert "kkkk" not in how.format(record)


@pytest.mark.parametrize(
    "text", ["two\nlines", "\ud800", "\x00", "%s %(missing)s", "x" * 100_000, "é漢"]
)
def test_whatever_is_logged_is_one_line_of_utf_8(text: str) -> None:
    record = logging.makeLogRecord(
        {"msg": text, "args": {"a": text, "n": 10**400, "nan": float("nan")}, "event": "x"}
    )
    line = JsonFormatter("api").format(record)
    assert "\n" not in line
    assert len(line) < 20_000
    assert json.loads(line)["event"] == "x"
    assert "\n" not in TextFormatter("api").format(record)


def test_text_tells_time_level_process_and_event() -> None:
    record = logging.makeLogRecord(
        {"msg": "gone", "levelname": "WARNING", "created": 0.5, "event": "store_away"}
    )
    line = TextFormatter("learn").format(record)
    assert line == "1970-01-01T00:00:00.500Z WARNING learn store_away: gone"


def test_what_a_child_writes_by_itself_is_wrapped_once() -> None:
    line = logs.wrapped("dashboard", "Traceback …", 0.0)
    assert json.loads(line)["message"] == "Traceback …"
    assert json.loads(line)["process"] == "dashboard"
    assert logs.wrapped("up", line, 1.0) == line


def test_configuring_twice_writes_once(stream: io.StringIO) -> None:
    configure("drain", level="info", how="json", stream=stream)
    tell(logging.getLogger("bandit"), logging.INFO, "started", "here")
    assert only(stream)["event"] == "started"
