"""Runs children, starts again what dies or hangs, and ends all of them in order.

What a process is comes in as an argument (`bandit.cli.processes` has the real one), so this is
logic over a clock: `step` looks once, `run` keeps looking.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bandit.cli.child import Child, Process

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
HEALTHY_S = 10.0
"""Whoever lived so long is started again as quickly as the first time."""
TRIES_N = 5
"""So often in a row a spare one takes the place of one that died young, by itself."""
LOOK_S = 0.05


@dataclass
class _Life:
    """A process of a child, from its start to its end."""

    process: Process
    heard_s: float
    """When it was started or heard last."""
    is_ready: bool
    is_condemned: bool = False
    """Killed by us, since it did not move."""
    asked_s: float | None = None
    """When it was asked to end."""

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.process.ended() is not None

    def end(self, now_s: float, grace_s: float) -> bool:
        """Ask it to end, and kill it if it does not within a time; True if it was killed now."""
        if self.asked_s is None:
            self.asked_s = now_s
            self.process.terminate()
        elif now_s - self.asked_s >= grace_s:
            self.asked_s = float("inf")
            self.process.kill()
            return True
        return False


@dataclass
class _Slot:
    """A child and what became of it."""

    child: Child
    life: _Life | None = None
    successor: _Life | None = None
    """In a rolling restart: takes over when it is ready."""
    leaving: _Life | None = None
    """In a rolling restart: has been taken over from."""
    started_s: float = 0.0
    failures_n: int = 0
    due_s: float = float("-inf")

    @property
    def is_vacant(self) -> bool:
        """Whether nobody does its work yet."""
        return self.life is None or not (self.life.is_ready or self.life.is_condemned)

    @property
    def lives(self) -> list[_Life]:
        """Whatever runs."""
        return [x for x in (self.successor, self.leaving, self.life) if x is not None]


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
        changed: Callable[[frozenset[str]], None] = lambda _: None,
    ) -> None:
        """Know the children; nothing runs yet.

        Args:
            children: Started in this order, ended in the opposite one.
            spawn: Starts one; raises `OSError` if that fails.
            monotonic_s: A clock that never goes back.
            tell: Takes lines for whoever watches.
            grace_s: How long a child may take to end before it is killed.
            changed: Told the names of the children that are ready, whenever those are others.
        """
        self._slots = [_Slot(child) for child in children]
        self._spawn = spawn
        self._monotonic_s = monotonic_s
        self._tell = tell
        self._grace_s = grace_s
        self._changed = changed
        self._ready: frozenset[str] = frozenset()
        self._rolling: deque[_Slot] = deque()
        self._is_stopping = False
        self._lock = threading.Lock()
        self._wake = threading.Event()

    @property
    def pids(self) -> dict[str, int]:
        """Main processes of those that run now, by name."""
        with self._lock:
            return {s.child.name: s.life.process.pid for s in self._slots if s.life is not None}

    @property
    def ready(self) -> frozenset[str]:
        """Names of the children that are ready."""
        with self._lock:
            return self._ready

    @property
    def is_rolling(self) -> bool:
        """Whether a rolling restart goes on."""
        with self._lock:
            return bool(self._rolling)

    @property
    def is_over(self) -> bool:
        """Whether it was stopped and nothing runs any more."""
        with self._lock:
            return self._is_stopping and not any(slot.lives for slot in self._slots)

    def add(self, *children: Child) -> None:
        """Run more children."""
        with self._lock:
            self._slots.extend(_Slot(child) for child in children)

    def roll(self, kind: str) -> None:
        """Restart all children of a kind, one after the other, each when its successor is ready.

        One that does not become ready ends the restart; those there are go on.
        """
        with self._lock:
            if self._rolling:
                self._tell("a rolling restart goes on already")
                return
            mine = [slot for slot in self._slots if slot.child.kind == kind]
            # The spare one first, so that no old one takes anybody's place.
            self._rolling.extend(sorted(mine, key=lambda slot: not slot.child.is_spare))
            self._tell(f"{kind}: rolling restart")
        self._wake.set()

    def stop(self) -> None:
        """End all of them, the last kind first, each before the next; asked again, at once."""
        with self._lock:
            if self._is_stopping:
                self._grace_s = 0.0
            self._is_stopping = True
        self._wake.set()

    def look(self) -> None:
        """Look now; threads call it when a child has ended."""
        self._wake.set()

    def step(self) -> None:
        """Look once, and do what is due."""
        with self._lock:
            if self._is_stopping:
                self._end_next()
                return
            for slot in self._slots:
                self._keep_running(slot)
            for slot in self._slots:
                if slot.is_vacant and self._replace(slot):
                    self._tell(f"{slot.child.name}: the spare one is in its place")
            if self._rolling:
                self._roll_on(self._rolling[0])
            ready = frozenset(s.child.name for s in self._slots if s.life and s.life.is_ready)
            if ready != self._ready:
                self._ready = ready
                self._changed(ready)

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
        if slot.life is not None:
            if (code := slot.life.process.ended()) is None:
                self._listen(slot.child, slot.life)
            else:
                self._mourn(slot, slot.life, code)
        elif now_s >= slot.due_s and slot.successor is None and self._has_turn(slot):
            try:
                slot.life = self._start(slot.child)
            except OSError as exc:
                self._postpone(slot, f"{slot.child.name} could not be started: {exc}")
            slot.started_s = now_s

    def _mourn(self, slot: _Slot, life: _Life, code: int) -> None:
        """See to it that somebody takes the place of one that has ended.

        Who did its work and was killed by somebody else will do it again: only those that end by
        themselves have to wait.
        """
        now_s, slot.life = self._monotonic_s(), None
        was_killed = code == -signal.SIGKILL and life.is_ready and slot.child.pulse is not None
        if was_killed or now_s - slot.started_s >= HEALTHY_S:
            slot.failures_n = 0
        what = f"{slot.child.name} (pid {life.process.pid}) {_told(code)}"
        if self._replace(slot):
            slot.failures_n += not was_killed
            self._tell(f"{what}, and the spare one is in its place")
        elif was_killed:
            slot.due_s = now_s
            self._tell(f"{what}, again at once")
        else:
            self._postpone(slot, what)

    def _has_turn(self, slot: _Slot) -> bool:
        """Whether it may be started: a spare one waits until those are ready that are needed."""
        return not slot.child.is_spare or all(
            other.life is not None and other.life.is_ready
            for other in self._slots
            if other.child.kind == slot.child.kind and not other.child.is_spare
        )

    def _replace(self, slot: _Slot) -> bool:
        """Let a spare one that is ready do a work that nobody does; False if there is none.

        If one is on its way there, it will be the spare one.
        """
        if slot.failures_n >= TRIES_N or slot.child.is_spare or slot.successor is not None:
            return False
        for spare in self._slots:
            if not spare.child.is_spare or spare.child.kind != slot.child.kind:
                continue
            if spare.life is not None and spare.life.is_ready and not spare.life.has_ended:
                slot.life, spare.life = spare.life, slot.life
                slot.life.process.order(slot.child.order)
                slot.started_s, spare.started_s = self._monotonic_s(), slot.started_s
                return True
        return False

    def _start(self, child: Child) -> _Life:
        return _Life(self._spawn(child), self._monotonic_s(), is_ready=child.pulse is None)

    def _listen(self, child: Child, life: _Life) -> None:
        """Hear whether it is ready and moves, and kill it if it does not."""
        if child.pulse is None:
            return
        now_s = self._monotonic_s()
        if life.process.heard():
            if child.order and not (child.is_spare or life.is_ready):
                life.process.order(child.order)
            life.heard_s, life.is_ready = now_s, True
            return
        if life.is_condemned:
            return
        limit_s = child.pulse.then_s if life.is_ready else child.pulse.first_s
        if now_s - life.heard_s >= limit_s:
            said = "said nothing" if life.is_ready else "was not ready"
            self._tell(f"{child.name} (pid {life.process.pid}) {said} for {limit_s:g} s: killed")
            life.is_ready, life.is_condemned = False, True
            life.process.kill()

    def _postpone(self, slot: _Slot, what: str) -> None:
        wait_s = min(FIRST_WAIT_S * 2**slot.failures_n, LONGEST_WAIT_S)
        slot.failures_n = min(slot.failures_n + 1, 16)
        slot.due_s = self._monotonic_s() + wait_s
        self._tell(f"{what}, again in {wait_s:g} s")

    def _roll_on(self, slot: _Slot) -> None:
        """Go on with the rolling restart of one child."""
        if slot.leaving is None and not self._take_over(slot):
            return
        leaving = slot.leaving
        if leaving is None or leaving.process.ended() is not None:
            slot.leaving = None
            self._rolled(slot)
        elif leaving.end(self._monotonic_s(), self._grace_s):
            self._tell(f"{slot.child.name} did not end within {self._grace_s:g} s: killed")

    def _take_over(self, slot: _Slot) -> bool:
        """Start a successor, and once it is ready let it take over; whether it has."""
        successor = slot.successor
        if successor is None:
            try:
                slot.successor = self._start(slot.child)
            except OSError as exc:
                self._give_up(f"{slot.child.name}: the new one could not be started: {exc}")
            return False
        if (code := successor.process.ended()) is not None:
            slot.successor = None
            self._give_up(f"{slot.child.name}: the new one {_told(code)} before it was ready")
            return False
        self._listen(slot.child, successor)
        if not successor.is_ready:
            return False
        slot.leaving, slot.life, slot.successor = slot.life, successor, None
        slot.started_s, slot.failures_n = self._monotonic_s(), 0
        return True

    def _rolled(self, slot: _Slot) -> None:
        self._rolling.popleft()
        pid = slot.life.process.pid if slot.life is not None else None
        self._tell(f"{slot.child.name} was restarted (pid {pid})")

    def _give_up(self, why: str) -> None:
        self._rolling.clear()
        self._tell(f"{why}; the rolling restart is given up")

    def _end_next(self) -> None:
        """Go on with the last kind that still runs."""
        kind = None
        for slot in reversed(self._slots):
            for life in slot.lives:
                if life.process.ended() is not None:
                    _forget(slot, life)
                    continue
                kind = kind or slot.child.kind
                if slot.child.kind == kind and life.end(self._monotonic_s(), self._grace_s):
                    self._tell(f"{slot.child.name} did not end within {self._grace_s:g} s: killed")


def _forget(slot: _Slot, ended: _Life) -> None:
    for name in ("life", "successor", "leaving"):
        if getattr(slot, name) is ended:
            setattr(slot, name, None)


def _told(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
