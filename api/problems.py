"""Errors on the wire: RFC 9457 problem documents, from one table.

A document says what is, what must be (`detail`) and, where there is one, the place in the request
(`place`). `type` is the error's stable code. Nothing of the request's address is repeated.
"""

import http
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from api.security import HEADERS
from bandit import errors
from bandit.errors import BanditError
from bandit.logs import tell

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

STATUS: Mapping[type[BanditError], int] = {
    errors.BanditError: 500,
    errors.RecordError: 400,
    errors.BadSpec: 400,
    # Clients send neither of these: ours went wrong.
    errors.BadPropensity: 500,
    errors.BadPmf: 500,
    errors.SettingsError: 500,
    errors.NotDeclared: 404,
    errors.NotFound: 404,
    errors.NotOffered: 501,
    errors.BadToken: 403,
    errors.TooManyRewards: 429,
    errors.VersionConflict: 409,
    errors.NotEnoughData: 409,
    errors.SnapshotCorrupt: 500,
    errors.JournalUnavailable: 503,
    errors.StorageFull: 503,
    errors.StoreError: 500,
    errors.StoreUnavailable: 503,
    errors.QueryCut: 503,
    errors.StoreRejected: 500,
}
"""What each error raised on purpose answers; a test holds it complete."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document.

    Attributes:
        type: The error's stable code (`bad_record`, `not_declared` …).
        title: What the type means.
        status: The HTTP status.
        detail: What is, and what must be.
        place: Where in the request body, as a path: `$.actions[3].id`.
        found: What is there, as JSON, shortened; absent if there is nothing.
    """

    type: str
    title: str
    status: int
    detail: str
    place: str | None = None
    found: str | None = None


def problem_of(exc: BaseException) -> Problem:
    """The problem document of an error; for one that nobody meant to raise it tells nothing."""
    if isinstance(exc, BanditError):
        detail, place = str(exc), None
        head, mark, tail = detail.rpartition(" - at `")
        if mark and tail.endswith("`"):
            detail, place = head, tail[:-1]
        if isinstance(exc, errors.StoreUnavailable) and exc.__cause__ is not None:
            # The driver's own words tell where it is.
            detail = "ClickHouse did not answer in time, must be asked again later"
        status = next(STATUS[kind] for kind in type(exc).__mro__ if kind in STATUS)
        return Problem(
            type=exc.code,
            title=_title(type(exc)),
            status=status,
            detail=detail
            if status != 500
            else "the service failed, the fault is not the request's",
            place=place,
            found=getattr(exc, "found", None),
        )
    if isinstance(exc, HTTPException) and (exc.status_code < 500 or exc.status_code == 503):
        status = http.HTTPStatus(exc.status_code)
        code = status.phrase.lower().replace(" ", "_").replace("-", "_")
        return Problem(type=code, title=status.phrase, status=status.value, detail=_detail(exc))
    return Problem(
        type="error",
        title="Internal Server Error",
        status=500,
        detail="the service failed, the fault is not the request's",
    )


def _title(kind: type[BanditError]) -> str:
    """First line of the docstring of the error that the code belongs to."""
    owner = next(parent for parent in kind.__mro__ if "code" in vars(parent))
    return (owner.__doc__ or "").partition("\n")[0].rstrip(".")


def _detail(exc: HTTPException) -> str:
    """What an error of Litestar says, without the address that it was asked under."""
    if isinstance(exc, ValidationException) and isinstance(exc.extra, list):
        return "; ".join(
            f"{each.get('source', 'parameter')} {each.get('key', '')!r}: {each.get('message', '')}"
            for each in exc.extra
        )
    return exc.detail


def headers_of(exc: BaseException, problem: Problem) -> dict[str, str]:
    """Headers of a problem document besides its media type: every answer's, and its own."""
    after_s = getattr(exc, "retry_after_s", RETRY_AFTER_S if problem.status == 503 else None)
    retry = {} if after_s is None else {"retry-after": str(after_s)}
    return HEADERS | retry | dict(getattr(exc, "headers", None) or {})


def report(exc: BaseException, problem: Problem) -> None:
    """Log what the client is not told; what is its own fault, and what is shed, at `debug` only."""
    is_ours = problem.status >= 500 and problem.status != 503
    level = logging.ERROR if is_ours else logging.DEBUG
    if log.isEnabledFor(level):
        tell(
            log,
            level,
            "request_failed" if is_ours else "request_refused",
            "a request failed with %(status)d %(type)s"
            if is_ours
            else "a request was refused with %(status)d %(type)s",
            status=problem.status,
            type=problem.type,
            error=exc if is_ours else None,
        )


def problem_handler(
    count: Callable[[Problem], None],
) -> Callable[[Request[Any, Any, Any], Exception], Response[Problem]]:
    """Litestar's exception handler for everything.

    Args:
        count: Told of every problem that is answered.
    """

    def answer(_: Request[Any, Any, Any], exc: Exception) -> Response[Problem]:
        problem = problem_of(exc)
        report(exc, problem)
        count(problem)
        return Response(
            content=problem,
            status_code=problem.status,
            media_type=MEDIA_TYPE,
            headers=headers_of(exc, problem),
        )

    return answer
