import re
from collections.abc import Iterator
from functools import partial

import pytest

from bandit.errors import StoreRejected
from bandit.store import migrations
from bandit.store.client import Store
from bandit.store.migrations import migrate, names, statements
from bandit.store.rendering import render
from tests.bandit.store.making import at_once

FILES = ["ledger.sql", *names()]
MAY_RUN_TWICE = re.compile(
    r"^(CREATE (DATABASE|TABLE|VIEW) IF NOT EXISTS|CREATE OR REPLACE VIEW|"
    r"ALTER TABLE \S+( ON CLUSTER \S+)?\s+(ADD|DROP|RENAME) \w+ IF|"
    r"DROP (TABLE|VIEW) IF EXISTS) "
)


def rendered(cluster: str | None) -> Iterator[str]:
    for name in FILES:
        for statement in statements(migrations._text(name), cluster=cluster is not None):
            yield render(statement, database="b", cluster=cluster)


def test_names_are_numbered_without_a_gap() -> None:
    assert [int(name[:4]) for name in names()] == list(range(1, len(names()) + 1))


def test_migrating_again_changes_nothing(store: Store) -> None:
    before = store.rows("applied_migrations")
    assert migrate(store) == []
    assert store.rows("applied_migrations") == before
    assert [name for name, _ in before] == names()


def test_migration_that_was_cut_short_is_run_again(store: Store) -> None:
    store.apply("TRUNCATE TABLE migrations$local")
    assert migrate(store) == names()


def test_two_processes_may_migrate_at_once(clickhouse_url: str, store: Store) -> None:
    store.apply("DROP DATABASE $database SYNC", in_database=False)
    stores = [Store.connect(clickhouse_url, database=store.database) for _ in range(3)]
    answers = at_once(*(partial(migrate, mine) for mine in stores))
    for mine in stores:
        mine.close()
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert [name for name, _ in store.rows("applied_migrations")] == names()


def test_applied_file_that_changed_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = migrations._text
    monkeypatch.setattr(migrations, "_text", lambda name: text(name) + "-- one more line\n")
    with pytest.raises(StoreRejected, match=r"0001_log.sql .* must not change any more"):
        migrate(store)


@pytest.mark.parametrize("cluster", [None, "main"])
def test_every_statement_is_sql_and_may_run_twice(store: Store, cluster: str | None) -> None:
    for statement in rendered(cluster):
        assert MAY_RUN_TWICE.match(statement), statement
        assert store._client.command(
            "SELECT formatQuery({sql:String})", parameters={"sql": statement}
        )


def test_cluster_has_a_replicated_and_a_distributed_table_for_each_of_one_node() -> None:
    def tables(cluster: str | None) -> dict[str, str]:
        return {
            match[1]: match[2]
            for statement in rendered(cluster)
            if (
                match := re.search(r"TABLE IF NOT EXISTS b\.(\w+).*ENGINE = (\w+)", statement, re.S)
            )
        }

    one_node, cluster = tables(None), tables("main")
    assert set(cluster) == set(one_node) | {f"{name}_local" for name in one_node}
    for name, engine in one_node.items():
        assert cluster[f"{name}_local"] == f"Replicated{engine}"
        assert cluster[name] == "Distributed"
    assert all("ON CLUSTER 'main'" in statement for statement in rendered("main"))
    assert not any("CLUSTER" in statement for statement in rendered(None))


def test_one_node_survives_power_loss_and_repeated_blocks() -> None:
    for statement in rendered(None):
        if "MergeTree" in statement:
            assert "fsync_after_insert = 1, fsync_part_directory = 1" in statement
            assert "non_replicated_deduplication_window = 10000" in statement
