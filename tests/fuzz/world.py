"""A real service to throw things at: the embedded ClickHouse, `bandit api`, and declarations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.acceptance.test_api import Service
from tests.conftest import start_gateway, stop_gateway

JSON = {"content-type": "application/json"}
DECLARED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/policies/random", {"type": "uniform"}),
    ("/v1/policies/feed-vw", {"type": "vw", "surface": "home.feed", "floor": 0.001}),
    ("/v1/surfaces/home.feed", {"policy": "feed-vw", "shadows": ["random"]}),
    ("/v1/surfaces/shop.top", {"policy": "random", "signed": True, "unit_rewards_per_hour": 50}),
    ("/v1/surfaces/personalizer", {"policy": "random"}),
    ("/v1/metrics/clicks", {"source": "reward", "name": "click", "per": "decision"}),
    ("/v1/layers/checkout", {"salt": "checkout-2026", "holdout": [[0, 500]]}),
    (
        "/v1/experiments/button",
        {
            "salt": "button-2026",
            "targeting": "context.country in ['US', 'CA']",
            "control": "blue",
            "status": "running",
            "variants": [
                {"key": "blue", "payload": 1, "allocation": [[0, 5000]]},
                {"key": "green", "payload": 2, "allocation": [[5000, 10000]]},
            ],
        },
    ),
)


@contextmanager
def running(workers: int = 1) -> Iterator[Service]:
    """A service in a folder of its own, gone afterwards."""
    with TemporaryDirectory(prefix="bandit-fuzz-") as folder:
        gateway = start_gateway(Path(folder) / "gateway")
        try:
            service = Service(Path(folder), gateway.url())
            service.environ |= {"BANDIT_WORKERS": str(workers)}
            service.start()
            try:
                for path, spec in DECLARED:
                    service.until(f"declaring {path}", "PUT", path, 201, json=spec)
                feed = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}
                service.until("serving", "POST", "/v1/rank", 200, json=feed)
                yield service
            finally:
                service.stop()
        finally:
            stop_gateway(gateway)


def failures_logged(service: Service) -> list[str]:
    """What the service itself thought was its own fault."""
    return [line for line in service.log.read_text().splitlines() if "a request failed" in line]


def alive(service: Service) -> bool:
    """Whether it answers as it should."""
    feed = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=10.0) as client:
            return client.post("/v1/rank", json=feed).status_code == 200
    except httpx.HTTPError:
        return False
