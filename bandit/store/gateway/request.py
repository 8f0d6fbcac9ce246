"""What a client asked for: HTTP's parts in ClickHouse's meaning."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import msgspec

from bandit.store.gateway.refusal import Refusal

# Query parameters of the HTTP interface; every other one is a setting.
# Source: ClickHouse, src/Server/HTTPHandler.cpp (`reserved_param_names`).
_RESERVED = frozenset(
    [
        "query",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "wait_end_of_query",
        "buffer_size",
        "compress",
        "decompress",
        "user",
        "password",
        "quota_key",
        "role",
        "client_protocol_version",
        "stacktrace",
        "close_session",
        "enable_http_compression",
        "http_write_exception_in_output_format",
    ]
)
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SUFFIXES = ("format", "structure", "types")


class Credentials(NamedTuple):
    """Who the client says it is."""

    user: str
    password: str


class ExternalTable(NamedTuple):
    """A table sent along with a query."""

    name: str
    structure: str
    format: str
    data: bytes


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One statement and everything that came with it."""

    query: bytes
    body: bytes
    parameters: dict[str, str]
    settings: dict[str, str]
    external: tuple[ExternalTable, ...]
    user: str
    query_id: str
    read_only_method: bool
    database: str = ""
    default_format: str = "TabSeparated"
    accept_encoding: str = ""
    buffered: bool = False
    session_id: str = ""
    session_timeout_s: int = 60
    session_check: bool = False


def parse_url(query_string: bytes) -> dict[str, str]:
    """The URL's parameters; the last one of a name counts.

    Raises:
        Refusal: They are not UTF-8, or too many.
    """
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=10_000,
        )
    except ValueError as exc:  # UnicodeDecodeError is one too
        raise Refusal(36, "BAD_ARGUMENTS", f"the URL's parameters can not be read: {exc}") from exc
    return dict(pairs)


def credentials(headers: Mapping[str, str], url: Mapping[str, str]) -> Credentials:
    """Who asks, by `Authorization: Basic`, the X-ClickHouse headers, or the URL.

    Raises:
        Refusal: The Authorization header is not Basic or not readable (516).
    """
    given = headers.get("authorization", "")
    if not given:
        return Credentials(
            headers.get("x-clickhouse-user") or url.get("user") or "default",
            headers.get("x-clickhouse-key") or url.get("password") or "",
        )
    scheme, _, encoded = given.partition(" ")
    try:
        plain = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        plain = ""
    user, colon, password = plain.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise Refusal(
            516,
            "AUTHENTICATION_FAILED",
            "Authorization must be `Basic` and base64 of user:password",
        )
    return Credentials(user, password)


def decode(
    *,
    method: str,
    headers: Mapping[str, str],
    url: Mapping[str, str],
    body: bytes,
    user: str,
    new_id: str,
) -> Request:
    """Sort what came into a `Request`.

    Args:
        method: `GET` may only read.
        headers: Lower-case names.
        url: Parameters of the URL.
        body: Body without its content encoding.
        user: Who was authenticated.
        new_id: Query id, unless the client chose one.

    Raises:
        Refusal: A parameter that is not what it must be.
    """
    given = dict(url)
    external: tuple[ExternalTable, ...] = ()
    content_type = headers.get("content-type", "")
    if content_type.lower().startswith("multipart/form-data"):
        fields, files = _multipart(content_type, body)
        given.update(fields)
        external = tuple(_external(name, data, given) for name, data in files.items())
        for name in files:
            for suffix in _SUFFIXES:
                given.pop(f"{name}_{suffix}", None)
        body = b""
    for name in ("compress", "decompress"):
        if given.get(name, "0") not in ("0", "false", ""):
            raise Refusal(48, "NOT_IMPLEMENTED", f"{name}=1 is not spoken here, use HTTP encodings")
    return Request(
        query=given.get("query", "").encode(),
        body=body,
        parameters={k[6:]: v for k, v in given.items() if k.startswith("param_")},
        settings=_settings(given),
        external=external,
        user=user,
        query_id=given.get("query_id") or new_id,
        read_only_method=method in ("GET", "HEAD"),
        database=given.get("database", "") or headers.get("x-clickhouse-database", ""),
        default_format=given.get("default_format")
        or headers.get("x-clickhouse-format")
        or "TabSeparated",
        accept_encoding=headers.get("accept-encoding", "")
        if given.get("enable_http_compression", "0") in ("1", "true")
        else "",
        buffered=given.get("wait_end_of_query", "0") in ("1", "true"),
        session_id=given.get("session_id", ""),
        session_timeout_s=_seconds(given.get("session_timeout", "60")),
        session_check=given.get("session_check", "0") in ("1", "true"),
    )


def _settings(given: Mapping[str, str]) -> dict[str, str]:
    settings = {k: v for k, v in given.items() if k not in _RESERVED and not k.startswith("param_")}
    for name in settings:
        if not _SETTING.match(name):
            raise Refusal(115, "UNKNOWN_SETTING", f"Setting {name!r} is neither known nor a name")
    return settings


def _seconds(text: str) -> int:
    """A session's time-out; a day at most."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) <= 86_400:
        raise Refusal(
            374, "INVALID_SESSION_TIMEOUT", f"session_timeout is {text!r}, must be in 1..86400", 400
        )
    return int(text)


def _external(name: str, data: bytes, given: Mapping[str, str]) -> ExternalTable:
    structure = given.get(f"{name}_structure", "")
    if types := given.get(f"{name}_types", ""):
        structure = ", ".join(f"_{at} {kind}" for at, kind in enumerate(types.split(","), 1))
    if not _IDENTIFIER.match(name) or not structure:
        raise Refusal(
            36,
            "BAD_ARGUMENTS",
            f"external table {name!r} needs a plain name and a structure or types",
        )
    return ExternalTable(name, structure, given.get(f"{name}_format") or "TabSeparated", data)


def _multipart(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Fields and files of a form: no nesting, no transfer encodings, as RFC 7578 has it."""
    found = re.search(r'boundary="?([^";]{1,200})"?', content_type)
    if not found:
        raise Refusal(36, "BAD_ARGUMENTS", "multipart/form-data without a boundary")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    parts = (b"\r\n" + body).split(b"\r\n--" + found[1].encode())
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise Refusal(36, "BAD_ARGUMENTS", "multipart/form-data has no closing boundary")
    for part in parts[1:-1]:
        head, blank, data = part.partition(b"\r\n\r\n")
        name = re.search(rb'[;\s]name="([^"]*)"', head)
        if not blank or not name:
            raise Refusal(36, "BAD_ARGUMENTS", "a part of the form has no name")
        try:
            key = name[1].decode()
            if re.search(rb"[;\s]filename\*?=", head):
                files[key] = data
            else:
                fields[key] = data.decode()
        except UnicodeDecodeError as exc:
            raise Refusal(36, "BAD_ARGUMENTS", f"a field of the form is not UTF-8: {exc}") from exc
    return fields, files
