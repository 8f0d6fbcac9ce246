import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from bandit.store.gateway.refusal import Refusal
from tests.bandit.store.gateway.asgi import Client, FakeEngine, FakeStream, make_application

T = TypeVar("T")


def run(scenario: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await scenario()

    return asyncio.run(bounded())


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


async def until_started(engine: FakeEngine) -> None:
    await asyncio.get_running_loop().run_in_executor(None, engine.started.wait, 10)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/ping", 200, b"Ok.\n"),
        ("HEAD", "/ping", 200, b""),
        ("GET", "/replicas_status", 200, b"Ok.\n"),
        ("GET", "/", 200, b"Ok.\n"),
        ("GET", "/nope", 404, b"There is no handle /nope\n"),
        ("DELETE", "/", 405, b"Only GET, HEAD and POST\n"),
    ],
)
def test_routes_that_need_no_password(
    engine: FakeEngine, method: str, path: str, status: int, body: bytes
) -> None:
    async def scenario() -> Client:
        nobody = {"x-clickhouse-user": "", "x-clickhouse-key": ""}
        client = Client(method=method, path=path, headers=nobody)
        return await client.ask(make_application(engine))

    client = run(scenario)
    assert (client.status, client.body) == (status, body)


def test_an_answer_carries_clickhouses_headers(engine: FakeEngine) -> None:
    async def scenario() -> Client:
        return await Client(b"SELECT 1", url=b"query_id=mine").ask(make_application(engine))

    client = run(scenario)
    assert client.body == b"1\n"
    assert client.headers["x-clickhouse-query-id"] == "mine"
    assert client.headers["x-clickhouse-timezone"] == "UTC"
    assert client.headers["x-clickhouse-format"] == "TabSeparated"
    assert client.headers["content-type"] == "text/tab-separated-values; charset=UTF-8"
    assert "x-clickhouse-exception-tag" in client.headers
    assert engine.open_n == 0


def test_a_query_id_can_not_split_the_response(engine: FakeEngine) -> None:
    async def scenario() -> Client:
        return await Client(b"SELECT 1", url=b"query_id=a%0D%0Ab").ask(make_application(engine))

    assert run(scenario).headers["x-clickhouse-query-id"] == "a??b"


def test_an_error_is_clickhouses_text_code_and_status(engine: FakeEngine) -> None:
    engine.failure = Refusal(60, "UNKNOWN_TABLE", "no such table")

    async def scenario() -> Client:
        return await Client(b"SELECT 1").ask(make_application(engine))

    client = run(scenario)
    assert client.status == 404
    assert client.headers["x-clickhouse-exception-code"] == "60"
    assert client.body == (
        b"Code: 60. DB::Exception: no such table. (UNKNOWN_TABLE) (version 1.2 (chDB))\n"
    )
    assert engine.open_n == 0


def test_a_damaged_part_is_noted_for_whoever_runs_the_gateway(engine: FakeEngine) -> None:
    async def damaged_after(refusal: Refusal) -> bool:
        engine.failure, application = refusal, make_application(engine)
        await Client(b"SELECT 1").ask(application)
        return application.damaged.is_set()

    assert not run(lambda: damaged_after(Refusal(60, "UNKNOWN_TABLE", "no such table")))
    assert run(lambda: damaged_after(Refusal(246, "CORRUPTED_DATA", "Empty marks file")))


def test_an_error_of_ours_is_told_without_a_traceback(engine: FakeEngine) -> None:
    engine.failure = ZeroDivisionError("a bug")

    async def scenario() -> Client:
        return await Client(b"DROP TABLE t").ask(make_application(engine))

    client = run(scenario)
    assert client.status == 500
    assert client.body.startswith(b"Code: 1001. DB::Exception: a bug. (STD_EXCEPTION)")


def test_an_error_after_the_first_rows_follows_them_under_a_tag(engine: FakeEngine) -> None:
    engine.stream = FakeStream([b"1\n", Refusal(395, "FUNCTION_THROW_IF", "too far")])

    async def scenario() -> Client:
        return await Client(b"SELECT 1").ask(make_application(engine))

    client = run(scenario)
    tag = client.headers["x-clickhouse-exception-tag"].encode()
    text = b"Code: 395. DB::Exception: too far. (FUNCTION_THROW_IF)\n"
    assert client.status == 200
    assert client.body == (
        b"1\n\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (tag, text, len(text), tag)
    )
    assert not engine.stream.is_open


def test_a_bug_after_the_first_rows_leaves_the_response_without_an_end(engine: FakeEngine) -> None:
    engine.stream = FakeStream([b"1\n", ZeroDivisionError("a bug")])

    async def scenario() -> Client:
        return await Client(b"SELECT 1").ask(make_application(engine))

    client = run(scenario)
    assert (client.status, client.body, client.is_complete) == (200, b"1\n", False)
    assert engine.open_n == 0


def test_a_wrong_password_is_refused_before_the_body_is_used(engine: FakeEngine) -> None:
    async def scenario() -> Client:
        headers = {"x-clickhouse-key": "wrong", "content-encoding": "gzip"}
        return await Client(b"rub", b"bish", headers=headers).ask(make_application(engine))

    client = run(scenario)
    assert (client.status, client.headers["x-clickhouse-exception-code"]) == (403, "516")


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ((b"SELECT 1",), {"content-length": "101"}),
        ((b"x" * 60, b"x" * 60), {}),
        ((gzip.compress(b"SELECT" + b" " * 100),), {"content-encoding": "gzip"}),
    ],
)
def test_a_body_over_the_limit_is_refused(
    engine: FakeEngine, parts: tuple[bytes, ...], headers: dict[str, str]
) -> None:
    async def scenario() -> Client:
        application = make_application(engine, body_bytes=100)
        return await Client(*parts, headers=headers).ask(application)

    client = run(scenario)
    assert (client.status, client.headers["x-clickhouse-exception-code"]) == (413, "229")
    assert engine.ran == []


def test_bodies_of_all_clients_are_bounded_together(engine: FakeEngine) -> None:
    async def scenario() -> list[int]:
        application = make_application(engine, held_bytes=100)
        first = asyncio.ensure_future(Client(b"DROP TABLE WAIT" + b" " * 50).ask(application))
        await until_started(engine)
        second = await Client(b"SELECT 1" + b" " * 50).ask(application)
        engine.released.set()
        statuses = [(await first).status, second.status]
        third = await Client(b"SELECT 1" + b" " * 50).ask(application)
        return [*statuses, third.status]

    assert run(scenario) == [200, 503, 200]


def test_too_many_requests_are_refused_at_once(engine: FakeEngine) -> None:
    async def scenario() -> list[int]:
        application = make_application(engine, queue_n=2)
        waiting = [asyncio.ensure_future(Client(b"SELECT WAIT").ask(application)) for _ in "ab"]
        await until_started(engine)
        refused = await Client(b"SELECT 1").ask(application)
        insert = await Client(b"INSERT INTO t FORMAT CSV\n1\n").ask(application)
        engine.released.set()
        return [refused.status, insert.status, *[(await one).status for one in waiting]]

    assert run(scenario) == [503, 200, 200, 200]


def test_a_client_that_stalls_is_refused(engine: FakeEngine) -> None:
    async def scenario() -> Client:
        application = make_application(engine, idle_s=0.01)
        return await Client(b"SELECT", b" 1", stalls=True).ask(application)

    client = run(scenario)
    assert (client.status, client.headers["x-clickhouse-exception-code"]) == (408, "209")


def test_a_client_that_hangs_up_before_its_statement_is_forgotten(engine: FakeEngine) -> None:
    async def scenario() -> Client:
        client = Client(b"SELECT", b" 1", stalls=True)
        client.hung_up.set()
        return await client.ask(make_application(engine))

    assert run(scenario).status == 0
    assert engine.ran == []


def test_a_query_nobody_waits_for_is_killed(engine: FakeEngine) -> None:
    async def scenario() -> None:
        client = Client(b"SELECT WAIT", url=b"query_id=o%27k")
        asked = asyncio.ensure_future(client.ask(make_application(engine)))
        await until_started(engine)
        client.hung_up.set()
        await asked

    run(scenario)
    assert engine.killed == ["Settings['log_comment'] = 'o\\'k'"]
    assert engine.open_n == 0


def test_an_insert_nobody_waits_for_is_finished(engine: FakeEngine) -> None:
    async def scenario() -> None:
        client = Client(b"INSERT INTO WAIT FORMAT CSV\n1\n")
        asked = asyncio.ensure_future(client.ask(make_application(engine)))
        await until_started(engine)
        client.hung_up.set()
        engine.released.set()
        await asked

    run(scenario)
    assert engine.killed == []
    assert engine.inserted == [b"1\n"]


def test_a_stream_nobody_reads_is_closed(engine: FakeEngine) -> None:
    engine.stream = FakeStream(iter(lambda: b"1\n", None))  # without end

    async def scenario() -> Client:
        client = Client(b"SELECT 1", on_send=lambda c: len(c.body) > 100 and c.hung_up.set())
        return await client.ask(make_application(engine))

    assert not run(scenario).is_complete
    assert not engine.stream.is_open
    assert engine.open_n == 0


def test_a_running_query_id_is_not_given_twice(engine: FakeEngine) -> None:
    async def scenario() -> list[int]:
        application = make_application(engine)
        first = asyncio.ensure_future(Client(b"SELECT WAIT", url=b"query_id=a").ask(application))
        await until_started(engine)
        second = await Client(b"SELECT 1", url=b"query_id=a").ask(application)
        engine.released.set()
        statuses = [(await first).status, second.status]
        engine.stream = FakeStream([b"1\n"])
        third = await Client(b"SELECT 1", url=b"query_id=a").ask(application)
        return [*statuses, third.status]

    assert run(scenario) == [200, 409, 200]


def test_the_readers_readonly_is_set_last_and_can_not_be_chosen(engine: FakeEngine) -> None:
    async def scenario() -> Client:
        headers = {"x-clickhouse-user": "reader", "x-clickhouse-key": "r"}
        url = b"readonly=0&max_threads=1"
        return await Client(b"SELECT 1", url=url, headers=headers).ask(make_application(engine))

    assert run(scenario).status == 200
    first, last = engine.settings
    assert first["max_threads"] == "1"
    assert "readonly" not in first
    assert last == {"readonly": "1"}


def test_closing_waits_refuses_kills_and_closes(engine: FakeEngine) -> None:
    async def scenario() -> list[int]:
        application = make_application(engine)
        long = asyncio.ensure_future(Client(b"SELECT WAIT").ask(application))
        await until_started(engine)
        closing = asyncio.ensure_future(application.close(0.05))
        await asyncio.sleep(0)
        refused = await Client(b"SELECT 1").ask(application)
        await closing
        return [(await long).status, refused.status]

    assert run(scenario) == [200, 503]
    assert engine.killed == ["1"]
    assert engine.is_closed
