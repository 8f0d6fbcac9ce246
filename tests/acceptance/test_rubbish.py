"""Raw rubbish over a socket against a real worker; `make fuzz` sends the whole corpus."""

import random
from collections.abc import Iterator

import pytest

from tests.acceptance.test_api import Service
from tests.fuzz import rubbish

pytestmark = pytest.mark.acceptance
BODIES = 150


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clickhouse_url: str) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), clickhouse_url)
    service.start(BANDIT_WORKERS="1")
    try:
        put = {"type": "uniform"}
        service.until("declaring", "PUT", "/v1/policies/random", 201, json=put)
        put = {"policy": "random"}
        service.until("declaring", "PUT", "/v1/surfaces/home.feed", 201, json=put)
        yield service
    finally:
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
