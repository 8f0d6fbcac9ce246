import pytest

from bandit.store.client import Store
from bandit.store.queries import Query, named_queries, parse, parts_of
from bandit.store.rendering import render

QUERIES = list(named_queries().values())


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_every_query_says_what_it_answers(query: Query) -> None:
    assert query.description.endswith(".")


@pytest.mark.parametrize("cluster", [None, "main"])
def test_every_query_is_sql(store: Store, cluster: str | None) -> None:
    for query in QUERIES:
        sql = render(query.sql, database="b", cluster=cluster)
        formatted = store._client.command(
            "SELECT formatQuery({sql:String})", parameters={"sql": sql}
        )
        assert formatted, query.name


def test_queries_are_read_with_their_parameters_and_bytes() -> None:
    [one, two] = parse(
        "-- name: one\n-- What it\n-- says.\n-- bytes: a, b\n"
        "SELECT {x:Array(String)}, {y:UInt8};\n\n"
        "-- name: two\n-- More.\nSELECT 1\n"
    )
    assert one.description == "What it says."
    assert one.parameters == {"x": "Array(String)", "y": "UInt8"}
    assert one.bytes_columns == ("a", "b")
    assert one.sql == "SELECT {x:Array(String)}, {y:UInt8}"
    assert two == Query("two", "More.", "SELECT 1", {}, ())


def test_query_without_a_description_is_refused() -> None:
    with pytest.raises(ValueError, match="has no description"):
        list(parse("-- name: one\nSELECT 1"))


def test_parameter_of_two_types_is_refused() -> None:
    with pytest.raises(ValueError, match="has two types"):
        list(parse("-- name: one\n-- Words.\nSELECT {x:String}, {x:UInt8}"))


def test_query_like_another_reads_from_elsewhere() -> None:
    [one, two] = parse(
        "-- name: one\n-- What it says.\nSELECT {x:UInt8} FROM here(1)\n\n"
        "-- name: two\n-- The same.\n-- like: one with there for here\n"
    )
    assert two == one._replace(
        name="two", description="The same.", sql="SELECT {x:UInt8} FROM there(1)"
    )


def test_part_is_put_where_it_is_named() -> None:
    text = (
        "-- part: sums\n-- What is added up.\ncount() AS n,\nsum({x:UInt8}) AS s\n\n"
        "-- name: one\n-- Words.\nSELECT\n    -- put: sums\nFROM t\n"
    )
    assert parts_of(text) == {"sums": "count() AS n,\nsum({x:UInt8}) AS s"}
    [one] = parse(text, parts_of(text))
    assert one.sql == "SELECT\n    count() AS n,\n    sum({x:UInt8}) AS s\nFROM t"
    assert one.parameters == {"x": "UInt8"}


def test_part_that_is_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no part 'sums'"):
        list(parse("-- name: one\n-- Words.\nSELECT\n    -- put: sums\n"))
