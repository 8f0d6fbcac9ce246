"""Being told by signals to end.

A `threading.Event` can not be told so: its `set` takes a lock that its `wait` holds for moments, in
the very thread that a signal's handler interrupts, and the process then waits for itself for ever.
"""

import functools
import math
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Protocol

ENDING = (signal.SIGTERM, signal.SIGINT)


class Stopping(Protocol):
    """What a loop asks whether it is to end; a `threading.Event` will do in a thread."""

    def is_set(self) -> bool:
        """Whether it is to end."""

    def wait(self, timeout: float | None = None) -> bool:
        """Rest so many seconds (None: for ever), or until it is to end; whether it is."""


class Stop:
    """Whether this process is to end; one thread may wait for it.

    It takes no lock, so a handler may set it whatever was interrupted. Whoever waits is woken
    through a pipe, to which Python writes a byte as soon as a signal comes: a handler alone runs
    too late if that is just before the thread falls asleep.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._ear, self._mouth = _pipe()
        self._poll = select.poll()
        self._poll.register(self._ear, select.POLLIN)

    @classmethod
    def on_signals(
        cls,
        numbers: Sequence[signal.Signals] = ENDING,
        *,
        again: Callable[[], object] = lambda: None,
    ) -> "Stop":
        """One that signals to this process set; for its main thread only.

        Args:
            numbers: Which signals.
            again: Called when one comes and it was set already. The handler calls it, so it must
                take no lock.
        """
        stop = cls()

        def told(number: int, frame: FrameType | None) -> None:
            if stop.is_set():
                again()
            stop.set()

        signal.set_wakeup_fd(stop._mouth, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, told)
        return stop

    def set(self) -> None:
        """End."""
        self._is_set = True
        with suppress(BlockingIOError):  # it is full, so whoever waits wakes anyway
            os.write(self._mouth, b"\0")

    def is_set(self) -> bool:
        """Whether to end."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Rest so many seconds (None: for ever), or until it is set; whether it is."""
        end_s = None if timeout is None else time.monotonic() + timeout
        while not self._is_set:
            left_ms = None if end_s is None else math.ceil((end_s - time.monotonic()) * 1000)
            if not self._poll.poll(None if left_ms is None else max(0, left_ms)):
                break
            with suppress(BlockingIOError):  # other signals ring here too
                os.read(self._ear, 4096)
        return self._is_set


@functools.cache
def _pipe() -> tuple[int, int]:
    """The pipe of this process: signals have one to write to."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
