"""Raw rubbish over a socket against a real worker; `make fuzz` sends the whole corpus."""

import os
import random
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from bandit.service.token_keys import TokenKeyFile
from bandit.service.tokens import TokenKey
from tests.acceptance.test_api import Service
from tests.fuzz import rubbish

pytestmark = pytest.mark.acceptance
BODIES = 150
SALT, SIGNING = "salt-5ec4e7-of-the-project", "5ec4e75ec4e75ec4" * 4
BEARER, TOKEN = "bandit_5ec4e7aa_5ec4e7-of-a-client", "5ec4e7-token-of-a-decision"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clickhouse_url: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    keys = TokenKeyFile(folder / "keys.json")
    keys.write([TokenKey(kid="k-01", secret=SIGNING, signs_from_ms=0)], os.urandom)
    service = Service(folder, clickhouse_url)
    service.start(
        BANDIT_WORKERS="1",
        BANDIT_SALT=SALT,
        BANDIT_TOKEN_KEYS_FILE=str(keys.path),
        BANDIT_LOG_LEVEL="debug",
    )
    try:
        put = {"type": "uniform"}
        service.until("declaring", "PUT", "/v1/policies/random", 201, json=put)
        put = {"policy": "random"}
        service.until("declaring", "PUT", "/v1/surfaces/home.feed", 201, json=put)
        yield service
    finally:
        service.client.close()
        service.stop()


def test_rubbish_is_refused_and_the_worker_lives(service: Service) -> None:
    bodies = list(rubbish.bodies())
    some = [*random.Random(7).sample(bodies, BODIES), *rubbish.slow()]
    some += [one for one in rubbish.encodings() if "/v1/rank" in one.name]
    some += [*rubbish.framings(), *rubbish.heads()]
    found = [fault for one in some for fault in rubbish.faults(rubbish.send(service.port, one))]
    assert found == []
    feed = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}
    service.until("ranking after it", "POST", "/v1/rank", 200, json=feed)
    assert "a request failed" not in service.log.read_text()


def test_no_secret_is_in_any_log(service: Service, clickhouse_url: str) -> None:
    """Also not after requests that brought some and failed, at the level that says most."""
    for path in ("/v1/rank", "/v1/rewards", "/v1/exposures", "/personalizer/v1.0/rank", "/nowhere"):
        for sent in ({"token": TOKEN}, {"token": [TOKEN]}, {"salt": SALT}, [TOKEN]):
            headers = {"authorization": f"Bearer {BEARER}", "ocp-apim-subscription-key": BEARER}
            answer = service.client.post(path, json=sent, headers=headers, params={"key": BEARER})
            assert 400 <= answer.status_code < 500
            assert BEARER not in answer.text
    service.client.get("/metrics")
    password = urlsplit(clickhouse_url).password or ""
    assert len(password) > 8
    log = service.log.read_text()
    assert len(log) > 100
    for secret in (SALT, SIGNING, BEARER, TOKEN, password):
        assert secret not in log
        assert secret.encode().hex() not in log
