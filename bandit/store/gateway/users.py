"""Who may do what: passwords, and the fence around the read-only user."""

import hashlib
import hmac
import re
from collections.abc import Mapping

import msgspec

from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.request import Credentials, Request

# What readonly=1 alone lets through, found by trying (chDB 26.9): the scalar function `file`,
# the table function `eval` that runs SQL from a string, `Python`, and functions that call out.
_FENCED = re.compile(
    r"\b(file|eval|python|outfile|ai_?(?:generate|embed|classify|extract|filter|redact|translate"
    r"|similarity))\b",
    re.IGNORECASE | re.ASCII,
)
# `\N` is nothing and `\x66` is f inside a quoted name: `fi\Nle`(…) is a call of file.
_ESCAPE = re.compile(r"\\(?:N|x([0-9A-Fa-f]{2}))")
# Settings that only bound or shape an answer. Others can name files to read or to write
# (format_template_row, output_format_schema), so a reader may not choose them.
_READER_SETTINGS = re.compile(
    r"(max_\w+|min_\w+|timeout_overflow_mode|result_overflow_mode|read_overflow_mode|final"
    r"|join_use_nulls|session_timezone|date_time_output_format|use_query_cache|log_comment"
    r"|output_format_(json|native|arrow|tsv|csv|pretty)_\w+|http_\w+|send_progress_in_http_headers"
    r"|cancel_http_readonly_queries_on_client_close|priority|select_sequential_consistency"
    r"|distributed_product_mode|readonly|extremes)\Z"
)
# A parameter of type Identifier can name a function: arrayMap({f:Identifier}, ['/etc/passwd']).
_NAME_PARAMETER = re.compile(r"\{\s*(\w+)\s*:\s*Identifier\s*\}", re.IGNORECASE)
_NAME_TYPE = re.compile(r"\bIdentifier\b", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.]*\Z")
_DESCRIBE_CALL = re.compile(r"\A\s*DESC(RIBE)?\b[^(]*\(", re.IGNORECASE)


class User(msgspec.Struct, frozen=True):
    """A name, the digest of its password (None: any password will do), and its rights."""

    name: str
    password_digest: bytes | None
    read_only: bool = False

    @classmethod
    def with_password(cls, name: str, password: str | None, *, read_only: bool = False) -> "User":
        """A user who must know `password`; None lets anybody in."""
        digest = None if password is None else hashlib.sha256(password.encode()).digest()
        return cls(name, digest, read_only)


def authenticate(users: Mapping[str, User], given: Credentials) -> User:
    """The user behind `given`; takes the same time for a wrong name and a wrong password.

    Raises:
        Refusal: AUTHENTICATION_FAILED (516).
    """
    user = users.get(given.user)
    digest = hashlib.sha256(given.password.encode(errors="surrogatepass")).digest()
    expected = b"" if user is None else user.password_digest
    if expected is not None and not hmac.compare_digest(expected, digest):
        raise Refusal(
            516,
            "AUTHENTICATION_FAILED",
            f"{given.user}: Authentication failed: password is incorrect, or there is no user with"
            " such name",
        )
    assert user is not None  # no digest equals b""
    return user


def check_reader(request: Request, sql: bytes) -> None:
    """Refuse what the engine's own readonly=1 would let a read-only user do.

    Raises:
        Refusal: READONLY (164) with what was wrong.
    """
    for name in request.settings:
        if not _READER_SETTINGS.match(name):
            raise read_only_refusal(f"Cannot modify {name!r} setting")
    if request.external:
        raise read_only_refusal("Cannot send external tables")
    text = sql.decode("utf-8", "replace")
    decoded = _ESCAPE.sub(lambda found: chr(int(found[1] or "0", 16)) if found[1] else "", text)
    texts = [text, decoded]
    names = [request.parameters.get(name, "") for name in _NAME_PARAMETER.findall(text)]
    if len(names) != len(_NAME_TYPE.findall(text)) or not all(map(_PLAIN_NAME.match, names)):
        raise read_only_refusal("Cannot use such an Identifier")
    texts += names
    for found in filter(None, map(_FENCED.search, texts)):
        raise read_only_refusal(f"Cannot use the word {found[0]!r}")
    if _DESCRIBE_CALL.match(text):
        raise read_only_refusal("Cannot describe anything but a table")


def read_only_refusal(what: str) -> Refusal:
    """READONLY, as the engine words it."""
    return Refusal(164, "READONLY", f"{what} in readonly mode")
