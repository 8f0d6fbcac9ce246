"""The one door to ClickHouse: named queries in, rows out, blocks in, our own errors out.

It speaks HTTP through `clickhouse-connect`, to the embedded gateway or to a real server alike.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver import httputil
from clickhouse_connect.driver.binding import format_bind_value
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3 import PoolManager, Timeout

from bandit.errors import SettingsError, StoreUnavailable
from bandit.store.foreign_errors import our_errors
from bandit.store.queries import Query, named_queries
from bandit.store.rendering import render

_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_CONNECTIONS = 32

_WRITING: dict[str, object] = {
    # A block is large already, and its token must mean what it says.
    "async_insert": 0,
    "wait_for_async_insert": 1,
}
_ON_CLUSTER: dict[str, object] = {
    # An acknowledged block is on the shard, and on most of its replicas.
    "distributed_foreground_insert": 1,
    "insert_quorum": "auto",
    # Joins hold across shards, also of tables that are sharded by different keys.
    "distributed_product_mode": "global",
}
_FIXED = frozenset({164, 452})
"""ClickHouse's codes of a setting that this user may not change, or not to that."""
ONE_ORDER: dict[str, object] = {"insert_quorum_parallel": 0}
"""For inserts into tables whose rows compete: replicas agree on which was first."""


class Statement(NamedTuple):
    """A named query with what it is asked with.

    Attributes:
        name, description: Of the query.
        sql: Its text, with `{name:Type}` where a parameter goes.
        parameters: The text of each, as the server reads it: what `SET param_<name>` takes.
    """

    name: str
    description: str
    sql: str
    parameters: dict[str, str]


def statement(name: str, **parameters: object) -> Statement:
    """A named query with its parameters as text; nothing is asked.

    >>> statement("definition_history", kind="metric", key="click").parameters
    {'kind': 'metric', 'key': 'click'}
    """
    query, bound = _bound(name, parameters)
    texts = {key: str(format_bind_value(value)) for key, value in bound.items()}
    return Statement(query.name, query.description, query.sql, texts)


class Limits(NamedTuple):
    """What one question may take before ClickHouse cuts it.

    Attributes:
        time_s: From its begin to its end.
        memory_bytes: At once.
    """

    time_s: float
    memory_bytes: int


class Store:
    """A connection to one database of ClickHouse; threads may share it."""

    def __init__(
        self, client: HttpClient, pool: PoolManager, *, database: str, cluster: str | None
    ) -> None:
        self._client = client
        self._pool = pool
        self._types: dict[str, dict[str, ClickHouseType]] = {}
        self.database = database
        self.cluster = cluster

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        database: str,
        user: str = "default",
        password: str = "",
        cluster: str | None = None,
        readonly: bool = False,
        timeout_s: float = 10.0,
        limits: Limits | None = None,
    ) -> Self:
        """Connect; the database need not exist yet.

        Args:
            url: `http://host:8123` or `https://…`; a user and password in it win over the others.
            cluster: Its name, if the tables live on one.
            readonly: Refuse statements that change anything or that read files and addresses.
            timeout_s: How long to wait for a connection, and for an answer to begin.
            limits: What each question may take, as far as this user may say so; None: as the
                server says.

        Raises:
            SettingsError: `database` or `cluster` can not be such a name.
            StoreUnavailable: Nobody answers there, or not to this user.
        """
        for what, name in (("database", database), ("cluster", cluster or "_")):
            if not _IDENTIFIER.match(name):
                raise SettingsError(f"{what} is {name!r}, must be letters, digits and underscores")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise SettingsError(f"ClickHouse's URL is {parts.scheme}://…, must be http or https")
        # A pool of our own: it is closed with us, and no proxy of the environment comes between.
        pool = httputil.get_pool_manager(maxsize=_CONNECTIONS)
        try:
            with our_errors(f"connect to {parts.hostname}"):
                client = clickhouse_connect.get_client(
                    interface=parts.scheme,
                    host=parts.hostname or "localhost",
                    port=parts.port or (8443 if parts.scheme == "https" else 8123),
                    proxy_path=parts.path,
                    username=unquote(parts.username) if parts.username else user,
                    password=unquote(parts.password) if parts.password else password,
                    connect_timeout=math.ceil(timeout_s),
                    send_receive_timeout=math.ceil(timeout_s),
                    autogenerate_session_id=False,
                    client_name="bandit",
                    pool_mgr=pool,
                )
                assert isinstance(client, HttpClient)
                client.database = database
                client.timeout = Timeout(connect=timeout_s, read=timeout_s)
                if limits is not None:
                    _limit(client, limits)
                for key, value in _settings(client, cluster, readonly).items():
                    client.set_client_setting(key, value)
        except BaseException:
            _close(pool)
            raise
        return cls(client, pool, database=database, cluster=cluster)

    def __repr__(self) -> str:
        return f"Store({self._client.url!r}, database={self.database!r}, cluster={self.cluster!r})"

    def rows(self, name: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Answer of a named query, row by row.

        Raises:
            StoreUnavailable: The store did not answer.
            StoreRejected: It refused.
        """
        query, bound = _bound(name, parameters)
        with our_errors(name):
            return list(self._result(query, bound).result_rows)

    def columns(self, name: str, **parameters: object) -> dict[str, Sequence[Any]]:
        """Answer of a named query, column by column; every column is there even if no row is.

        Raises:
            StoreUnavailable: The store did not answer.
            StoreRejected: It refused.
        """
        query, bound = _bound(name, parameters)
        with our_errors(name):
            result = self._result(query, bound)
            columns = dict(zip(result.column_names, result.result_columns, strict=True))
            if columns:
                return columns
            # An empty answer in Native format may come without its header.
            described = self._client.query(f"DESCRIBE ({query.sql})", parameters=bound)
            return {name: [] for name, *_ in described.result_rows}

    def arrow(self, name: str, **parameters: object) -> Any:
        """Answer of a named query as a `pyarrow.Table`; texts may be no UTF-8: cast before looking.

        Raises:
            StoreUnavailable: The store did not answer.
            StoreRejected: It refused.
        """
        query, bound = _bound(name, parameters)
        with our_errors(name):
            return self._client.query_arrow(query.sql, parameters=bound)

    def insert(
        self,
        table: str,
        columns: Mapping[str, Sequence[Any]],
        *,
        token: str | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Store a block of rows; all of one partition or none.

        Args:
            table: Its plain name; on a cluster that is the distributed one.
            columns: All of one length.
            token: The same for the same block, however often it is tried.
            settings: ClickHouse settings of this insert only.

        Raises:
            StoreUnavailable: The outcome is unknown.
            StoreRejected: The block can never be stored as it is.
        """
        given = {**_WRITING, **(settings or {})}
        if token is not None:
            given["insert_deduplication_token"] = token
        with our_errors(f"insert into {table}"):
            self._client.insert(
                table,
                list(columns.values()),
                column_names=list(columns),
                column_types=self._types_of(table, columns),
                column_oriented=True,
                settings=given,
            )

    def command(self, name: str, **parameters: object) -> None:
        """Run a named query that answers nothing.

        Raises:
            StoreUnavailable: The outcome is unknown.
            StoreRejected: It was refused.
        """
        query, bound = _bound(name, parameters)
        with our_errors(name):
            self._client.command(self._rendered(query.sql), parameters=bound)

    def apply(self, statement: str, *, in_database: bool = True) -> None:
        """Run a statement of a migration.

        Args:
            in_database: False for the one that creates it.

        Raises:
            StoreUnavailable: The outcome is unknown.
            StoreRejected: It was refused.
        """
        with our_errors(statement.partition("\n")[0]):
            self._client.command(self._rendered(statement), use_database=in_database)

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()
        _close(self._pool)

    def _rendered(self, text: str) -> str:
        return render(text, database=self.database, cluster=self.cluster)

    def _result(self, query: Query, bound: dict[str, object]) -> Any:
        return self._client.query(
            query.sql,
            parameters=bound,
            column_formats=dict.fromkeys(query.bytes_columns, "bytes"),
        )

    def _types_of(self, table: str, columns: Iterable[str]) -> list[ClickHouseType]:
        """Types of columns; asked once, where the driver would ask before every insert."""
        if not _IDENTIFIER.match(table):
            raise ValueError(f"table is {table!r}, must be a plain name")
        if table not in self._types:
            described = self._client.query(f"DESCRIBE TABLE {table}").result_rows
            self._types[table] = {name: get_from_name(kind) for name, kind, *_ in described}
        known = self._types[table]
        if strangers := [name for name in columns if name not in known]:
            del self._types[table]
            raise StoreUnavailable(f"{table} has no {', '.join(strangers)}, must be migrated first")
        return [known[name] for name in columns]


def _limit(client: HttpClient, limits: Limits) -> None:
    """Bound every question; who may not say so is bounded by the profile that forbids it."""
    asked = {
        "max_execution_time": f"{limits.time_s:g}",
        "max_memory_usage": str(limits.memory_bytes),
    }
    # Not by the driver's own way: it takes a reader's settings for fixed, which these need not be.
    client.params.update(asked)
    try:
        client.command("SELECT 1")
    except DatabaseError as exc:
        if exc.code not in _FIXED:
            raise
        for name in asked:
            del client.params[name]


def _settings(client: HttpClient, cluster: str | None, readonly: bool) -> dict[str, object]:
    """Settings of every statement, as far as this user may change any."""
    current = client.server_settings.get("readonly")
    if current is not None and current.value == "1":
        return {}  # the server's profile of that user says what it reads with
    mine: dict[str, object] = dict(_ON_CLUSTER) if cluster else {}
    if readonly and current is not None and current.value == "0":
        mine["readonly"] = 1  # last: after it, nothing else may be set
    return mine


def _bound(name: str, given: Mapping[str, object]) -> tuple[Query, dict[str, object]]:
    query = named_queries()[name]
    if given.keys() != query.parameters.keys():
        raise TypeError(
            f"query {name!r} was given {sorted(given)}, must be given {sorted(query.parameters)}"
        )
    bound = {key: list(v) if isinstance(v, tuple) else v for key, v in given.items()}
    return query, bound


def _close(pool: PoolManager) -> None:
    pool.clear()
    httputil.all_managers.pop(pool, None)
