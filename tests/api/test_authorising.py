"""Keys over HTTP: who is let in, to what, how often; and that no key is ever told to anybody."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.rates import Rates
from bandit.errors import StoreUnavailable
from bandit.store.keys import SCOPES
from tests.api.conftest import World
from tests.bandit.service.making import NOW_MS, wait_until
from tests.bandit.service.making_keys import MemoryKeys, key_service, made

RANK = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}
METRIC = {"source": "outcome"}


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def world(tmp_path: Path, keys: MemoryKeys) -> World:
    return World(tmp_path, keys=keys)


@pytest.fixture
def text(keys: MemoryKeys) -> str:
    """Of a key that may do everything."""
    return made(keys, "default", "rank", "reward", "read", "admin", client="all").text


@pytest.fixture
def client(world: World, text: str) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app()) as client:
        yield client


@pytest.fixture(scope="module")
def scoped(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[World, TestClient[Litestar], dict[str, str]]]:
    """A world with a key for each scope, and one for all but it."""
    keys, texts = MemoryKeys(), {}
    for scope in SCOPES:
        others = [other for other in SCOPES if other != scope]
        texts[scope] = made(keys, "default", scope, client=scope).text
        texts[f"not-{scope}"] = made(keys, "default", *others, client=f"not-{scope}").text
    world = World(tmp_path_factory.mktemp("scoped"), keys=keys)
    with TestClient(world.app()) as client:
        world.wait_for_revision()
        yield world, client, texts


def test_a_good_key_is_let_in(client: TestClient[Litestar], text: str) -> None:
    for header in (f"Bearer {text}", f"bearer {text}", f"BEARER  {text} "):
        given = {"authorization": header}
        assert client.post("/v1/rank", json=RANK, headers=given).status_code == 200
        assert client.get("/v1/surfaces", headers=given).status_code == 200


@pytest.mark.parametrize("asked", [("POST", "/v1/rank"), ("GET", "/v1/surfaces")])
def test_all_that_is_no_good_key_gets_the_same_401(
    client: TestClient[Litestar], keys: MemoryKeys, text: str, asked: tuple[str, str]
) -> None:
    revoked = made(keys, "default", "rank", "read", client="left")
    expired = made(keys, "default", "rank", "read", client="old", expires_ms=NOW_MS + 1)
    key_service(keys).revoke(revoked.key.key_id)
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    unknown = f"bandit_ffffffff_{text[16:]}"
    headers = [bearer(t) for t in (wrong, unknown, revoked.text, "", text.upper(), "x" * 9000)]
    headers += [{}, {"authorization": text}, {"authorization": f"Basic {text}"}]
    headers += [{"x-api-key": text}, {"ocp-apim-subscription-key": text}]
    wait_until(lambda: expired.key.key_id in str(keys.all()))
    answers = {
        (r.status_code, r.text, r.headers["www-authenticate"])
        for r in (client.request(*asked, json=RANK, headers=given) for given in headers)
    }
    [(status, body, challenge)] = answers
    assert (status, challenge) == (401, 'Bearer realm="bandit"')
    assert '"type":"unauthorized"' in body


def test_a_key_ends_when_its_time_is_over(world: World, keys: MemoryKeys) -> None:
    given = bearer(made(keys, "default", "read", expires_ms=NOW_MS + 1000).text)
    with TestClient(world.app()) as client:
        assert client.get("/v1/surfaces", headers=given).status_code == 200
        world.now_ms += 1000
        assert client.get("/v1/surfaces", headers=given).status_code == 401


def test_a_revoked_key_ends_while_workers_run(
    client: TestClient[Litestar], keys: MemoryKeys, text: str
) -> None:
    assert client.get("/v1/surfaces", headers=bearer(text)).status_code == 200
    key_service(keys).revoke(text[7:15])
    wait_until(lambda: client.get("/v1/surfaces", headers=bearer(text)).status_code == 401)


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("rank", "POST", "/v1/rank", RANK),
        ("rank", "POST", "/v1/assignments", {"unit_id": "u"}),
        ("rank", "POST", "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u"}}),
        ("rank", "POST", "/s/home.feed/personalizer/v1.0/rank", {"actions": [{"id": "a"}]}),
        ("reward", "POST", "/v1/outcomes", {"unit_id": "u", "name": "n", "value": 1}),
        ("reward", "POST", "/s/home.feed/personalizer/v1.0/events/e/reward", {"value": 1}),
        ("reward", "POST", "/s/home.feed/personalizer/v1.0/events/e/activate", None),
        ("read", "GET", "/v1/metrics", None),
        ("read", "GET", "/v1/surfaces/home.feed", None),
        ("read", "GET", "/v1/keys/self", None),
        ("read", "GET", "/metrics", None),
        ("admin", "PUT", "/v1/metrics/revenue", METRIC),
        ("admin", "PUT", "/v1/surfaces/home.feed/catalogue", {"upsert": [{"id": "a"}]}),
        ("admin", "DELETE", "/v1/surfaces/home.feed/catalogue/a", None),
    ],
)
def test_a_key_does_what_its_scopes_say_and_nothing_else(
    scoped: tuple[World, TestClient[Litestar], dict[str, str]],
    scope: str,
    method: str,
    path: str,
    body: object,
) -> None:
    world, client, texts = scoped
    before = world.journal_bytes
    refused = client.request(method, path, json=body, headers=bearer(texts[f"not-{scope}"]))
    assert refused.status_code == 403
    assert scope in refused.text
    assert world.journal_bytes == before
    allowed = client.request(method, path, json=body, headers=bearer(texts[scope]))
    assert allowed.status_code not in (401, 403), allowed.text


def test_a_key_is_told_what_it_may_do_and_nothing_secret(
    scoped: tuple[World, TestClient[Litestar], dict[str, str]], tmp_path: Path
) -> None:
    _, client, texts = scoped
    text = texts["not-admin"]
    answer = client.get("/v1/keys/self", headers=bearer(text))
    assert answer.json() == {
        "project": "default",
        "key_id": text[7:15],
        "client": "not-admin",
        "scopes": ["rank", "read", "reward"],
    }
    with TestClient(World(tmp_path).app()) as open_to_all:
        nobody = open_to_all.get("/v1/keys/self").json()
    assert nobody == {"project": None, "key_id": "", "client": "", "scopes": sorted(SCOPES)}


def test_every_protocol_is_refused_in_its_own_shape(client: TestClient[Litestar]) -> None:
    problem = client.get("/v1/surfaces")
    assert problem.headers["content-type"] == "application/problem+json"
    theirs = client.post("/personalizer/v1.0/rank", json={"actions": [{"id": "a"}]})
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (401, "Unauthorized")
    flag = client.post("/ofrep/v1/evaluate/flags/f", json={"context": {"targetingKey": "u"}})
    assert (flag.status_code, flag.json()["errorCode"]) == (401, "GENERAL")


def test_other_protocols_bring_keys_in_their_own_headers(
    client: TestClient[Litestar], world: World, text: str
) -> None:
    world.wait_for_revision()
    rank = client.post(
        "/s/home.feed/personalizer/v1.0/rank",
        json={"actions": [{"id": "a"}]},
        headers={"Ocp-Apim-Subscription-Key": text},
    )
    assert rank.status_code == 201
    asked = {"context": {"targetingKey": "u"}}
    for given in ({"x-api-key": text}, bearer(text)):
        response = client.post("/ofrep/v1/evaluate/flags", json=asked, headers=given)
        assert response.status_code == 200


def test_health_and_the_document_ask_for_no_key_and_health_names_nothing(
    client: TestClient[Litestar], world: World
) -> None:
    world.wait_for_revision()
    for path in ("/health/live", "/schema", "/schema/openapi.json"):
        assert client.get(path).status_code == 200
    health = client.get("/health/ready")
    assert health.status_code == 200
    assert (health.json()["snapshots"], health.json()["refused_snapshots"]) == ({}, {})
    world.definitions.away = True
    wait_until(lambda: client.get("/health/ready").json()["store"] == "away")


def test_nobody_is_let_in_before_keys_were_learned(world: World, keys: MemoryKeys) -> None:
    text = made(keys, "default", "read").text
    keys.away = True
    with TestClient(world.app()) as client:
        response = client.get("/v1/surfaces", headers=bearer(text))
        assert (response.status_code, response.json()["type"]) == (503, "store_unavailable")
        assert response.headers["retry-after"] == "1"
        assert client.get("/health/ready").status_code == 503
        keys.away = False
        wait_until(lambda: client.get("/v1/surfaces", headers=bearer(text)).status_code == 200)
        wait_until(lambda: client.get("/health/ready").status_code == 200)


def test_a_worker_that_starts_without_the_store_lets_in_whom_the_last_one_knew(
    tmp_path: Path, keys: MemoryKeys
) -> None:
    text = made(keys, "default", "rank").text
    with TestClient(World(tmp_path / "last", keys=keys).app()) as client:
        assert client.post("/v1/rank", json=RANK, headers=bearer(text)).status_code == 200
    shutil.copytree(tmp_path / "last" / "cache", tmp_path / "next" / "cache")
    world = World(tmp_path / "next", keys=keys)
    keys.away = world.definitions.away = True
    with TestClient(world.app()) as client:
        assert client.post("/v1/rank", json=RANK, headers=bearer(text)).status_code == 200


def test_changes_are_the_clients_whatever_the_header_says(
    client: TestClient[Litestar], text: str
) -> None:
    given = bearer(text) | {"bandit-author": "somebody else"}
    assert client.put("/v1/metrics/revenue", json=METRIC, headers=given).status_code == 201
    [version] = client.get("/v1/metrics/revenue/history", headers=given).json()
    assert version["author"] == "all"


def test_a_key_that_asks_too_often_waits_and_others_do_not(
    tmp_path: Path, keys: MemoryKeys
) -> None:
    busy = bearer(made(keys, "default", "rank", client="busy").text)
    slow = bearer(made(keys, "default", "rank", client="slow", rate_limit=0.001).text)
    world = World(tmp_path, keys=keys, rate_limit=0.01)  # once in 100 s
    with TestClient(world.app()) as client:
        assert client.post("/v1/rank", json=RANK, headers=busy).status_code == 200
        refused = client.post("/v1/rank", json=RANK, headers=busy)
        assert (refused.status_code, refused.json()["type"]) == (429, "too_many_requests")
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert client.post("/v1/rank", json=RANK, headers=slow).status_code == 200
        again = client.post("/v1/assignments", json={"unit_id": "u"}, headers=slow)
        assert int(again.headers["retry-after"]) > 900


def test_no_key_is_in_any_log_answer_or_metric(
    client: TestClient[Litestar], world: World, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = text[16:]
    with caplog.at_level(logging.DEBUG):
        answers = [
            client.post("/v1/rank", json={**RANK, "unit_id": 5}, headers=bearer(text)),
            client.post("/v1/rank", json=RANK, headers=bearer(text + "x")),
            client.get("/v1/decisions/none", headers=bearer(text)),
            client.get("/metrics", headers=bearer(text)),
            client.get("/v1/reports/overview", headers=bearer(text)),  # fails: no store is there
        ]
    assert all(secret not in answer.text for answer in answers)
    assert secret not in caplog.text
    assert secret not in repr(world.services)
    held = [path.read_bytes() for path in world.folder.rglob("*") if path.is_file()]
    assert all(secret.encode() not in data for data in held)


def test_windows_open_with_a_request_and_end_a_second_later() -> None:
    now_s = [5.0]
    rates = Rates(2.0, monotonic_s=lambda: now_s[0])

    def let_in() -> bool:
        try:
            rates.count("k", None)
        except Exception:
            return False
        return True

    assert [let_in() for _ in range(3)] == [True, True, False]
    now_s[0] = 5.99
    assert not let_in()
    now_s[0] = 6.0
    assert [let_in() for _ in range(3)] == [True, True, False]


def test_without_keys_everybody_may_do_everything(tmp_path: Path) -> None:
    with TestClient(World(tmp_path).app()) as client:
        given = bearer("whatever")
        assert client.post("/v1/rank", json=RANK, headers=given).status_code == 200
        assert client.put("/v1/metrics/revenue", json=METRIC).status_code == 201


def test_no_keys_at_all_is_not_the_same_as_keys_not_learned(world: World) -> None:
    world.services.refresher.restore()
    assert world.ring is not None
    with pytest.raises(StoreUnavailable):
        world.ring.find(b"", NOW_MS)
