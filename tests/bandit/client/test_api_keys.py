"""The key that a client brings: with every request, and nowhere else."""

import asyncio
import logging

import httpx
import pytest

from bandit.client import AsyncBanditClient, BanditClient, Options

KEY = "bandit_0011aabb_" + "k" * 43


class Heard:
    """A service that remembers who asked."""

    def __init__(self) -> None:
        self.authorizations: list[str | None] = []
        self.paths: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths.add(request.url.path)
        self.authorizations.append(request.headers.get("authorization"))
        return httpx.Response(401, json={"type": "unauthorized", "detail": "no", "status": 401})


def test_questions_and_records_bring_it(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    given = {"options": Options(linger_s=0.001), "transport": httpx.MockTransport(heard)}
    with (
        caplog.at_level(logging.DEBUG),
        BanditClient("http://s", api_key=f" {KEY}\n", **given) as c,
    ):
        ranking = c.rank("s", "u", actions=[{"id": "a"}], default=["a"])
        c.outcome("u", "revenue", 1.0)
    assert (ranking.source, ranking.reason) == ("default", "refused")
    assert set(heard.authorizations) == {f"Bearer {KEY}"}
    assert heard.paths >= {"/v1/rank", "/v1/outcomes"}
    assert KEY not in caplog.text


def test_awaited_questions_bring_it() -> None:
    heard = Heard()

    async def ask() -> None:
        transport = httpx.MockTransport(heard)
        async with AsyncBanditClient("http://s", api_key=KEY, transport=transport) as client:
            await client.rank("s", "u", actions=[{"id": "a"}], default=["a"])

    asyncio.run(ask())
    assert set(heard.authorizations) == {f"Bearer {KEY}"}


@pytest.mark.parametrize("key", ["", " ", "two words", "a\nb", "clé"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_told(key: str) -> None:
    for client in (BanditClient, AsyncBanditClient):
        with pytest.raises(ValueError, match="must be a key as it was shown") as caught:
            client("http://s", api_key=key)
        assert not key.strip() or key not in str(caught.value)
