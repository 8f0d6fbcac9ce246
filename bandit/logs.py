"""Log lines: text for people, or one JSON object a line for machines; nothing secret in either.

An event has a stable name, and fields that its text is made from:

    tell(log, logging.WARNING, "snapshot_refused", "snapshot of %(policy)s: %(error)s", policy=…)

A line of a library, or one that was logged without a name, is called after where it comes from
(`journal.drain.step`). Whoever logs gives no unit id, no context and no body; of an error whose
text may hold some (`RecordError`, and whatever is not ours) only type and place are written.
"""

import copy
import logging
import re
import sys
import time
import traceback
from typing import IO, Literal

import msgspec

from bandit.errors import BanditError, RecordError

Format = Literal["text", "json"]

EVENTS = {
    "ballast_failed": "The ballast file can not be looked after; nothing depends on it.",
    "ballast_given_up": "The disk is full, and the room kept for that day was given up.",
    "bytes_set_aside": "A piece of a journal file holds no record, and was set aside.",
    "disk_level": "The disk became fuller or emptier than a level of its settings.",
    "drain_failed": "The journal, or one writer's, can not be drained now.",
    "ended": "A process was asked to end, and has.",
    "experiment_unusable": "An experiment can not be served as it is declared; it assigns nobody.",
    "give_up_failed": "What was set aside could not be given up; it is tried again.",
    "given_up_thrown_away": "A file of rows that were given up three months ago was removed.",
    "hosts_silent": "Other hosts than before have said nothing lately; nobody waits for them.",
    "journal_closed": "A worker's journal takes no records; decisions are answered unlogged.",
    "journal_open": "It takes records again.",
    "last_good_unkept": "What serves could not be kept on disk, for a start without the store.",
    "late_rows_left_out": "Rows came after an experiment's units were added up, and the log to do "
    "it again from has expired.",
    "learned": "What a learner did in the last ten seconds or so.",
    "learner_complains": "A policy can not be learned now, and why; said once.",
    "learner_outdated": "A learner knows an older definition than its snapshot; it waits.",
    "learner_resumed": "A learner goes on from a snapshot.",
    "learner_started": "A learner begins from scratch.",
    "lesson_refused": "A policy refused a decision to learn from; it counts as unseen.",
    "metrics_unwritten": "A process can not write its metrics; said once.",
    "numbers_lost": "Records of a writer are missing in its segments.",
    "outage_began": "The store, or a file, fails; said once, until `outage_over`.",
    "outage_over": "It works again.",
    "output": "A line that a child wrote by itself: a library, a traceback, a banner.",
    "policy_unusable": "A policy can not be run from disk or as declared.",
    "promotion_moved": "The ramp of a promotion went on, ended, or was taken back.",
    "promotion_stuck": "A step of a promotion could not be made: `error` says why; the next pass "
    "tries again.",
    "refresh_failed": "A worker could not look for news for a reason that is a bug.",
    "report_unkept": "The numbers of a report can not be kept, and why; said once.",
    "request_failed": "A request was answered 5xx; fields: `type`, `status`.",
    "request_refused": "A request was answered 4xx or 503 (debug); the same fields.",
    "rows_given_up": "Learners go on without rows that were set aside.",
    "rows_rejected": "ClickHouse refused rows; they were set aside.",
    "segment_damaged": "A segment has other records than its footer says.",
    "segment_unfooted": "A segment has no footer: nobody knows whether it held more.",
    "snapshot_published": "A learner published a snapshot (debug).",
    "snapshot_refused": "A snapshot failed its digest or canary and does not serve.",
    "snapshot_retrained": "A snapshot was learned again from the log (debug).",
    "snapshot_superseded": "Another learner of the policy was first; this one stands by.",
    "snapshot_unusable": "A snapshot can not be resumed from; the one before is tried.",
    "started": "A process begins its work.",
    "store_away": "ClickHouse does not answer; said once.",
    "store_back": "It answers again.",
    "stream_goes_on": "A stream of the log goes on.",
    "stream_stopped": "A stream of the log stands still: a number is missing for a minute.",
    "supervisor": "A child ended, was killed or is started again; or an address answers.",
    "torn_write": "A segment ends in a torn write: its writer was killed in the middle of one.",
    "unit_states_spoilt": "An experiment's units are added up from the log again: rows came late, "
    "or states are not those that were written.",
}
"""Names that lines are logged under, and what they mean; api/OBSERVABILITY.md has them all."""

_SECRETS = (
    (re.compile(r"(//[^/@:\s]*):[^/@\s]*@"), r"\1:***@"),
    (re.compile(r"\b(bandit_[0-9a-f]{8})_[A-Za-z0-9_-]{20,}"), r"\1_***"),
    (re.compile(r"(?i)\b(bearer|basic) +[A-Za-z0-9._~+/=-]{8,}"), r"\1 ***"),
)
_LONGEST = 2000
_TOO_CHATTY = ("urllib3", "clickhouse_connect", "opentelemetry")
"""Libraries that tell of each try what we tell once."""


def tell(
    log: logging.Logger,
    level: int,
    event: str,
    text: str,
    /,
    *,
    error: BaseException | None = None,
    **fields: object,
) -> None:
    """Log an event.

    Args:
        log: The caller's own logger.
        level: `logging.INFO` and so on.
        event: Its stable name, one of `EVENTS`.
        text: Made from the fields: `"snapshot of %(policy)s is refused"`.
        error: What was raised, to be told with where it was; `told` makes it fit for a log.
        fields: What differs between two such events. No unit ids, no bodies, no secrets.
    """
    given = (fields,) if fields else ()
    log.log(level, text, *given, exc_info=error, extra={"event": event}, stacklevel=2)


def event(name: str) -> dict[str, str]:
    """What gives a line of plain `logging` its name: `log.error(…, extra=event("drain_failed"))`.

    >>> event("drain_failed")
    {'event': 'drain_failed'}
    """
    return {"event": name}


def told(exc: BaseException) -> str:
    """What a log may say of an error: its text, unless that may quote what a client sent.

    >>> told(RecordError("unit_id is 'u-17', must be shorter - at `$.unit_id`"))
    'RecordError at $.unit_id'
    >>> told(OSError(28, "No space left"))
    'OSError: [Errno 28] No space left'
    """
    name = type(exc).__name__
    if isinstance(exc, RecordError):
        _, mark, place = str(exc).rpartition(" - at `")
        return f"{name} at {place.rstrip('`')}" if mark else name
    is_ours = isinstance(exc, BanditError)
    is_system = isinstance(exc, OSError) and not isinstance(exc, ValueError)
    return f"{name}: {exc}" if is_ours or is_system else name


def scrubbed(text: str) -> str:
    """A text without passwords in URLs, API keys and credentials of headers.

    >>> scrubbed("http://default:s3cret@host:8123 refused Bearer abcdefgh12345")
    'http://default:***@host:8123 refused Bearer ***'
    """
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `ts, level, process, pid, event, message, fields, error`."""

    def __init__(self, process: str) -> None:
        """Name the process.

        Args:
            process: `api`, `drain`, `learn` …
        """
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, object] = {
            "ts": _time(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "event": event_of(record),
            "message": _message(record),
            "fields": _fields(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = {"what": _clean(told(record.exc_info[1])), "at": _places(record)}
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """`time LEVEL process event: message`, and below it where an error was."""

    def __init__(self, process: str) -> None:
        """Name the process.

        Args:
            process: `api`, `drain`, `learn` …
        """
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; a line break inside it is shown escaped."""
        message = _message(record).replace("\r", "\\r").replace("\n", "\\n")
        head = f"{_time(record.created)} {record.levelname} {self._process} {event_of(record)}"
        lines = [f"{head}: {message}"]
        if record.exc_info and record.exc_info[1] is not None:
            what = _clean(told(record.exc_info[1])).replace("\n", "\\n")
            lines += [f"  {place}" for place in _places(record)] + [f"  {what}"]
        return "\n".join(lines)


def formatter(process: str, how: Format) -> logging.Formatter:
    """The formatter of a process."""
    return JsonFormatter(process) if how == "json" else TextFormatter(process)


class _Handler(logging.StreamHandler[IO[str]]):
    """Ours, to be told from those of whoever else logs here."""


def configure(process: str, *, level: str, how: Format, stream: IO[str] | None = None) -> None:
    """Log to standard error from now on; asked again, it replaces what it did.

    Args:
        process: What the lines call this process.
        level: `debug`, `info`, `warning` or `error`.
        how: `text` or `json`.
        stream: Another place.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(handler)
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(formatter(process, how))
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _TOO_CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)


def event_of(record: logging.LogRecord) -> str:
    """Its name, or else where it comes from."""
    given = getattr(record, "event", None)
    if isinstance(given, str):
        return given
    return f"{record.name.removeprefix('bandit.')}.{record.funcName}"


def wrapped(process: str, line: str, now_s: float, *, event: str = "output") -> str:
    """A line that some process wrote, as an object; one that is an object stays as it is.

    >>> wrapped("dashboard", "You can now view it", 0.0)
    '{"ts":"1970-01-01T00:00:00.000Z","level":"info","process":"dashboard",...}'
    """
    if line.startswith("{") and line.endswith("}"):
        return line
    record = logging.makeLogRecord(
        {"msg": "%s", "args": (line,), "created": now_s, "levelname": "INFO", "event": event}
    )
    record.process = None
    return JsonFormatter(process).format(record)


def _time(seconds: float) -> str:
    whole, ms = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{ms:03}Z"


def _message(record: logging.LogRecord) -> str:
    if isinstance(record.args, tuple) and any(isinstance(a, BaseException) for a in record.args):
        record = copy.copy(record)
        record.args = tuple(
            told(arg) if isinstance(arg, BaseException) else arg for arg in record.args or ()
        )
    try:
        return _clean(record.getMessage())
    except (TypeError, ValueError, KeyError):  # a text and fields that do not fit
        return _clean(str(record.msg))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    if not isinstance(record.args, dict):
        return {}
    return {str(name): _value(value) for name, value in record.args.items()}


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    return _clean(told(value) if isinstance(value, BaseException) else str(value))


def _places(record: logging.LogRecord) -> list[str]:
    """Where an error came through, outermost first."""
    trace = record.exc_info[2] if record.exc_info else None
    return [f"{at.filename}:{at.lineno} in {at.name}" for at in traceback.extract_tb(trace)][-20:]


def _clean(text: str) -> str:
    whole = scrubbed(text).encode("utf-8", "replace").decode()
    return whole if len(whole) <= _LONGEST else f"{whole[:_LONGEST]}…"
