"""Runs children, starts again what dies, and ends all of them in order.

What a process is comes in as an argument (`bandit.cli.processes` has the real one), so this is
logic over a clock: `step` looks once, `run` keeps looking.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
HEALTHY_S = 10.0
"""Whoever lived so long is started again as quickly as the first time."""
LOOK_S = 0.05


class Child(NamedTuple):
    """What to run."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]


class Process(Protocol):
    """A child that was started, with all that it started itself."""

    @property
    def pid(self) -> int:
        """Its main process."""
        ...

    def ended(self) -> int | None:
        """Exit code of the main process, after which nothing of it is left; None while it lives."""
        ...

    def terminate(self) -> None:
        """Ask the main process to end."""
        ...

    def kill(self) -> None:
        """End it and all that it started, at once."""
        ...


@dataclass
class _Slot:
    """A child and what became of it."""

    child: Child
    process: Process | None = None
    started_s: float = 0.0
    failures_n: int = 0
    due_s: float = float("-inf")
    asked_s: float | None = None


class Supervisor:
    """Keeps children running; threads may share it."""

    def __init__(
        self,
        children: Iterable[Child] = (),
        *,
        spawn: Callable[[Child], Process],
        monotonic_s: Callable[[], float],
        tell: Callable[[str], None],
        grace_s: float = 10.0,
    ) -> None:
        """Know the children; nothing runs yet.

        Args:
            children: Started in this order, ended in the opposite one.
            spawn: Starts one; raises `OSError` if that fails.
            monotonic_s: A clock that never goes back.
            tell: Takes lines for whoever watches.
            grace_s: How long a child may take to end before it is killed.
        """
        self._slots = [_Slot(child) for child in children]
        self._spawn = spawn
        self._monotonic_s = monotonic_s
        self._tell = tell
        self._grace_s = grace_s
        self._is_stopping = False
        self._lock = threading.Lock()
        self._wake = threading.Event()

    @property
    def pids(self) -> dict[str, int]:
        """Main processes of those that run now, by name."""
        with self._lock:
            return {s.child.name: s.process.pid for s in self._slots if s.process is not None}

    @property
    def is_over(self) -> bool:
        """Whether it was stopped and nothing runs any more."""
        with self._lock:
            return self._is_stopping and all(slot.process is None for slot in self._slots)

    def add(self, *children: Child) -> None:
        """Run more children."""
        with self._lock:
            self._slots.extend(_Slot(child) for child in children)

    def stop(self) -> None:
        """End all of them, the last one first, each before the next; asked again, at once."""
        with self._lock:
            if self._is_stopping:
                self._grace_s = 0.0
            self._is_stopping = True
        self._wake.set()

    def step(self) -> None:
        """Look once, and do what is due."""
        with self._lock:
            if self._is_stopping:
                self._end_next()
            else:
                for slot in self._slots:
                    self._keep_running(slot)

    def run(self) -> None:
        """Keep looking until it was stopped and everything has ended."""
        while not self.is_over:
            self.step()
            self._wake.wait(LOOK_S)
            self._wake.clear()

    @contextmanager
    def running(self) -> Iterator["Supervisor"]:
        """Run in a thread of its own; when the block ends, so do the children."""
        thread = threading.Thread(target=self.run, name="supervisor")
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()

    def _keep_running(self, slot: _Slot) -> None:
        now_s = self._monotonic_s()
        if slot.process is not None:
            code = slot.process.ended()
            if code is None:
                return
            pid, slot.process = slot.process.pid, None
            if now_s - slot.started_s >= HEALTHY_S:
                slot.failures_n = 0
            self._postpone(slot, f"(pid {pid}) {_told(code)}")
        elif now_s >= slot.due_s:
            try:
                slot.process = self._spawn(slot.child)
            except OSError as exc:
                self._postpone(slot, f"could not be started: {exc}")
            slot.started_s = now_s

    def _postpone(self, slot: _Slot, what: str) -> None:
        wait_s = min(FIRST_WAIT_S * 2**slot.failures_n, LONGEST_WAIT_S)
        slot.failures_n = min(slot.failures_n + 1, 16)
        slot.due_s = self._monotonic_s() + wait_s
        self._tell(f"{slot.child.name} {what}, again in {wait_s:g} s")

    def _end_next(self) -> None:
        """Go on with the last one that still runs."""
        now_s = self._monotonic_s()
        for slot in reversed(self._slots):
            if slot.process is None:
                continue
            if slot.process.ended() is not None:
                slot.process = None
                continue
            if slot.asked_s is None:
                slot.asked_s = now_s
                slot.process.terminate()
            elif now_s - slot.asked_s >= self._grace_s:
                self._tell(f"{slot.child.name} did not end within {self._grace_s:g} s: killed")
                slot.process.kill()
                slot.asked_s = float("inf")
            return


def _told(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
