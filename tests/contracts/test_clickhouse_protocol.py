"""The unmodified clickhouse-connect client against the gateway, or a real server by URL."""

import clickhouse_connect


def test_a_client_connects_and_asks(clickhouse_url: str) -> None:
    client = clickhouse_connect.get_client(dsn=clickhouse_url)
    assert client.ping()
    assert client.query("SELECT {a:Int8} + 1", parameters={"a": 1}).first_row == (2,)
    client.close()
