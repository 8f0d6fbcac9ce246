import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit.cli.listeners import Listeners
from bandit.cli.serving import OPEN_FILES, connections

WITHIN_S = 30.0
SERVER = """
import asyncio, os, sys
from litestar import Litestar
from api.door import Door, Gate
from bandit.cli.serving import serve

async def application(scope, receive, send):
    await receive()
    if scope["path"] == "/slow":
        print("slow", flush=True)
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})

application.lifespan = Litestar([], on_shutdown=[lambda: print("closed", flush=True)]).lifespan
door = Door(application, gate=Gate(lambda: 0.0), count=print)
serve(lambda: door, int(sys.argv[1]), os.environ)
"""


class Server:
    """Granian in a process of its own, on a socket of ours."""

    def __init__(self) -> None:
        self.listeners = Listeners("127.0.0.1", 0, 1)
        (fd,) = self.listeners.fds
        command = [sys.executable, "-c", SERVER, str(fd)]
        self.process = subprocess.Popen(command, pass_fds=[fd], stdout=subprocess.PIPE, text=True)
        self.connections: list[http.client.HTTPConnection] = []

    def connect(self) -> http.client.HTTPConnection:
        made = http.client.HTTPConnection("127.0.0.1", self.listeners.port, timeout=WITHIN_S)
        self.connections.append(made)
        return made

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.listeners.close()
        for connection in self.connections:
            connection.close()

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_only_connections_are_counted_and_no_file_stays_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as ours,
        socket.create_connection(ours.getsockname()) as out,
        Path(__file__).open() as file,
    ):
        port = ours.getsockname()[1]
        assert connections(port) == 0, "it is not accepted yet"
        inside, _ = ours.accept()
        before = len([*OPEN_FILES.iterdir()])
        with inside:
            assert [connections(port) for _ in range(3)] == [1, 1, 1]
        assert len([*OPEN_FILES.iterdir()]) == before - 1
        assert file.read(1)
        out.close()
    assert connections(port) == 0


def answer(connection: http.client.HTTPConnection) -> tuple[int, str | None]:
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("connection")


def test_nobody_who_asks_a_worker_that_ends_goes_without_an_answer(server: Server) -> None:
    waiting, kept, late = server.connect(), server.connect(), server.connect()
    for connection in (waiting, kept):
        connection.request("POST", "/", b"{}")
        assert answer(connection) == (200, None)
    waiting.request("POST", "/slow", b"{}")
    assert server.said() == "slow\n"
    server.process.send_signal(signal.SIGTERM)

    assert answer(waiting) == (200, None), "its request was on the way"
    waiting.close()
    kept.request("POST", "/", b"{}")
    assert answer(kept) == (200, "close"), "its connection was open"
    late.request("POST", "/", b"{}")
    assert server.process.wait(WITHIN_S) == 0
    assert server.said() == "closed\n"

    # Whoever came later waits for the next worker on the same socket, and was not sent away.
    (fd,) = server.listeners.fds
    with socket.socket(fileno=fd) as listening:
        peer, _ = listening.accept()
        listening.detach()
    with peer:
        peer.settimeout(WITHIN_S)
        assert peer.recv(1000).startswith(b"POST / HTTP/1.1\r\n")


def test_a_head_that_is_too_large_or_too_slow_costs_a_connection_only(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.listeners.port), WITHIN_S) as large:
        large.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 200_000)
        assert large.recv(100).startswith(b"HTTP/1.1 431 ")
    fine = server.connect()
    fine.request("POST", "/", b"{}")
    assert answer(fine) == (200, None)
