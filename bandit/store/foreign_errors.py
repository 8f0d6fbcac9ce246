"""The border: every error of the driver or of ClickHouse becomes one of ours here.

| what came | becomes |
| --- | --- |
| a ClickHouse error whose code is in `CUT` | `QueryCut`, which is a `StoreUnavailable` |
| a ClickHouse error whose code is in `NOT_NOW` | `StoreUnavailable` |
| any other ClickHouse error code | `StoreRejected` |
| no code: what `WITHOUT_CODE` says of its type | |

`StoreUnavailable` means that nothing is wrong with the statement: the same one may succeed once
somebody has started, migrated, unlocked or relieved the store. `StoreRejected` means that it never
will.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from clickhouse_connect.driver import exceptions as driver
from urllib3.exceptions import HTTPError

from bandit.errors import QueryCut, StoreError, StoreRejected, StoreUnavailable

CUT: dict[int, str] = {
    159: "TIMEOUT_EXCEEDED",
    241: "MEMORY_LIMIT_EXCEEDED",
}
"""Codes of what took more than it may: asked for less, or when less is going on, it may not."""

NOT_NOW: dict[int, str] = {
    # Not ready, or not open to us: the outcome is known, the statement is not at fault.
    60: "UNKNOWN_TABLE",
    81: "UNKNOWN_DATABASE",
    192: "UNKNOWN_USER",
    193: "WRONG_PASSWORD",
    194: "REQUIRED_PASSWORD",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
    # Overloaded, or out of something.
    160: "TOO_SLOW",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    439: "CANNOT_SCHEDULE_TASK",
    745: "SERVER_OVERLOADED",
    # Files and sockets of the server.
    74: "CANNOT_READ_FROM_FILE_DESCRIPTOR",
    75: "CANNOT_WRITE_TO_FILE_DESCRIPTOR",
    76: "CANNOT_OPEN_FILE",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    425: "SYSTEM_ERROR",
    # Stopping, starting, cancelled.
    236: "ABORTED",
    394: "QUERY_WAS_CANCELLED",
    733: "TABLE_IS_BEING_RESTARTED",
    # Replicas and their keeper.
    225: "NO_ZOOKEEPER",
    242: "TABLE_IS_READ_ONLY",
    244: "UNEXPECTED_ZOOKEEPER_ERROR",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    289: "REPLICA_IS_NOT_IN_QUORUM",
    319: "UNKNOWN_STATUS_OF_INSERT",
    999: "KEEPER_EXCEPTION",
    # Errors of libraries inside the server, which name no cause.
    1000: "POCO_EXCEPTION",
    1001: "STD_EXCEPTION",
    1002: "UNKNOWN_EXCEPTION",
}
"""ClickHouse's error codes that a later try may not meet."""

WITHOUT_CODE: dict[type[Exception], type[StoreError]] = {
    driver.OperationalError: StoreUnavailable,  # refused, reset, timed out
    driver.StreamFailureError: StoreUnavailable,  # the answer broke off
    driver.DatabaseError: StoreUnavailable,  # an HTTP status without ClickHouse's header: a proxy
    driver.Error: StoreUnavailable,
    driver.ClickHouseError: StoreUnavailable,
    driver.InternalError: StoreRejected,
    driver.InterfaceError: StoreRejected,
    driver.DataError: StoreRejected,  # a value that its column can not hold
    driver.IntegrityError: StoreRejected,
    driver.ProgrammingError: StoreRejected,
    driver.StreamClosedError: StoreRejected,
    driver.NotSupportedError: StoreRejected,
    driver.Warning: StoreRejected,
    driver.StreamCompleteException: StoreUnavailable,
    HTTPError: StoreUnavailable,
    HTTPException: StoreUnavailable,
    OSError: StoreUnavailable,
    ValueError: StoreRejected,  # the driver's, of a value that it can not write
}
"""Types that carry no code, and what they become; a subclass not listed counts as its parent."""


_REASON = re.compile(r"DB::Exception: (.*?)(?:: While| \([A-Z_]+\))", re.DOTALL)
"""What ClickHouse says to people, without where in its own code it happened."""


def foreign_error(exc: Exception) -> type[StoreError] | None:
    """What a foreign error becomes; None for programming mistakes, which stay what they are."""
    code = getattr(exc, "code", None)
    if isinstance(exc, driver.Error) and code in CUT:
        return QueryCut
    if isinstance(exc, driver.Error) and code is not None:
        return StoreUnavailable if code in NOT_NOW else StoreRejected
    for kind in type(exc).__mro__:
        if kind in WITHOUT_CODE:
            return WITHOUT_CODE[kind]
    return None


@contextmanager
def our_errors(doing: str) -> Iterator[None]:
    """Let only our own errors out.

    Args:
        doing: What was tried, for the message.

    Raises:
        StoreUnavailable: See the table above.
        StoreRejected: See the table above.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as exc:
        ours = foreign_error(exc)
        if ours is None:
            raise
        if ours is QueryCut:
            found = _REASON.search(str(exc))
            why = found[1] if found else str(exc)
            raise QueryCut(
                f"{doing} was cut by ClickHouse ({why}), must take less: ask for less, or later"
            ) from exc
        raise ours(f"{doing}: {exc}") from exc
