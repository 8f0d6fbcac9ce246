"""Who asks, and whether they may: by the key in a header, checked without asking anybody.

Every route but health and the document asks: the hot ones in `api.hot`, all others by the guard
that their router has. A route says which scope it needs in its `opt`; one that says nothing needs
`read` for a GET and `admin` for anything else, so that what is forgotten is closed.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from api.rates import Rates
from bandit.service.key_ring import ANYBODY, KeyRing, Principal

Headers = Iterable[tuple[bytes, bytes]]
Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]

BEARER = frozenset({b"authorization"})
"""Where `/v1` looks for a key: `Authorization: Bearer bandit_…`."""
PERSONALIZER = BEARER | {b"ocp-apim-subscription-key"}
"""Microsoft's clients put it there, by itself."""
OFREP = BEARER | {b"x-api-key"}
"""The two places that the protocol knows."""

SCOPE, HEADERS = "scope", "key_headers"
"""Names in a route's `opt`."""


class Authoriser:
    """Lets requests in, or refuses them; one per worker."""

    def __init__(
        self, ring: KeyRing | None, *, rates: Rates | None, now_ms: Callable[[], int]
    ) -> None:
        """Know whom to let in.

        Args:
            ring: The keys; None: nobody is asked for any, and everybody may do everything.
            rates: How often each may ask; None: as often as it likes.
            now_ms: The clock.
        """
        self._ring = ring
        self._rates = rates
        self._now_ms = now_ms

    def authorise(
        self, headers: Headers, scope: str, places: frozenset[bytes] = BEARER
    ) -> Principal:
        """Who asks, if they may.

        Args:
            headers: Of the request, names in lower case.
            scope: What they must be allowed to do.
            places: Headers that may hold the key.

        Raises:
            NotAuthorizedException: 401, for whatever reason the key is good for nothing.
            PermissionDeniedException: 403, the key is good but not for this.
            TooManyRequestsException: 429.
            StoreUnavailable: No keys were learned yet.
        """
        ring = self._ring
        if ring is None:
            return ANYBODY
        for name, value in headers:
            if name in places:
                principal = ring.find(_text(name, value), self._now_ms())
                break
        else:
            principal = None
        if principal is None:
            raise NotAuthorizedException(
                detail="an API key that is good now must be brought: "
                "Authorization: Bearer bandit_…",
                headers={"www-authenticate": 'Bearer realm="bandit"'},
            )
        if scope not in principal.scopes:
            raise PermissionDeniedException(
                detail=f"this key may {', '.join(sorted(principal.scopes))}, must have the scope "
                f"{scope!r} for this"
            )
        if self._rates is not None:
            self._rates.count(principal.key_id, principal.rate_limit)
        return principal

    def guard(self) -> Guard:
        """Litestar's guard: asks, and keeps who it is for the handler."""

        async def check(
            connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
        ) -> None:
            scope, opt = connection.scope, handler.opt
            needed = opt.get(SCOPE) or ("read" if scope.get("method") == "GET" else "admin")
            scope["auth"] = self.authorise(scope["headers"], needed, opt.get(HEADERS, BEARER))

        return check


def principal_of(request: Request[Any, Any, Any]) -> Principal:
    """Who asks; a dependency of the handlers behind a guard."""
    found = request.scope["auth"]
    assert isinstance(found, Principal)
    return found


def _text(name: bytes, value: bytes) -> bytes:
    """The key in a header; what is no key is good for nothing as it is."""
    if name == b"authorization":
        return value[7:].strip(b" ") if value[:7].lower() == b"bearer " else b""
    return value.strip(b" ")
