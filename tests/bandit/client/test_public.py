import subprocess
import sys
from importlib import resources

import bandit.client
from bandit.wire import RankRequest

HEAVY = ("numpy", "scipy", "litestar", "clickhouse_connect", "vowpal_wabbit_next", "streamlit")


def test_everything_public_is_there_and_typed() -> None:
    assert all(hasattr(bandit.client, name) for name in bandit.client.__all__)
    assert resources.files("bandit").joinpath("py.typed").is_file()


def test_every_field_of_a_rank_request_can_be_asked() -> None:
    asked = set(bandit.client.BanditClient.rank.__annotations__)
    assert set(RankRequest.__struct_fields__) <= asked
    assert bandit.client.AsyncBanditClient.rank.__annotations__ == (
        bandit.client.BanditClient.rank.__annotations__
    )


def test_client_brings_none_of_the_services_libraries_into_an_application() -> None:
    code = f"import sys, bandit.client; sys.exit(any(m in sys.modules for m in {HEAVY}))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_what_is_queued_is_delivered_at_the_end_of_a_process() -> None:
    code = """
import httpx
from bandit.client import BanditClient, Options

def accept(request):
    print(request.url.path, request.content.decode(), flush=True)
    return httpx.Response(202, json={"accepted": 1})

client = BanditClient(
    "http://s", options=Options(linger_s=60.0), transport=httpx.MockTransport(accept)
)
client.outcome("u-1", "revenue", 9.5, outcome_id="order-7")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=60, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("/v1/outcomes [")
    assert '"outcome_id":"order-7"' in done.stdout
    assert done.stderr == ""
