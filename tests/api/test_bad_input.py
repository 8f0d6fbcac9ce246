"""Bad input: always a 4xx problem document that says what and where; nothing of it is journaled."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.event_id import make_event_id, surface_tag
from tests.api.conftest import MAX_BODY_BYTES, World
from tests.bandit.service.making import NOW_MS, SALT

JSON = {"content-type": "application/json"}
ACTION = b'{"id":"a","features":{"x":1}}'


def rank(
    actions: bytes = ACTION,
    context: bytes = b"{}",
    rest: bytes = b"",
    surface: bytes = b'"home.feed"',
) -> bytes:
    return (
        b'{"surface":' + surface + b',"unit_id":"u","context":' + context
        + b',"actions":[' + actions + b"]" + rest + b"}"
    )  # fmt: skip


def features(raw: bytes) -> bytes:
    return rank(actions=b'{"id":"a","features":' + raw + b"}")


def reward(value: bytes = b"1", rest: bytes = b"") -> bytes:
    event_id = make_event_id(NOW_MS, surface_tag("home.feed"), b"123456", SALT)
    return b'{"event_id":"' + event_id.encode() + b'","value":' + value + rest + b"}"


DEEP = b"[" * 5000 + b"]" * 5000
BAD_RANKS: dict[str, tuple[bytes, int, str, str | None]] = {
    "empty body": (b"", 400, "no JSON", None),
    "no JSON": (b"{nope", 400, "no JSON", None),
    "trailing text": (rank() + b"x", 400, "no JSON", None),
    "not an object": (b"[]", 400, "Expected `object`", None),
    "nested deeply": (DEEP, 400, "Expected `object`", None),
    "deep context": (rank(context=DEEP), 400, "nested too deeply", None),
    "deep unknown field": (rank(rest=b',"z":' + DEEP), 400, "unknown field", None),
    "deep exclude": (rank(rest=b',"exclude":' + DEEP), 400, "Expected `str`", "$.exclude[0]"),
    "raw surrogates": (rank(rest=b',"event_id":"\xed\xa0\x80"'), 400, "UTF-8", None),
    "raw surrogates in context": (rank(context=b'{"\xed\xa0\x80":1}'), 400, "", "$.context"),
    "escaped surrogate": (rank(context=b'{"a":"\\ud800"}'), 400, "", None),
    "no UTF-8 in features": (features(b'{"a":"\xff\xfe"}'), 400, "", "$.actions[0].features"),
    "unknown field": (rank(rest=b',"arms":[]'), 400, "unknown field `arms`", None),
    "unknown field of an action": (
        rank(actions=b'{"id":"a","weight":1}'), 400, "unknown field `weight`", "$.actions[0]",
    ),
    "missing field": (b'{"surface":"home.feed"}', 400, "missing required field", None),
    "wrong type": (rank(rest=b',"slots":"3"'), 400, "Expected `int`, got `str`", "$.slots"),
    "no slots": (rank(rest=b',"slots":0'), 400, "`int` >= 1", "$.slots"),
    "unknown surface": (rank(surface=b'"home.hero"'), 404, "'home.hero' is not declared", None),
    "surface that is no key": (rank(surface=b'"Home\\n"'), 400, "regex", "$.surface"),
    "no actions": (rank(actions=b""), 400, "must be at least one", "$.actions"),
    "repeated action": (rank(actions=ACTION + b"," + ACTION), 400, "unique", "$.actions[1].id"),
    "empty action id": (rank(actions=b'{"id":""}'), 400, "length >= 1", "$.actions[0].id"),
    "too many actions": (
        rank(actions=b",".join(b'{"id":"%d"}' % n for n in range(11))),
        400, "11 actions are offered, must be at most 10", "$.actions",
    ),
    "everything excluded": (rank(rest=b',"exclude":["a"]'), 400, "every action", "$.exclude"),
    "NaN feature": (features(b'{"x":NaN}'), 400, "no JSON", None),
    "infinite feature": (features(b'{"x":1e999}'), 400, "", "$.actions[0].features"),
    "1e39 feature": (features(b'{"x":1e39}'), 400, "1e+39", "$.actions[0].features.x"),
    "1e39 in context": (rank(context=b'{"x":1e39}'), 400, "1e+39", "$.context.x"),
    "features that are no object": (features(b'"text"'), 400, "", "$.actions[0].features"),
    "features that are null": (features(b"null"), 400, "", "$.actions[0].features"),
    "context that is no object": (rank(context=b"[1]"), 400, "", "$.context"),
    "features too deep": (
        features(b'{"a":{"b":{"c":{"d":{"e":1}}}}}'), 400, "deep", "$.actions[0].features.a.b.c.d",
    ),
    "event id that is no UUIDv7": (
        rank(rest=b',"event_id":"0192d6a1-7c5b-4abc-9def-0123456789ab"'),
        400, "must be a UUIDv7", "$.event_id",
    ),
    "event id of long ago": (
        rank(rest=b',"event_id":"01000000-0000-7abc-8def-0123456789ab"'),
        400, "s old, must be", "$.event_id",
    ),
}  # fmt: skip
BAD_REWARDS: dict[str, tuple[bytes, int, str, str | None]] = {
    "no JSON": (b"}", 400, "no JSON", None),
    "empty list": (b"[]", 400, "length >= 1", None),
    "neither one nor many": (b"3", 400, "Expected `object | array`", None),
    "nested deeply": (b'{"event_id":' + DEEP, 400, "Expected `str`", "$.event_id"),
    "NaN": (reward(b"NaN"), 400, "no JSON", None),
    "1e39": (reward(b"1e39"), 400, "value is 1e+39, must be in [-1, 1]", "$.value"),
    "1e999": (reward(b"1e999"), 400, "out of range", "$.value"),
    "out of bounds": (reward(b"1.01"), 400, "value is 1.01, must be in [-1, 1]", "$.value"),
    "text": (reward(b'"1"'), 400, "Expected `float`, got `str`", "$.value"),
    "second of a list": (
        b"[" + reward() + b"," + reward(b"2") + b"]", 400, "value is 2.0", "$[1].value",
    ),
    "negative slot": (reward(rest=b',"slot":-1'), 400, "`int` >= 0", "$.slot"),
    "unknown field": (reward(rest=b',"cost":1'), 400, "unknown field `cost`", None),
    "unknown surface": (reward(rest=b',"surface":"home.hero"'), 404, "not declared", None),
    "no UUIDv7": (
        b'{"event_id":"a\\nb","value":1}', 400, "'a\\nb', must be a UUIDv7", "$.event_id",
    ),
    "too many": (b"[" + b",".join([reward()] * 1001) + b"]", 400, "length <= 1000", None),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One for all: what is refused changes nothing."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app()) as client:
        yield client


def problem_of(response: Any, status: int, says: str, place: str | None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert says in problem["detail"]
    assert problem.get("place") == place
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    return problem


@pytest.mark.parametrize(("body", "status", "says", "place"), BAD_RANKS.values(), ids=BAD_RANKS)
def test_bad_rank_is_refused(
    client: TestClient[Litestar],
    world: World,
    body: bytes,
    status: int,
    says: str,
    place: str | None,
) -> None:
    empty = world.journal_bytes
    problem_of(client.post("/v1/rank", content=body, headers=JSON), status, says, place)
    assert world.journal_bytes == empty


@pytest.mark.parametrize(("body", "status", "says", "place"), BAD_REWARDS.values(), ids=BAD_REWARDS)
def test_bad_reward_is_refused(
    client: TestClient[Litestar],
    world: World,
    body: bytes,
    status: int,
    says: str,
    place: str | None,
) -> None:
    empty = world.journal_bytes
    problem_of(client.post("/v1/rewards", content=body, headers=JSON), status, says, place)
    assert world.journal_bytes == empty


COLD = {
    "/v1/exposures": ("POST", {"event_id": "e", "slots": [0]}),
    "/v1/outcomes": ("POST", {"unit_id": "u", "name": "n", "value": 1}),
    "/v1/assignments": ("POST", {"unit_id": "u"}),
    "/v1/surfaces/s": ("PUT", {"policy": "random"}),
    "/v1/policies/p": ("PUT", {"type": "uniform"}),
    "/v1/experiments/e": ("PUT", {}),
    "/v1/metrics/m": ("PUT", {"source": "reward"}),
}
BODIES = {"/v1/rank": ("POST", {}), "/v1/rewards": ("POST", {}), **COLD}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("content", "headers", "status", "says"),
    [
        (b"{}", {"content-type": "text/plain"}, 415, "content type is 'text/plain', must be"),
        (b"{}", {}, 415, "content type is '', must be 'application/json'"),
        (b" " * (MAX_BODY_BYTES + 1), JSON, 413, f"must be at most {MAX_BODY_BYTES} bytes"),
        (b"{", JSON, 400, "no JSON"),
        (DEEP, JSON, 400, ""),
        (b'"\xed\xa0\x80"', JSON, 400, ""),
        (b'{"\xff":1}', JSON, 400, ""),
        (b'{"unheard_of":' + DEEP + b"}", JSON, 400, ""),
        (b'{"unheard_of":1}', JSON, 400, ""),
        (b"null", JSON, 400, "Expected"),
    ],
    ids=["text", "no type", "too large", "cut", "deep", "surrogates", "utf8", "deep field",
         "unknown field", "null"],
)  # fmt: skip
def test_bad_body_is_refused_on_every_route(
    client: TestClient[Litestar],
    world: World,
    path: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    says: str,
) -> None:
    empty, definitions = world.journal_bytes, world.definitions.revision()
    response = client.request(BODIES[path][0], path, content=content, headers=headers)
    assert response.status_code == status, response.text
    assert says in response.json()["detail"]
    assert response.headers["content-type"] == "application/problem+json"
    assert (world.journal_bytes, world.definitions.revision()) == (empty, definitions)


@pytest.mark.parametrize(
    ("path", "field", "value", "place"),
    [
        ("/v1/exposures", "slots", ["1"], "$.slots[0]"),
        ("/v1/exposures", "slots", [], "$.slots"),
        ("/v1/outcomes", "value", "1", "$.value"),
        ("/v1/outcomes", "value", 1e39, "$.value"),
        ("/v1/assignments", "experiments", [1], "$.experiments[0]"),
        ("/v1/surfaces/s", "max_actions", 0, "$.max_actions"),
        ("/v1/surfaces/s", "key", "other", "$.key"),
        ("/v1/policies/p", "floor", 2, "$.floor"),
        ("/v1/metrics/m", "better", "red", "$.better"),
    ],
)
def test_bad_field_is_named_on_every_route(
    client: TestClient[Litestar], world: World, path: str, field: str, value: object, place: str
) -> None:
    method, good = COLD[path]
    body = {**good, field: value}
    if "event_id" in body:
        body["event_id"] = world.event_id()
    problem_of(client.request(method, path, json=body), 400, "", place)


def test_problem_shows_what_was_found_at_its_place(client: TestClient[Litestar]) -> None:
    body = msgspec.json.encode({"surface": "HOME", "unit_id": "u", "actions": [{"id": "a"}]})
    problem = client.post("/v1/rank", content=body, headers=JSON).json()
    assert (problem["place"], problem["found"]) == ("$.surface", '"HOME"')


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a\\nb":1}', b'{"a|b c:3":"x\\ty"}', b'{"\\u0000":"\\u0001"}',
        '{"名前|":"値:1 2"}'.encode(), b'{"q":"\\"|A x:9"}',
    ],
)  # fmt: skip
def test_strange_names_and_texts_are_features_like_any_other(
    client: TestClient[Litestar], raw: bytes
) -> None:
    response = client.post("/v1/rank", content=features(raw), headers=JSON)
    assert response.status_code == 200
    assert [slot["id"] for slot in response.json()["ranking"]] == ["a"]


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nothing/x", "/v1/rank/x"])
def test_unknown_route_does_not_repeat_the_address(client: TestClient[Litestar], path: str) -> None:
    response = client.get(f"{path}?key=secret")
    problem_of(response, 404, "", None)
    assert "secret" not in response.text


def test_bad_query_does_not_repeat_the_address(client: TestClient[Litestar]) -> None:
    response = client.get("/v1/surfaces/home.feed?version=newest&key=secret")
    assert response.status_code == 400
    assert "secret" not in response.text
    assert "version" in response.text


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/exposures"])
def test_body_that_ends_early_is_refused_though_it_looks_whole(world: World, path: str) -> None:
    """It was a 500 on the typed routes, and taken as it came on the hot ones."""
    pieces = [
        {"type": "http.request", "body": rank(), "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers: list[Any] = []

    async def receive() -> Any:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"500")]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "headers": headers,
        "query_string": b"", "root_path": "", "scheme": "http", "server": ("localhost", 80),
        "client": ("127.0.0.1", 1), "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    asyncio.run(world.app()(scope, receive, send))  # type: ignore[arg-type]
    assert answers[0]["status"] == 400
    assert b"ended early" in answers[1]["body"]
