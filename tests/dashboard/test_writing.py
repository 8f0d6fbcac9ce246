import json
from collections.abc import Callable

import httpx
import pytest

from dashboard.writing import Answer, Who, Writer, path_of

KEY = "bandit_0123abcd_" + "k" * 43


def writer(handle: Callable[[httpx.Request], httpx.Response], **more: object) -> Writer:
    transport = httpx.MockTransport(handle)
    return Writer("http://api", KEY, transport=transport, **more)  # type: ignore[arg-type]


def answering(status: int, body: object, **headers: str) -> Writer:
    return writer(lambda request: httpx.Response(status, json=body, headers=headers))


def test_a_change_says_what_it_was_made_against_and_who_makes_it():
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"key": "clicks"}, headers={"etag": '"4"'})

    api = writer(handle, author="Zoë")
    answer = api.put(path_of("metrics", "a b/c"), {"source": "reward"}, against='"3"')
    api.put(path_of("metrics", "new"), {"source": "reward"})
    assert answer == Answer(200, {"key": "clicks"}, '"4"')
    changed, made = seen
    assert changed.url.raw_path == b"/v1/metrics/a%20b%2Fc"
    assert changed.headers["if-match"] == '"3"'
    assert changed.headers["authorization"] == f"Bearer {KEY}"
    assert b"Zo\xc3\xab" in dict(changed.headers.raw).values()
    assert json.loads(changed.content) == {"source": "reward"}
    assert made.headers["if-none-match"] == "*"
    assert "if-match" not in made.headers


def test_a_problem_is_said_in_the_apis_words_with_its_place():
    problem = {"detail": "Expected `int`, got `str`", "place": "$.slots", "found": '"3"'}
    answer = answering(400, problem).get("/v1/rank")
    assert not answer.is_done
    assert answer.in_words == 'Expected `int`, got `str`, which is "3" (at `$.slots`)'
    assert answer.place == "$.slots"


@pytest.mark.parametrize("status", [409, 412, 428])
def test_whatever_says_that_somebody_was_first_is_a_conflict(status: int):
    assert answering(status, {"detail": "it is at version 4"}).get("/").is_conflict


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b'{"detail": 3}', b"[]"])
def test_an_answer_that_is_no_problem_document_is_no_success(body: bytes):
    answer = writer(lambda request: httpx.Response(502, content=body)).get("/v1/rank")
    assert answer.problem == "the API answered 502, and not why"


def test_an_api_that_is_late_or_away_is_said_and_nothing_is_raised():
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late")

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert writer(late).get("/").problem == "the API did not answer within 10 s"
    assert "look whether it was done" in writer(late).put("/v1/metrics/m", {}).problem
    assert "does not answer (refused)" in writer(away).post("/v1/x").problem


def test_no_redirect_takes_the_key_elsewhere():
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(307, headers={"location": "http://elsewhere/"})

    assert not writer(handle).get("/v1/keys/self").is_done
    assert asked == ["api"]


def test_a_key_is_in_no_text():
    assert KEY not in repr(answering(200, {}))


def test_what_a_key_may_do_is_what_the_api_says():
    told = {"project": "shop", "key_id": "1", "client": "web", "scopes": ["read"]}
    who, _ = answering(200, told).who()
    assert who == Who(project="shop", client="web", scopes=frozenset({"read"}))
    assert who.may_read
    assert not who.may_write
    refused, answer = answering(401, {"detail": "an API key must be brought"}).who()
    assert (refused, answer.problem) == (None, "an API key must be brought")
