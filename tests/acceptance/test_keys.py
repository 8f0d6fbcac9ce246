"""`bandit api` with BANDIT_AUTH=keys, end to end: keys made by hand, every kind of client."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import (
    ErrorResponseException,
    RankableAction,
    RankRequest,
)
from msrest.authentication import CognitiveServicesCredentials

from bandit.client import BanditClient, Options
from tests.acceptance.test_api import WITHIN_S, Service, free_port
from tests.until import until

# Microsoft's libraries warn of Python's own changes, not of us.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def service(tmp_path: Path, clickhouse_url: str) -> Iterator[Service]:
    service = Service(tmp_path, clickhouse_url)
    service.environ |= {"BANDIT_AUTH": "keys", "BANDIT_HOST": "0.0.0.0"}
    service.start()
    yield service
    service.client.close()
    service.stop()


def key(service: Service, client: str, *scopes: str, project: str = "shop") -> str:
    """Make one on the command line."""
    options = [word for scope in scopes for word in ("--scope", scope)]
    made = service.run("keys", "create", client, "--project", project, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


@pytest.fixture
def dashboard(service: Service) -> Iterator[str]:
    """The address of a dashboard beside the service, which starts meanwhile."""
    port = free_port()
    with (service.folder / "dashboard.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bandit", "dashboard", "--port", str(port)],
            env=service.environ,
            stdout=log,
            stderr=log,
        )
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/_stcore/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_the_whole_loop_with_keys(service: Service, dashboard: str) -> None:
    admin = bearer(key(service, "ops", "admin", "read"))
    app_key, foreign = key(service, "app"), bearer(key(service, "spy", "read", project="spies"))

    declaring = {"policies/news": {"type": "vw", "surface": "news", "floor": 0.01}}
    declaring["surfaces/news"] = {"policy": "news", "max_actions": 50}
    for path, body in declaring.items():
        service.until("declaring", "PUT", f"/v1/{path}", 201, json=body, headers=admin)
    asked = {"surface": "news", "unit_id": "u", "actions": [{"id": "a"}, {"id": "b"}]}
    assert service.until("nobody", "POST", "/v1/rank", 401, json=asked)
    served: set[str] = set()
    while len(served) < 2:
        health = service.until("readiness", "GET", "/health/ready", 200).json()
        if health["revision"] == len(declaring):
            served.add(health["writer"])

    url = f"http://127.0.0.1:{service.port}"
    with BanditClient(url, api_key=app_key, options=Options(deadline_s=5.0)) as client:
        ranking = client.rank("news", "u-1", actions=[{"id": "a"}, {"id": "b"}], default=["a"])
        assert ranking.source != "default", ranking
        client.reward(ranking, 1.0)
    assert client.stats().delivered == 1
    where = f"/v1/decisions/{ranking.event_id}"
    found = service.until("the log", "GET", where, 200, headers=admin)
    assert found.json()["unit_id"] == "u-1"
    assert service.until("a spy", "GET", where, 404, headers=foreign)
    assert service.until("no scope", "GET", where, 403, headers=bearer(app_key))

    theirs = PersonalizerClient(f"{url}/s/news", CognitiveServicesCredentials(app_key))
    ranked = theirs.rank(
        rank_request=RankRequest(
            actions=[RankableAction(id="a", features=[]), RankableAction(id="b", features=[])]
        )
    )
    theirs.events.reward(event_id=ranked.event_id, value=1.0)
    stranger = PersonalizerClient(f"{url}/s/news", CognitiveServicesCredentials(app_key[:-2]))
    with pytest.raises(ErrorResponseException) as refused:
        stranger.rank(rank_request=RankRequest(actions=[RankableAction(id="a", features=[])]))
    assert refused.value.response.status_code == 401

    report = service.until("a report", "GET", "/v1/reports/surfaces/news", 200, headers=admin)
    assert report.json()["key"] == "news"
    assert service.until("a spy", "GET", "/v1/reports/surfaces/news", 404, headers=foreign)
    overview = service.until("a spy", "GET", "/v1/reports/overview", 200, headers=foreign)
    assert (overview.json()["surfaces"], overview.json()["experiments"]) == ([], [])

    printed = service.run("report", "--surface", "news", "--json")
    assert printed.returncode == 0, printed.stderr
    until(lambda: answers(dashboard), "the dashboard", WITHIN_S)

    revoked = service.run("keys", "revoke", app_key[7:15])
    assert revoked.returncode == 0, revoked.stderr
    for _ in range(4):
        service.until("its end", "POST", "/v1/rank", 401, json=asked, headers=bearer(app_key))
    listed = service.run("keys", "list").stdout.splitlines()
    assert [line for line in listed if app_key[7:15] in line and "revoked" in line]
    held = (service.folder / "api.log").read_text()
    held += "".join(
        p.read_bytes().decode("latin-1") for p in service.folder.rglob("*") if p.is_file()
    )
    assert app_key[16:] not in held
