import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.statement import (
    first_word,
    is_query,
    leading_words,
    output_format,
    split_insert,
    without_format,
)

NATIVE = b"\x02\x01\x00format CSV\nVALUES SELECT"


@pytest.mark.parametrize(
    "statement",
    [
        b"INSERT INTO t",
        b"insert into db.t (a, b)",
        b"INSERT INTO TABLE t",
        b"INSERT INTO `format values` (`select`)",
        b'INSERT INTO "my""table" ("a")',
        b"INSERT INTO format",
        b"INSERT INTO format.values (format, values)",
        b"INSERT INTO t (a) SETTINGS async_insert = 0, insert_deduplication_token = 'FORMAT x'",
        b"INSERT INTO FUNCTION file('a.csv', 'CSV', 'format Int8') PARTITION BY a",
        b"/* FORMAT no */ -- VALUES\n INSERT /*x*/ INTO t # FORMAT\n",
        b"INSERT INTO {t:Identifier} (a)",
        b"INSERT INTO {format:Identifier}.{values:Identifier}",
    ],
)
def test_an_insert_is_split_at_its_format(statement: bytes) -> None:
    whole = split_insert(b"", statement + b" FORMAT Native\n" + NATIVE)
    apart = split_insert(statement + b" FORMAT Native", NATIVE)
    for insert in (whole, apart):
        assert insert is not None
        assert insert.statement == statement + b" "
        assert insert.format == "Native"
        assert bytes(insert.data) == NATIVE


@given(st.binary(max_size=200))
def test_data_starts_after_the_first_newline_whatever_it_is(data: bytes) -> None:
    insert = split_insert(b"", b"INSERT INTO t (a) FORMAT CSV \t\r\n" + data)
    assert insert is not None
    assert bytes(insert.data) == data


def test_data_of_the_url_comes_before_data_of_the_body() -> None:
    insert = split_insert(b"INSERT INTO t FORMAT CSV\n1\n", b"2\n")
    assert insert is not None
    assert bytes(insert.data) == b"1\n2\n"


def test_a_body_without_a_format_is_values() -> None:
    insert = split_insert(b"INSERT INTO t (a)", b"(1), (2)")
    assert insert is not None
    assert (insert.format, bytes(insert.data)) == ("Values", b"(1), (2)")


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t VALUES (1, 'FORMAT CSV')",
        b"INSERT INTO t SELECT format FROM x FORMAT CSV",
        b"INSERT INTO t WITH 1 AS format SELECT format",
        b"INSERT INTO t",
        b"SELECT 'INSERT INTO t FORMAT CSV'",
        b"INSERT INTO t FORMAT",
        b"",
    ],
)
def test_a_statement_that_needs_no_data_is_left_whole(sql: bytes) -> None:
    assert split_insert(b"", sql) is None


def test_reading_the_servers_files_is_refused() -> None:
    with pytest.raises(Refusal, match="FROM INFILE is not allowed") as caught:
        split_insert(b"", b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV")
    assert caught.value.code == 48


@given(st.binary(max_size=300))
def test_any_bytes_can_be_looked_at(sql: bytes) -> None:
    for body in (sql, b"INSERT INTO " + sql, b"SELECT FORMAT " + sql):
        with contextlib.suppress(Refusal):
            split_insert(b"", body)
        assert isinstance(output_format(body, "TSV"), str)
        assert len(leading_words(body, 2)) <= 2


@pytest.mark.parametrize("piece", [b"\\'", b"'\\", b"`", b"/*", b"(", b"''", b"--"])
def test_a_hostile_statement_takes_linear_time(piece: bytes) -> None:
    # Quadratic, this would run for hours.
    split_insert(b"", b"INSERT INTO t (" + piece * 120_000)
    output_format(b"FORMAT '" + piece * 120_000, "TSV")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1", "TSV"),
        (b"SELECT 1 FORMAT CSV", "CSV"),
        (b"SELECT 1\n FORMAT Native ; \n", "Native"),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        (b"SELECT 1 SETTINGS max_threads = 1 FORMAT CSV", "CSV"),
        (b"SELECT 1 format JSON -- really\n", "JSON"),
        (b"SELECT format FROM t", "TSV"),
        (b"SELECT (SELECT format CSV)", "TSV"),
        (b"SELECT 'FORMAT CSV'", "TSV"),
        (b"SELECT format AS f FROM t FORMAT CSV", "CSV"),
    ],
)
def test_the_output_format_is_the_one_of_the_statement(sql: bytes, expected: str) -> None:
    assert output_format(sql, "TSV") == expected


def test_a_statement_can_lose_its_format() -> None:
    assert without_format(b"SELECT 1\n FORMAT Native;").strip() == b"SELECT 1"


@pytest.mark.parametrize(
    ("sql", "word", "query"),
    [
        (b"select 1", "SELECT", True),
        (b" /* a */ -- b\n # c\n ((SELECT 1))", "SELECT", True),
        (b"WITH 1 AS a SELECT a", "WITH", True),
        (b"FROM t SELECT a", "FROM", True),
        (b"KILL QUERY WHERE 1", "KILL", False),
        (b"'SELECT'", "", False),
        (b"", "", False),
    ],
)
def test_the_first_word_tells_what_it_is(sql: bytes, word: str, query: bool) -> None:
    assert first_word(sql) == word
    assert is_query(sql) == query


def test_leading_words_skip_comments() -> None:
    assert leading_words(b"SYSTEM /* really */ SHUTDOWN now", 2) == ["SYSTEM", "SHUTDOWN"]
