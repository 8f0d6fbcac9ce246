"""The pool of databases: what one test leaves behind, no other finds."""

import pytest

from bandit.store.client import Store
from tests.databases import Databases

TABLES = "SELECT sum(total_rows) FROM system.tables WHERE database = currentDatabase()"


def reward(store: Store) -> None:
    columns = {"surface": ["home"], "value": [1.0], "writer": ["w"], "seq": [1]}
    store.insert("rewards", columns, token="w/1")


def rewards_n(store: Store) -> int:
    return store._client.command("SELECT count() FROM rewards")


def test_a_database_is_empty_when_it_is_lent_again(databases: Databases):
    first = databases.lend()
    made = first._client.command(TABLES)
    reward(first)
    databases.take_back(first, is_sound=True)
    second = databases.lend()
    assert second.database == first.database
    assert second._client.command(TABLES) == made == len(second.rows("applied_migrations"))
    databases.take_back(second, is_sound=True)


def test_a_block_that_another_test_inserted_is_no_repetition(databases: Databases):
    # Symptom: two tests with one writer's name and number; the second one's rows never came.
    for _ in range(2):
        store = databases.lend()
        reward(store)
        assert rewards_n(store) == 1
        reward(store)
        assert rewards_n(store) == 1, "the token must still mean something"
        databases.take_back(store, is_sound=True)


def test_no_two_have_one_database_at_once(databases: Databases):
    first, second = databases.lend(), databases.lend()
    reward(first)
    assert rewards_n(second) == 0
    for store in (first, second):
        databases.take_back(store, is_sound=True)


def is_there(database: str, asked: Store) -> bool:
    return bool(
        asked._client.command(
            "SELECT count() FROM system.databases WHERE name = {name:String}",
            parameters={"name": database},
        )
    )


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE $database.rewards ADD COLUMN colour String",
        "ALTER TABLE $database.rewards UPDATE value = 2 WHERE 1 SETTINGS mutations_sync = 1",
        "CREATE TABLE $database.more (x UInt8) ENGINE = Memory",
        "CREATE OR REPLACE VIEW $database.judged_rows AS SELECT 1",
        "DROP DATABASE $database SYNC",
        "INSERT INTO $database.migrations (name, digest) VALUES ('0099_next.sql', '')",
    ],
)
def test_a_changed_database_is_not_lent_again(databases: Databases, store: Store, change: str):
    changed = databases.lend()
    changed.apply(change, in_database=False)
    databases.take_back(changed, is_sound=True)
    assert not is_there(changed.database, store)


def test_what_a_failed_test_used_is_not_lent_again(databases: Databases, store: Store):
    failed = databases.lend()
    databases.take_back(failed, is_sound=False)
    assert not is_there(failed.database, store)


def test_a_store_that_the_test_closed_is_taken_back(databases: Databases, store: Store):
    closed = databases.lend()
    reward(closed)
    closed.close()
    databases.take_back(closed, is_sound=True)
    assert is_there(closed.database, store)
    again = databases.lend()
    assert (again.database, rewards_n(again)) == (closed.database, 0)
    databases.take_back(again, is_sound=True)


def test_nothing_is_left_when_the_pool_ends(clickhouse_url: str, store: Store):
    pool = Databases(clickhouse_url)
    used = pool.lend()
    pool.take_back(used, is_sound=True)
    assert is_there(used.database, store)
    pool.close()
    assert not is_there(used.database, store)
