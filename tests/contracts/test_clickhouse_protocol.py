"""The unmodified clickhouse-connect client against ClickHouse's HTTP protocol.

Runs against the embedded gateway, and against a real server when BANDIT_TEST_CLICKHOUSE_URL names
one: what passes here is what the rest of the project may rely on in both worlds.
(Over 400 lines: one protocol, one suite to point at a server.)
"""

import asyncio
import datetime as dt
import gzip
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

TABLE = """
    id UUID, ts DateTime64(3, 'UTC'), lc LowCardinality(String), n Nullable(Int32),
    a Array(Float32), m Map(String, UInt8), tup Tuple(x Int8, y String), d Decimal(18, 4),
    e Enum8('a' = 1, 'b' = 2), s String, arrlc Array(LowCardinality(String))
"""
COLUMNS = ["id", "ts", "lc", "n", "a", "m", "tup", "d", "e", "s", "arrlc"]
TIMES = [dt.datetime(2026, 1, 1, 0, 0, i, 123_000, tzinfo=dt.UTC) for i in range(3)]
IDS = [uuid.UUID(int=i + 1) for i in range(3)]
NASTY = "q'uo\"te\\ üñ\t\n"


def row(i: int) -> list[object]:
    n = None if i == 1 else i
    pair = {"x": i, "y": "z"}
    money = Decimal("1.2345")
    return [IDS[i], TIMES[i], f"k{i % 2}", n, [0.5 * i, 1.0], {"a": i}, pair, money, "a", NASTY,
            ["x", "y"]]  # fmt: skip


def rows() -> list[list[object]]:
    return [row(i) for i in range(3)]


Connect = Callable[..., Client]


@pytest.fixture
def connect(clickhouse_url: str) -> Iterator[Connect]:
    clients: list[Client] = []

    def make(**options: Any) -> Client:
        options.setdefault("autogenerate_session_id", False)
        clients.append(clickhouse_connect.get_client(dsn=clickhouse_url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    """A table with one column of each kind, in a database of its own."""
    database = f"protocol_{uuid.uuid4().hex}"
    client.command(f"CREATE DATABASE {database}")
    client.command(
        f"CREATE TABLE {database}.x ({TABLE}) ENGINE = MergeTree ORDER BY (lc, ts)"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    yield f"{database}.x"
    client.command(f"DROP DATABASE {database}")


def count(client: Client, table: str, where: str = "1") -> int:
    return int(client.query(f"SELECT count() FROM {table} WHERE {where}").first_row[0])


def test_ping_answers(client: Client) -> None:
    assert client.ping()


def test_ddl_gives_no_rows_and_shows_in_the_catalogue(client: Client, table: str) -> None:
    database, _ = table.split(".")
    assert database in str(client.command("SHOW DATABASES"))
    found = client.query(
        "SELECT name FROM system.columns WHERE database = {db:String} AND table = 'x'",
        parameters={"db": database},
    )
    assert [row[0] for row in found.result_rows] == COLUMNS


def test_native_insert_round_trips_every_kind_of_column(client: Client, table: str) -> None:
    assert client.insert(table, rows(), column_names=COLUMNS).written_rows == 3
    found = client.query(f"SELECT * FROM {table} ORDER BY ts", query_tz="UTC").result_rows
    for got, sent in zip(found, rows(), strict=True):
        assert list(got[:1]) + list(got[2:]) == sent[:1] + sent[2:]
        assert got[1].replace(tzinfo=dt.UTC) == sent[1]


def test_a_deduplication_token_admits_a_block_once(client: Client, table: str) -> None:
    for _ in range(2):
        client.insert(
            table, rows(), column_names=COLUMNS, settings={"insert_deduplication_token": "once"}
        )
    assert count(client, table) == 3


def test_a_deduplication_token_does_not_leak_into_later_inserts(client: Client, table: str) -> None:
    client.insert(
        table, rows(), column_names=COLUMNS, settings={"insert_deduplication_token": "leaky"}
    )
    other = [[f"k{i}", "s"] for i in range(5)]
    client.insert(table, other, column_names=["lc", "s"])
    assert count(client, table) == 8


@pytest.mark.parametrize("form", [False, True])
def test_parameters_are_bound_by_type(connect: Connect, form: bool) -> None:
    asked = connect(form_encode_query_params=form).query(
        "SELECT {a:Int32}, {b:String}, {c:Array(String)}, {d:DateTime64(3)}",
        parameters={"a": 3, "b": NASTY, "c": ["p", "q'"], "d": TIMES[0]},
    )
    a, b, c, d = asked.first_row
    assert (a, b, c) == (3, NASTY, ["p", "q'"])
    assert d.replace(tzinfo=dt.UTC) == TIMES[0]


def test_large_parameters_travel_in_a_form(client: Client) -> None:
    long = "x" * 100_000
    assert client.query("SELECT {a:String}", parameters={"a": long}).first_row == (long,)


def test_identifiers_are_bound(client: Client, table: str) -> None:
    database, name = table.split(".")
    client.command(
        "INSERT INTO {db:Identifier}.{t:Identifier} (lc, s) VALUES ({lc:String}, 'v')",
        parameters={"db": database, "t": name, "lc": "bound"},
    )
    assert count(client, table, "lc = 'bound'") == 1


def test_settings_hold_for_one_request_only(client: Client) -> None:
    def size() -> int:
        return int(client.query("SELECT getSetting('max_block_size')").first_row[0])

    before = size()
    asked = client.query(
        "SELECT getSetting('max_block_size')", settings={"max_block_size": before + 1}
    )
    assert asked.first_row == (before + 1,)
    assert size() == before


def test_the_database_is_chosen_per_client(connect: Connect, client: Client, table: str) -> None:
    database, name = table.split(".")
    inside = connect(database=database)
    assert inside.query(f"SELECT count() FROM {name}").first_row == (0,)
    assert client.query("SELECT currentDatabase()").first_row == ("default",)


@pytest.mark.parametrize("tail", ["WHERE 0", "LIMIT 0"])
def test_an_empty_result_has_its_columns(client: Client, table: str, tail: str) -> None:
    found = client.query(f"SELECT lc, n, 1 AS one FROM {table} {tail}")
    assert found.column_names == ("lc", "n", "one")
    assert found.result_rows == []


def test_numpy_pandas_and_arrow_results(client: Client, table: str) -> None:
    client.insert(table, rows(), column_names=COLUMNS)
    assert client.query_np("SELECT number FROM numbers(5)").shape == (5, 1)
    assert client.query_df(f"SELECT * FROM {table}").shape == (3, 11)
    assert client.query_arrow(f"SELECT ts, lc, n, a FROM {table}").shape == (3, 4)


def test_pandas_and_arrow_inserts(client: Client, table: str) -> None:
    frame = pd.DataFrame(
        {"id": [str(IDS[0])], "ts": [pd.Timestamp("2026-01-02", tz="UTC")], "lc": ["d"], "s": ["d"]}
    )
    assert client.insert_df(table, frame).written_rows == 1
    arrow = pa.table({"lc": ["r"] * 4, "s": ["1"] * 4})
    assert client.insert_arrow(table, arrow).written_rows == 4


def test_raw_inserts_in_any_format(client: Client, table: str) -> None:
    names = ["lc", "s"]
    lines = b'{"lc":"j","s":"1"}\n{"lc":"j","s":"2"}\n'
    insert = client.raw_insert
    assert insert(table, names, lines, fmt="JSONEachRow").written_rows == 2
    assert insert(table, names, b"c,1\nc,2\nc,3\n", fmt="CSV").written_rows == 3
    assert insert(table, names, (line for line in [lines, lines]), fmt="JSONEachRow").written_rows
    packed = gzip.compress(b'{"lc":"j","s":"3"}\n')
    assert insert(table, names, packed, fmt="JSONEachRow", compression="gzip").written_rows == 1
    assert count(client, table, "lc = 'j'") == 7


def test_inserts_without_data_of_ours(client: Client, table: str) -> None:
    client.command(f"INSERT INTO {table} (lc, s) VALUES ('v', '1'), ('v', '2')")
    client.command(f"INSERT INTO {table} (lc, s) SELECT 'v', toString(number) FROM numbers(10)")
    client.command(f"INSERT INTO {table} (lc, s) FORMAT Values", data="('v', 'in the body')")
    assert count(client, table, "lc = 'v'") == 13


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_compression_both_ways(connect: Connect, table: str, compress: str | bool) -> None:
    client = connect(compress=compress)
    values = [f"s{i}" for i in range(100_000)]
    sent = client.insert(
        table, [["c"] * 100_000, values], column_names=["lc", "s"], column_oriented=True
    )
    assert sent.written_rows == 100_000
    found = client.query(f"SELECT s FROM {table}", column_oriented=True).result_set[0]
    assert sorted(found) == sorted(values)


def test_commands_give_their_value(client: Client) -> None:
    assert client.command("SELECT 2") == 2
    assert client.command("SELECT 'a', 'b'") == ["a", "b"]


def test_raw_queries_in_any_format(client: Client) -> None:
    assert client.raw_query("SELECT 1 AS x", fmt="JSONEachRow") == b'{"x":1}\n'
    assert client.raw_query("SELECT 1 AS x FORMAT CSVWithNames") == b'"x"\n1\n'


def test_a_long_statement(client: Client) -> None:
    found = client.query("SELECT " + ",".join(["1"] * 5000))
    assert len(found.first_row) == 5000


def test_streams_of_rows_blocks_frames_and_arrow(client: Client) -> None:
    with client.query_rows_stream("SELECT number, toString(number) FROM numbers(300000)") as found:
        assert sum(row[0] for row in found) == 300_000 * 299_999 // 2
    with client.query_column_block_stream("SELECT number FROM numbers(1000000)") as found:
        assert sum(len(block[0]) for block in found) == 1_000_000
    with client.query_df_stream("SELECT number FROM numbers(300000)") as found:
        assert sum(len(block) for block in found) == 300_000
    with client.query_arrow_stream("SELECT number FROM numbers(300000)") as found:
        assert sum(block.num_rows for block in found) == 300_000


def test_a_result_larger_than_any_buffer_arrives_whole(client: Client) -> None:
    found = client.query("SELECT number, toString(number) FROM numbers(1500000)")
    assert found.row_count == 1_500_000
    assert found.result_rows[-1] == (1_499_999, "1499999")


def test_a_query_has_a_summary(client: Client) -> None:
    summary = client.query("SELECT number FROM numbers(10)").summary
    assert (summary["read_rows"], summary["result_rows"]) == ("10", "10")


def test_totals_follow_the_rows(client: Client) -> None:
    sql = "SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k"
    assert client.raw_query(sql, fmt="TSV") == b"0\t5\n1\t5\n\n0\t10\n"


def test_raw_streams(client: Client) -> None:
    stream = client.raw_stream("SELECT number FROM numbers(1000)", fmt="TSV")
    assert stream.read() == b"".join(b"%d\n" % i for i in range(1000))
    stream.close()


def test_a_stream_may_be_abandoned(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(10000000)") as found:
        next(iter(found))
    assert client.command("SELECT 7") == 7


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM nope", 60),
        ("SELECT * FROM nope.nope", 81),
        ("SELECT nope", 47),
        ("SELECT nope(1)", 46),
        ("SELECT FROM WHERE", 62),
        ("SELECT toInt8('x')", 6),
        ("SELECT {a:Int8}", 456),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT 1 INTO OUTFILE 'x'", None),
    ],
)
def test_errors_carry_their_code(client: Client, sql: str, code: int | None) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(sql)
    assert code is None or caught.value.code == code


def test_an_unknown_setting_is_refused(connect: Connect) -> None:
    client = connect()
    with pytest.raises(DatabaseError) as caught:
        client.raw_query("SELECT 1", settings={"custom_nonsense": 1}, transport_settings={})
    assert caught.value.code == 115


def test_a_bad_row_refuses_the_whole_insert(client: Client, table: str) -> None:
    lines = '{"lc":"bad","n":1}\n{"lc":"bad","n":"zzz"}\n'
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert(table, ["lc", "n"], lines, fmt="JSONEachRow")
    assert caught.value.code == 27
    assert count(client, table, "lc = 'bad'") == 0


@pytest.mark.parametrize("compress", ["lz4", "zstd", False])
def test_an_error_in_mid_stream_reaches_the_client(connect: Connect, compress: str | bool) -> None:
    sql = "SELECT throwIf(number = 2000000) FROM numbers(3000000)"
    with (
        pytest.raises(StreamFailureError, match=r"395|throwIf"),
        connect(compress=compress).query_rows_stream(sql) as found,
    ):
        for _ in found:
            pass


def test_a_session_keeps_its_temporary_tables_and_settings(connect: Connect) -> None:
    client = connect(session_id=uuid.uuid4().hex)
    client.command("CREATE TEMPORARY TABLE t (a Int8)")
    client.command("INSERT INTO t VALUES (5)")
    client.command("SET max_block_size = 4242")
    once = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 7})
    assert once.first_row == (7,)
    found = client.query("SELECT a, getSetting('max_block_size') FROM t")
    assert found.first_row == (5, 4242)
    with pytest.raises(DatabaseError):
        connect().query("SELECT a FROM t")


def test_external_data_is_a_table_of_the_query(client: Client) -> None:
    data = ExternalData(
        file_name="ext.csv", data=b"1,a\n2,b\n", fmt="CSV", structure="a Int32, b String"
    )
    found = client.query("SELECT a, b FROM ext ORDER BY a", external_data=data)
    assert found.result_rows == [(1, "a"), (2, "b")]
    with pytest.raises(DatabaseError):
        client.query("SELECT a FROM ext")


def test_max_execution_time_ends_a_query(client: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(
            "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))",
            settings={"max_execution_time": 0.2},
        )
    assert caught.value.code == 159


def test_kill_query_ends_a_query_by_the_clients_id(connect: Connect, client: Client) -> None:
    query_id = uuid.uuid4().hex
    other = connect()
    failures: list[DatabaseError] = []

    def run() -> None:
        with pytest.raises(DatabaseError) as caught:
            other.query(
                "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))",
                settings={"query_id": query_id, "max_execution_time": 60},
            )
        failures.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        client.command(f"KILL QUERY WHERE query_id = '{query_id}' ASYNC")
        thread.join(0.05)
    assert [failure.code for failure in failures] == [394]


def test_the_async_client_asks_many_things_at_once(clickhouse_url: str, table: str) -> None:
    async def run() -> int:
        client = await clickhouse_connect.get_async_client(
            dsn=clickhouse_url, autogenerate_session_id=False
        )
        try:
            found = await asyncio.gather(
                *[client.query("SELECT number FROM numbers(1000)") for _ in range(20)]
            )
            await client.insert(table, [["as", "1"]], column_names=["lc", "s"])
            asked = await client.query("SELECT {a:String}", parameters={"a": "x" * 100_000})
            assert asked.first_row == ("x" * 100_000,)
        finally:
            await client.close()
        return sum(result.row_count for result in found)

    assert asyncio.run(run()) == 20_000


def test_many_threads_at_once(connect: Connect) -> None:
    client = connect()
    answers: list[Any] = []

    def ask() -> None:
        sql = "SELECT sum(number) FROM numbers(100000)"
        answers.extend(client.command(sql) for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [4_999_950_000] * 80


def test_a_wrong_password_is_refused(clickhouse_url: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        clickhouse_connect.get_client(dsn=clickhouse_url, password="wrong")
    assert caught.value.code == 516
