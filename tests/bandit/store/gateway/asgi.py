"""A client and an engine made of nothing, for the gateway's own logic."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from bandit.store.gateway.application import Application, Bounds
from bandit.store.gateway.engine import Answer, Engine, Handle, Kind, Stream
from bandit.store.gateway.users import User

NO_ANSWER = Answer(b"", {})


class FakeStream:
    """Gives `pieces`; an exception among them is raised."""

    summary = {"read_rows": "1"}

    def __init__(self, pieces: Iterable[bytes | Exception]) -> None:
        self._pieces = iter(pieces)
        self.is_open = True

    def fetch(self) -> bytes | None:
        piece = next(self._pieces, None)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.is_open = False


class FakeHandle:
    """Answers `SELECT WAIT` when released, anything else at once."""

    def __init__(self, engine: "FakeEngine") -> None:
        self.engine = engine

    def run(self, sql: bytes, fmt: str, parameters: Mapping[str, str] | None = None) -> Answer:
        self.engine.ran.append(sql)
        if b"WAIT" in sql:
            self.engine.started.set()
            self.engine.released.wait(10)
        if self.engine.failure:
            raise self.engine.failure
        return Answer(b"1\n", {"read_rows": "1"})

    def stream(self, sql: bytes, fmt: str, parameters: Mapping[str, str]) -> Stream:
        self.run(sql, fmt)
        return cast(Stream, self.engine.stream)

    def insert(self, statement: bytes, fmt: str, data: memoryview) -> Answer:
        self.run(statement, fmt)
        self.engine.inserted.append(bytes(data))
        return NO_ANSWER

    def kind(self, sql: bytes) -> Kind:
        return Kind(reads_only=sql.startswith(b"SELECT"), controls=False, statements_n=1)

    def set(self, settings: Mapping[str, str]) -> None:
        self.engine.settings.append(dict(settings))

    def use(self, database: str) -> None:
        pass

    def close(self) -> None:
        self.engine.open_n -= 1


class FakeEngine:
    version = "1.2"
    timezone = "UTC"

    def __init__(self) -> None:
        self.open_n = 0
        self.ran: list[bytes] = []
        self.inserted: list[bytes] = []
        self.settings: list[dict[str, str]] = []
        self.killed: list[str] = []
        self.failure: Exception | None = None
        self.stream = FakeStream([b"1\n"])
        self.started = threading.Event()
        self.released = threading.Event()
        self.is_closed = False

    def open(self) -> Handle:
        self.open_n += 1
        return cast(Handle, FakeHandle(self))

    def kill(self, where: str) -> None:
        self.killed.append(where)
        self.released.set()

    def close(self) -> None:
        assert self.open_n == 0
        self.is_closed = True


class Client:
    """One request and what came back."""

    def __init__(
        self,
        *parts: bytes,
        method: str = "POST",
        path: str = "/",
        url: bytes = b"",
        headers: Mapping[str, str] | None = None,
        on_send: Callable[["Client"], None] | None = None,
        stalls: bool = False,
    ) -> None:
        given = {"x-clickhouse-user": "default", "x-clickhouse-key": "pw", **(headers or {})}
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": url,
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items()],
        }
        self._parts = list(parts) or [b""]
        self._stalls = stalls
        self._on_send = on_send
        self.hung_up = asyncio.Event()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_complete = False

    async def receive(self) -> dict[str, Any]:
        if self._parts and not (self._stalls and len(self._parts) == 1):
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.is_complete = not message.get("more_body")
        if self._on_send:
            self._on_send(self)

    async def ask(self, application: Application) -> "Client":
        await application(self.scope, self.receive, self.send)
        return self


def make_application(engine: FakeEngine, **bounds: Any) -> Application:
    ids = iter(range(1000))
    return Application(
        cast(Engine, engine),
        [User.with_password("default", "pw"), User.with_password("reader", "r", read_only=True)],
        now_s=lambda: 0.0,
        new_id=lambda: f"id-{next(ids)}",
        bounds=Bounds(**{"read_threads": 2, "insert_threads": 1, "idle_s": 5.0, **bounds}),
    )
