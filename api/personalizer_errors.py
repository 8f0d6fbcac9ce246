"""Errors as Personalizer's clients read them: `{"error": {"code", "message", "target", …}}`."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response

from api.problems import Problem, headers_of, problem_of, report

CODES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "ResourceNotFound",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "OperationNotAllowed",
    503: "ServiceUnavailable",
}
"""`code` of a status; every other one is `BadRequest`."""


class InnerError(msgspec.Struct, frozen=True, kw_only=True):
    """The finer code."""

    code: str


class PersonalizerError(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What went wrong.

    Attributes:
        code: Of the kind of error.
        target: Where in the request's body.
        inner_error: Which operation's rule was broken, or the `type` that `/v1` would tell.
    """

    code: str
    message: str
    target: str | None = None
    details: list["PersonalizerError"] = []
    inner_error: InnerError | None = None


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an error."""

    error: PersonalizerError


def personalizer_error(problem: Problem, finer: str | None = None) -> ErrorAnswer:
    """A problem in Personalizer's shape.

    Args:
        finer: The finer code, if it is not the problem's type.
    """
    error = PersonalizerError(
        code=CODES.get(problem.status, "BadRequest"),
        message=problem.detail,
        target=problem.place,
        inner_error=InnerError(code=finer or problem.type),
    )
    return ErrorAnswer(error=error)


def error_handler(
    count: Callable[[Problem], None],
) -> Callable[[Request[Any, Any, Any], Exception], Response[ErrorAnswer]]:
    """Litestar's exception handler of these routes.

    Args:
        count: Told of every problem that is answered.
    """

    def answer(request: Request[Any, Any, Any], exc: Exception) -> Response[ErrorAnswer]:
        problem = problem_of(exc)
        report(exc, problem)
        count(problem)
        finer = problem.type
        if problem.status == 400:
            finer = request.route_handler.opt.get("refused", finer)
        return Response(
            personalizer_error(problem, finer),
            status_code=problem.status,
            headers=headers_of(exc, problem),
        )

    return answer
