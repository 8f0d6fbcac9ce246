"""Senders that hold on to a worker: slow ones, silent ones, and many large bodies at once.

What counts is what others get meanwhile: a ranking asked for every 50 ms on a new connection, and
the memory of the worker.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.rubbish import ANSWER_S, rank, request

SLOW_N = 300
"""Connections that send a byte a second, or nothing."""
LARGE_N = 50
LARGE_BYTES = 10 * 2**20
HOLD_S = 10.0
PAUSE_S = 0.05
SLOW_S = 2.0
"""A ranking that takes longer counts as a fault."""
REFUSED_SHARE = 0.05
GROWTH_BYTES = 256 * 2**20


class Held(NamedTuple):
    """What others saw while a worker was held."""

    name: str
    waits_s: Sequence[float]
    refused_n: int
    """503: while slow senders are not told from a queue, for a tenth of a second or two."""
    failed_n: int
    grown_bytes: int
    answers: Sequence[int]
    """Statuses that the holders got, as far as they got any."""

    def __str__(self) -> str:
        waits = sorted(self.waits_s)
        p50, p99 = (waits[int(len(waits) * share)] * 1000 for share in (0.5, 0.99))
        statuses = {status: self.answers.count(status) for status in sorted(set(self.answers))}
        return (
            f"{self.name}: {len(waits)} rankings p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"{self.refused_n} refused, {self.failed_n} failed; "
            f"memory +{self.grown_bytes / 2**20:.0f} MB; "
            f"answers {statuses}"
        )


def held(port: int, pid: int) -> Iterator[Held]:
    """Hold a worker in each way.

    Args:
        port: Where it answers.
        pid: Its process.
    """
    whole = request("/v1/rank", rank())
    body_at = whole.index(b"\r\n\r\n") + 5
    for name, upto in {"silent": 0, "heads": 16, "bodies": body_at}.items():
        slow = _trickling(port, whole[:upto], b"" if name == "silent" else whole[upto:])
        yield _while(f"{SLOW_N} slow connections, {name}", port, pid, slow)
    large = request("/v1/rank", rank(rest=b',"x":"%b"' % (b"x" * LARGE_BYTES)))
    yield _while(f"{LARGE_N} rankings of 10 MB", port, pid, _sending(port, large))
    actions = b",".join(
        b'{"id":"i%d","features":{"a":"%b"}}' % (n, b"x" * 1000) for n in range(10_000)
    )
    upload = request(
        "/v1/surfaces/personalizer/catalogue", b'{"upsert":[%b]}' % actions, method="PUT"
    )
    yield _while(f"{LARGE_N} catalogues of 10 MB", port, pid, _sending(port, upload))


def faults(found: Held) -> list[str]:
    """What must not be."""
    said = []
    if found.failed_n:
        said.append(f"{found.name}: {found.failed_n} rankings failed")
    if found.refused_n > REFUSED_SHARE * len(found.waits_s):
        said.append(f"{found.name}: {found.refused_n} rankings were refused")
    if max(found.waits_s, default=0.0) > SLOW_S:
        said.append(f"{found.name}: a ranking took {max(found.waits_s):.1f} s")
    if found.grown_bytes > GROWTH_BYTES:
        said.append(f"{found.name}: {found.grown_bytes / 2**20:.0f} MB more memory")
    # 503: so many bodies at once have no room, they are to be sent later.
    said += [f"{found.name}: answered {s}" for s in found.answers if s >= 500 and s != 503]
    return said


def _while(name: str, port: int, pid: int, hold: AbstractContextManager[list[int]]) -> Held:
    """Ask for rankings while something holds the worker."""
    before, highest = _resident(pid), 0
    waits: list[float] = []
    missed: list[int] = []
    with hold as answers:
        end_s = time.monotonic() + HOLD_S
        while time.monotonic() < end_s:
            began_s = time.monotonic()
            status = _status(port, request("/v1/rank", rank()))
            if status == 200:
                waits.append(time.monotonic() - began_s)
            else:
                missed.append(status)
            highest = max(highest, _resident(pid))
            time.sleep(PAUSE_S)
    refused_n = missed.count(503)
    grown_bytes = max(0, highest - before)
    return Held(name, waits, refused_n, len(missed) - refused_n, grown_bytes, answers)


@contextmanager
def _trickling(port: int, start: bytes, rest: bytes) -> Iterator[list[int]]:
    """Connections that have sent a start, and then a byte a second."""
    done = threading.Event()
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10.0))
            for _ in range(SLOW_N)
        ]

        def trickle() -> None:
            for at in range(len(rest)):
                for one in slow:
                    with suppress(OSError):  # it was given up
                        one.sendall(rest[at : at + 1])
                if done.wait(1.0):
                    return

        for one in slow:
            one.sendall(start)
        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            yield []
        finally:
            done.set()
            sender.join()


@contextmanager
def _sending(port: int, whole: bytes) -> Iterator[list[int]]:
    """Many large requests at once, and what they were answered."""
    answers: list[int] = []
    senders = [
        threading.Thread(target=lambda: answers.append(_status(port, whole)))
        for _ in range(LARGE_N)
    ]
    for sender in senders:
        sender.start()
    try:
        yield answers
    finally:
        for sender in senders:
            sender.join()


def _status(port: int, whole: bytes) -> int:
    """Send a request; what it is answered, 0 if nothing."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
            with suppress(OSError):  # it has heard enough, and may have said so
                connection.sendall(whole)
            return int(connection.recv(65_536).split(b" ", 2)[1])
    except (OSError, IndexError):
        return 0


def _resident(pid: int) -> int:
    """Memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
