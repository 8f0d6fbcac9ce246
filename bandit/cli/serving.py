"""One process of the API: Granian in this process, on a socket that was handed to it.

It ends in an order in which no request fails: no new connection is taken (others share the
address); what still comes on those there are is answered, and tells the client to connect anew;
when all are gone, or after a while, the rest is closed and the journal handed to the drain.
"""

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from api.door import Door
from bandit.cli.heartbeat import ORDERS_FD, Heartbeat
from bandit.cli.listeners import BACKLOG

CONNECTIONS = 1024
"""Granian's limit counts connections, busy or idle, and lets further ones wait without an answer:
it must be far above what keep-alive clients hold. Requests are shed in `api.door`."""
HEADER_MS = 15_000
"""So long a connection may be idle, or take to send a request's head."""
HEAD_BYTES = 65_536
"""A request's head may have; a connection keeps a buffer of that size at most."""
LINGER_S = 3.0
"""So long connections are waited for that have nothing to say."""
LOOK_S = 0.02
BEAT_S = 1.0
OPEN_FILES = Path("/proc/self/fd")


class Adopted(Server):
    """Granian on a socket that somebody else listens with."""

    def __init__(self, *arguments: Any, fd: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._fd = fd

    def _init_shared_socket(self) -> None:
        # Its type stub is of another platform.
        holder = SocketHolder(self._fd, False, self.backlog)  # type: ignore[call-arg]
        self._shd = holder  # type: ignore[assignment]


def serve(create: Callable[[], Door], fd: int | None, environ: Mapping[str, str]) -> NoReturn:
    """Answer on a listening socket until a signal; the process ends with it.

    Args:
        create: Makes the application.
        fd: Its file descriptor, inherited; None: stand by until the supervisor names one.
        environ: The process environment.
    """
    # Not asyncio.run: it would cancel what Granian's threads still hold.
    code = asyncio.new_event_loop().run_until_complete(_serve(create, fd, environ))
    # Everything is closed and flushed. Granian's threads do not end well with the interpreter:
    # one of them can panic, and the exit code would be SIGABRT's.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _serve(create: Callable[[], Door], fd: int | None, environ: Mapping[str, str]) -> int:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    door = create()
    async with door.open():
        beating = asyncio.create_task(_beat(Heartbeat(environ)))
        stop = asyncio.create_task(stopping.wait())
        try:
            if fd is None:
                fd = await _named(environ, stop)
            return 0 if fd is None else await _answer(door, fd, stop)
        finally:
            beating.cancel()
            stop.cancel()


async def _answer(door: Door, fd: int, stop: "asyncio.Task[Literal[True]]") -> int:
    """Answer until told to stop; the exit code."""
    server = Adopted(
        door,
        fd=fd,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS, max_buffer_size=HEAD_BYTES),
        websockets=False,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.done():
        await serving
        return 1
    port = _turn_away(fd)
    door.is_closing = True
    await _until(lambda: connections(port) == 0, LINGER_S)
    server.stop()  # type: ignore[no-untyped-call]
    await serving
    return 0


async def _named(environ: Mapping[str, str], stop: "asyncio.Task[Literal[True]]") -> int | None:
    """The socket that the supervisor names to one that stands by; None if it is to end."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    ears = int(environ[ORDERS_FD])
    loop.add_reader(ears, heard.set)
    hearing = asyncio.create_task(heard.wait())
    await asyncio.wait({hearing, stop}, return_when=asyncio.FIRST_COMPLETED)
    loop.remove_reader(ears)
    hearing.cancel()
    order = b"" if stop.done() else os.read(ears, 64)
    return int(order) if order else None  # the supervisor is gone: nobody will ever call


async def _beat(heartbeat: Heartbeat) -> None:
    while True:
        heartbeat.beat()
        await asyncio.sleep(BEAT_S)


def _turn_away(fd: int) -> int:
    """Take no more connections from a socket that others go on using; its port.

    Granian can only stop accepting and close idle connections at once, on which a request may be on
    its way. So it gets another socket under the same number, on which nobody ever calls.
    """
    with socket.socket(fileno=os.dup(fd)) as shared:
        family, address = shared.family, shared.getsockname()
    with socket.socket(family, socket.SOCK_STREAM) as quiet:
        quiet.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        quiet.listen(1)
        quiet.setblocking(False)
        os.dup2(quiet.fileno(), fd)
    port: int = address[1]
    return port


def connections(port: int) -> int:
    """How many connections to a port this process has."""
    names = [path.name for path in OPEN_FILES.iterdir()] if OPEN_FILES.is_dir() else []
    return sum(_is_connected(int(name), port) for name in names)


def _is_connected(fd: int, port: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        found = socket.socket(fileno=fd)
    except OSError:  # closed meanwhile
        return False
    try:
        is_tcp = found.family in (socket.AF_INET, socket.AF_INET6)
        return is_tcp and bool(found.getpeername()) and found.getsockname()[1] == port
    except OSError:  # not connected
        return False
    finally:
        found.detach()


async def _until(condition: Callable[[], bool], within_s: float) -> None:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while not condition() and loop.time() < end_s:
        await asyncio.sleep(LOOK_S)
