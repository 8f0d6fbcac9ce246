"""Changes by way of our own API: the dashboard itself writes nowhere, and decides nobody's rights.

What a key may do is what the API says of it, and a refusal is shown in the API's own words.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import msgspec

TIMEOUT_S = 10.0
CONFLICTS = frozenset({409, 412, 428})
"""Somebody else changed it meanwhile, or nothing says what the change was made against."""


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """What the API says of a key.

    Attributes:
        project: Whose definitions and log it sees; None: everybody's, for nobody is asked.
        client: The program or person that holds it; empty if nobody is asked.
        scopes: What it may do.
    """

    project: str | None
    client: str
    scopes: frozenset[str]

    @property
    def may_read(self) -> bool:
        """Whether pages are for them."""
        return "read" in self.scopes

    @property
    def may_write(self) -> bool:
        """Whether buttons that change something are for them."""
        return "admin" in self.scopes


class Answer(NamedTuple):
    """What the API said.

    Attributes:
        status: Of HTTP; 0 if nobody answered.
        body: JSON, decoded.
        etag: The definition's version, as `"3"` with its quotes.
        problem: What is wrong, and what must be, in words; empty if it was done.
        place: Where in the body, as `$.variants[0].policy`; empty if nowhere.
    """

    status: int
    body: Any = None
    etag: str = ""
    problem: str = ""
    place: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it was done."""
        return not self.problem

    @property
    def is_conflict(self) -> bool:
        """Whether somebody else changed it meanwhile."""
        return self.status in CONFLICTS

    @property
    def in_words(self) -> str:
        """The problem and its place, for people."""
        where = f" (at `{self.place}`)" if self.place else ""
        return f"{self.problem}{where}"


class Writer:
    """Our API, with a key; threads share it."""

    def __init__(
        self,
        base_url: str,
        key: str = "",
        *,
        author: str = "",
        transport: httpx.BaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Ask nobody yet.

        Args:
            base_url: `http://127.0.0.1:8080`.
            key: `bandit_…`; empty where nobody is asked for one.
            author: Who makes the changes, for the history, where no key says it.
            transport: How requests travel; None: over the network.
            timeout_s: How long to wait for an answer.
        """
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        if author:
            headers.append((b"bandit-author", author.encode()))
        self._timeout_s = timeout_s
        # No proxy of the environment comes between, and no redirect takes the key elsewhere.
        self._client = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
        )

    def __repr__(self) -> str:
        """Without the key."""
        return f"Writer({str(self._client.base_url)!r})"

    def who(self) -> tuple[Who | None, Answer]:
        """What the key may do; None and why, if it is good for nothing or nobody answers."""
        answer = self.get("/v1/keys/self")
        if not answer.is_done:
            return None, answer
        return msgspec.convert(answer.body, Who), answer

    def get(self, path: str, **query: str | int) -> Answer:
        """Read something."""
        return self._ask("GET", path, params=query)

    def put(self, path: str, body: object, *, against: str = "") -> Answer:
        """Declare something.

        Args:
            path: Of `path_of`.
            body: As JSON.
            against: ETag of what is changed; empty: it must be new.
        """
        condition = {"if-match": against} if against else {"if-none-match": "*"}
        return self._ask("PUT", path, body=body, headers=condition)

    def post(self, path: str, body: object = None) -> Answer:
        """Have something done."""
        return self._ask("POST", path, body=body)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        given = dict(headers or {})
        content = None
        if method != "GET":
            given["content-type"] = "application/json"
            content = msgspec.json.encode({} if body is None else body)
        try:
            response = self._client.request(
                method, path, content=content, params=dict(params or {}), headers=given
            )
        except httpx.TimeoutException:
            outcome = "" if method == "GET" else "; look whether it was done before you try again"
            return Answer(
                0, problem=f"the API did not answer within {self._timeout_s:g} s{outcome}"
            )
        except httpx.HTTPError as exc:
            return Answer(0, problem=f"the API at {self._client.base_url} does not answer ({exc})")
        return answer_of(response)


def answer_of(response: httpx.Response) -> Answer:
    """What an answer of the API says."""
    try:
        body = msgspec.json.decode(response.content) if response.content else None
    except msgspec.DecodeError:
        body = None
    etag = response.headers.get("etag", "")
    if response.is_success:
        return Answer(response.status_code, body, etag)
    if not isinstance(body, dict) or not isinstance(body.get("detail"), str):
        said = f"the API answered {response.status_code}, and not why"
        return Answer(response.status_code, body, etag, said)
    found = f", which is {body['found']}" if body.get("found") else ""
    place = f"{body.get('place') or ''}"
    return Answer(response.status_code, body, etag, f"{body['detail']}{found}", place)


def path_of(*parts: str) -> str:
    """A path of the API.

    >>> path_of("surfaces", "home.feed", "promotions")
    '/v1/surfaces/home.feed/promotions'
    """
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)
