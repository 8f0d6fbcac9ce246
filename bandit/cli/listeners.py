"""The sockets of one address, a queue for each process that answers there.

Whoever supervises those processes holds the sockets and hands them down. So a connection that
waits for a process that died is not reset but answered by the next one, and the port is never
closed while processes come and go. The kernel deals connections out evenly, and only to those that
are named by `steer`: who was killed, hangs, or has not started yet gets none.
"""

import ctypes
import socket
import struct
from collections.abc import Collection, Sequence
from contextlib import suppress

import click

from bandit.cli.binding import free_port

BACKLOG = 1024
UNREAD_MS = 30_000
"""So long a peer may leave unread what was sent to it, before the connection is given up."""

# linux/filter.h, asm-generic/socket.h; Python's `socket` does not name it.
_SO_ATTACH_REUSEPORT_CBPF = 51
_LOAD_RANDOM = (0x20, 0, 0, 0xFFFFF000 + 56)
_MODULO, _IF_EQUAL, _RETURN = 0x94, 0x15, 0x06
Instruction = tuple[int, int, int, int]


class Listeners:
    """Open sockets that listen on one address."""

    def __init__(self, host: str, port: int, n: int) -> None:
        """Listen.

        Args:
            host: An address of this machine.
            port: 0: any free one.
            n: How many queues.

        Raises:
            UsageError: Somebody listens there already, or the address is not ours.
        """
        self.port = free_port(host, port)
        self._sockets = [_listening(host, self.port) for _ in range(n)]

    @property
    def fds(self) -> list[int]:
        """File descriptors, for processes to inherit."""
        return [each.fileno() for each in self._sockets]

    def steer(self, queues: Collection[int]) -> None:
        """Let new connections wait in these queues only; if there are none, where they did.

        Where the kernel can not do that, connections go to all of them.
        """
        if not queues:
            return
        program = _pick_one_of(sorted(queues))
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
        option = struct.pack("@HP", len(program), ctypes.addressof(code))
        with suppress(OSError):
            self._sockets[0].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, option)

    def close(self) -> None:
        """Stop listening, as far as nobody else holds the sockets."""
        for each in self._sockets:
            each.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Accepted connections inherit these.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
    try:
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as exc:
        made.close()
        raise click.UsageError(f"{host}:{port} can't be listened on: {exc.strerror}") from exc
    return made


def _pick_one_of(queues: Sequence[int]) -> list[Instruction]:
    """A program of the kernel's packet filter that gives one of some numbers, each as often."""
    program = [_LOAD_RANDOM, (_MODULO, 0, 0, len(queues))]
    for index, queue in enumerate(queues):
        program += [(_IF_EQUAL, 0, 1, index), (_RETURN, 0, 0, queue)]
    return [*program, (_RETURN, 0, 0, queues[0])]
