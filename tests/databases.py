"""Migrated databases that tests use one after another: to make one costs half a second."""

import uuid
from typing import NamedTuple

from bandit.store.client import Store
from bandit.store.migrations import migrate

_MADE = """
SELECT name, create_table_query FROM system.tables WHERE database = {name:String}
UNION ALL
SELECT 'mutations', toString(count()) FROM system.mutations WHERE database = {name:String}
ORDER BY ALL
"""
_APPLIED = "SELECT name, digest FROM {name:Identifier}.migrations ORDER BY ALL"


class _Database(NamedTuple):
    name: str
    as_made: list[tuple[str, str]]


class Databases:
    """Lends databases of one ClickHouse; each is as good as new, and nobody else's meanwhile.

    What is given back is emptied and lent again, which takes the tokens of its inserts with it: a
    block that an earlier test inserted is no repetition for the next. A database is dropped
    instead if a table, a view or the list of migrations is not what `migrate` made, if rows were
    changed in place (ClickHouse tells of that for as long as the table is there), or if whoever
    gives it back says that it is no good.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keeper = Store.connect(url, database="default")
        self._free: list[_Database] = []
        self._lent: dict[str, _Database] = {}

    def lend(self) -> Store:
        """A store connected to an empty, migrated database."""
        database = self._free.pop() if self._free else self._make()
        self._lent[database.name] = database
        return Store.connect(self._url, database=database.name)

    def take_back(self, store: Store, *, is_sound: bool) -> None:
        """End of a loan; the store is closed."""
        store.close()
        database = self._lent.pop(store.database)
        if is_sound and self._made(database.name) == database.as_made:
            self._keeper.apply(f"TRUNCATE ALL TABLES FROM {database.name} NOT LIKE 'migrations'")
            self._free.append(database)
        else:
            self._drop(database.name)

    def close(self) -> None:
        """Drop what was made."""
        for name in (*self._lent, *(database.name for database in self._free)):
            self._drop(name)
        self._keeper.close()

    def _make(self) -> _Database:
        store = Store.connect(self._url, database=f"test_{uuid.uuid4().hex}")
        try:
            migrate(store)
        finally:
            store.close()
        return _Database(store.database, self._made(store.database))

    def _made(self, name: str) -> list[tuple[str, str]]:
        ask, given = self._keeper._client.query, {"name": name}
        made = ask(_MADE, parameters=given).result_rows
        has_ledger = any(table == "migrations" for table, _ in made)
        return [*made, *(ask(_APPLIED, parameters=given).result_rows if has_ledger else ())]

    def _drop(self, name: str) -> None:
        self._keeper.apply(f"DROP DATABASE IF EXISTS {name} SYNC")
