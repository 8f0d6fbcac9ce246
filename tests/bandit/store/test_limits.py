"""A question that takes too much is cut by the engine itself, and it is said in words."""

from collections.abc import Iterator

import pytest

from bandit.errors import QueryCut, StoreUnavailable
from bandit.store.client import Limits, Store
from bandit.store.foreign_errors import our_errors
from tests.conftest import Gateway

HEAVY = {
    "Timeout exceeded": "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 3",
    "memory limit exceeded": "SELECT uniqExact(number) FROM numbers(100000000)",
}
LIMITS = {
    "Timeout exceeded": Limits(time_s=0.2, memory_bytes=1_000_000_000),
    "memory limit exceeded": Limits(time_s=100.0, memory_bytes=10_000_000),
}


@pytest.fixture(params=["reader", "default"])
def user(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LIMITS)
def limit(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bounded(gateway: Gateway, user: str, limit: str) -> Iterator[Store]:
    store = Store.connect(
        gateway.url(user), database="default", readonly=True, limits=LIMITS[limit]
    )
    yield store
    store.close()


def test_a_heavy_question_is_cut_and_the_next_one_is_answered(bounded: Store, limit: str) -> None:
    with pytest.raises(QueryCut) as caught, our_errors("experiment_cells"):
        bounded._client.query(HEAVY[limit])
    said = str(caught.value)
    assert said.startswith("experiment_cells was cut by ClickHouse (")
    assert limit in said
    assert said.endswith("must take less: ask for less, or later")
    assert "DB::Exception" not in said
    assert bounded._client.query("SELECT 1").result_rows == [(1,)]


def test_whoever_waits_for_the_store_waits_for_this_too() -> None:
    assert issubclass(QueryCut, StoreUnavailable)
