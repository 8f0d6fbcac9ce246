import socket
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.errors import SettingsError, StoreRejected, StoreUnavailable
from bandit.store.client import Store
from bandit.store.migrations import migrate
from tests.bandit.store.making import at_once
from tests.conftest import Gateway

OUTCOME = {
    "unit_id": ["u-1"],
    "ts": [1_790_000_000_000],
    "surface": [""],
    "name": ["revenue"],
    "value": [1.5],
    "outcome_id": ["o-1"],
    "writer": ["w"],
    "seq": [1],
}


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_store_that_is_away_is_unavailable(closed_port: int) -> None:
    with pytest.raises(StoreUnavailable, match=r"connect to 127\.0\.0\.1"):
        Store.connect(f"http://127.0.0.1:{closed_port}", database="b", timeout_s=0.2)


def test_store_that_does_not_answer_in_time_is_unavailable(deaf_port: int) -> None:
    with pytest.raises(StoreUnavailable, match="timed out"):
        Store.connect(f"http://127.0.0.1:{deaf_port}", database="b", timeout_s=0.2)


def test_store_that_goes_away_later_is_unavailable(clickhouse_url: str, closed_port: int) -> None:
    store = Store.connect(clickhouse_url, database="b")
    store._client._backend._base_url = f"http://127.0.0.1:{closed_port}/"
    with pytest.raises(StoreUnavailable, match="applied_migrations"):
        store.rows("applied_migrations")
    with pytest.raises(StoreUnavailable, match="insert into outcomes"):
        store.insert("outcomes", OUTCOME)
    store.close()


def test_wrong_password_is_unavailable_and_stays_secret(clickhouse_url: str) -> None:
    host = clickhouse_url.rsplit("@")[-1]
    with pytest.raises(StoreUnavailable) as caught:
        Store.connect(f"http://default:hunter2@{host}", database="b")
    assert "hunter2" not in str(caught.value)


def test_credentials_are_not_shown(store: Store, clickhouse_url: str) -> None:
    password = clickhouse_url.split("@")[0].rsplit(":")[-1]
    assert password not in repr(store)


@pytest.mark.parametrize(
    ("url", "database", "cluster"),
    [
        ("http://127.0.0.1:1", "drop table", None),
        ("http://127.0.0.1:1", "b", "it's"),
        ("tcp://127.0.0.1:9000", "b", None),
    ],
)
def test_names_that_can_not_be_are_refused(url: str, database: str, cluster: str | None) -> None:
    with pytest.raises(SettingsError, match="must be"):
        Store.connect(url, database=database, cluster=cluster)


def test_database_that_is_not_there_yet_is_unavailable(clickhouse_url: str) -> None:
    store = Store.connect(clickhouse_url, database="nobody_made_this")
    with pytest.raises(StoreUnavailable, match="nobody_made_this"):
        store.rows("applied_migrations")
    store.close()


def test_readonly_store_reads_and_changes_nothing(store: Store, clickhouse_url: str) -> None:
    store.insert("outcomes", OUTCOME)
    reader = Store.connect(clickhouse_url, database=store.database, readonly=True)
    assert reader.columns("applied_migrations")["name"]
    with pytest.raises((StoreRejected, StoreUnavailable)):
        reader.insert("outcomes", OUTCOME)
    with pytest.raises(StoreRejected):
        reader.apply("SELECT * FROM file('/etc/passwd', 'LineAsString')")
    reader.close()


def test_columns_are_named_also_when_no_row_is_there(store: Store) -> None:
    assert store.columns("snapshot_numbers") == {"policy": [], "number": []}


def test_parameters_must_be_those_of_the_query(store: Store) -> None:
    with pytest.raises(TypeError, match="must be given"):
        store.rows("snapshot_lineage", polcy="p")


def test_value_that_its_column_can_not_hold_is_rejected_and_leaves_nothing(store: Store) -> None:
    for bad in ({"seq": [-1]}, {"unit_id": ["\ud800"]}, {"ts": ["yesterday"]}):
        with pytest.raises(StoreRejected):
            store.insert("outcomes", OUTCOME | bad)
    assert stored_seqs(store, "w") == []


def test_column_that_no_migration_made_yet_is_unavailable(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="must be migrated"):
        store.insert("outcomes", OUTCOME | {"colour": ["red"]})


def stored_seqs(store: Store, writer: str) -> list[int]:
    [(seqs,)] = store.rows(
        "stored_seqs",
        table="outcomes",
        clock="ts",
        surface="",
        writer=writer,
        first=0,
        last=9,
        since_ms=0,
        until_ms=2_000_000_000_000,
    )
    return sorted(seqs)


def test_threads_share_a_store(store: Store) -> None:
    def insert_and_read(writer: str) -> list[int]:
        for seq in range(1, 6):
            store.insert("outcomes", OUTCOME | {"writer": [writer], "seq": [seq]})
        return stored_seqs(store, writer)

    answers = at_once(*(partial(insert_and_read, f"w{i}") for i in range(4)))
    assert answers == [[1, 2, 3, 4, 5]] * 4


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(policy=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_a_parameter_and_never_sql(store: Store, policy: str) -> None:
    assert store.rows("snapshot_lineage", policy=policy, since=0, upto=9) == []


def test_reader_of_the_gateway_reads_and_changes_nothing(gateway: Gateway) -> None:
    owner = Store.connect(gateway.url(), database="for_the_reader")
    migrate(owner)
    reader = Store.connect(gateway.url("reader"), database="for_the_reader", readonly=True)
    assert reader.columns("applied_migrations")["name"]
    with pytest.raises((StoreRejected, StoreUnavailable)):
        reader.insert("outcomes", OUTCOME)
    reader.close()
    owner.close()
