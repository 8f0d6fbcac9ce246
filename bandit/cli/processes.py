"""Real children of a supervisor: each leads a process group, and none outlives us.

A child that dies takes what it started with it: workers of a server whose main process was killed
would hold its port. If we are killed ourselves, the guard (`bandit.cli.guard`) ends the groups.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from bandit.cli import guard
from bandit.cli.child import Child
from bandit.cli.heartbeat import HEARTBEAT_FD, ORDERS_FD
from bandit.logs import wrapped

GUARD_GRACE_S = 5.0
# The child waits until the guard knows its group, and gives up if we die before that.
_WHEN_TOLD = 'read -r _ && exec "$@" </dev/null'


class Processes:
    """Starts children under a guard; close it when all of them have ended."""

    def __init__(
        self,
        *,
        logs: Path | None = None,
        when_ended: Callable[[], None] = lambda: None,
        as_json_s: Callable[[], float] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            logs: Folder for `<name>.log`; without it lines go to standard output, named.
            when_ended: Called, in a thread of its own, at once when a child has ended.
            as_json_s: The clock, if lines go to standard output as JSON objects, one a line.
        """
        self._as_json_s = as_json_s
        self._logs = logs
        self._when_ended = when_ended
        self._guard: subprocess.Popen[str] | None = None
        self._groups: set[int] = set()
        self._printing = threading.Lock()
        self._guarded = threading.Lock()

    def spawn(self, child: Child) -> "GroupProcess":
        """Start a child.

        Raises:
            OSError: It could not be started.
        """
        argv = ["/bin/sh", "-c", _WHEN_TOLD, "sh", *child.argv]
        output = self._output(child.name)
        ears, mouth = os.pipe() if child.pulse is not None else (None, None)
        its_ears, our_mouth = os.pipe() if child.stands_by else (None, None)
        named = {HEARTBEAT_FD: mouth, ORDERS_FD: its_ears}
        passed = {name: fd for name, fd in named.items() if fd is not None}
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**child.env, **{name: str(fd) for name, fd in passed.items()}},
                pass_fds=(*child.fds, *passed.values()),
                start_new_session=True,
            )
        except BaseException:
            _close(ears)
            _close(our_mouth)
            raise
        finally:
            _close(mouth)
            _close(its_ears)
            if not isinstance(output, int):
                output.close()
        if child.nice:
            with suppress(OSError):  # it has ended already, which is told elsewhere
                niceness = os.getpriority(os.PRIO_PROCESS, 0) + child.nice
                os.setpriority(os.PRIO_PGRP, process.pid, niceness)
        self._watch(process.pid)
        threading.Thread(target=self._tell_end, args=(process.pid,), daemon=True).start()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(b"\n")
            process.stdin.close()
        if process.stdout is not None:
            threading.Thread(
                target=self._print, args=(child.name, process.stdout), daemon=True
            ).start()
        return GroupProcess(process, self._unwatch, ears, our_mouth)

    def close(self) -> None:
        """Let the guard go."""
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None

    def _output(self, name: str) -> int | IO[bytes]:
        if self._logs is None:
            return subprocess.PIPE
        self._logs.mkdir(parents=True, exist_ok=True)
        return (self._logs / f"{name}.log").open("ab")

    def _print(self, name: str, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                # Nobody may read it any more; the child must not block on a full pipe for that.
                if self._as_json_s is not None and not line.strip():
                    continue
                with self._printing, suppress(OSError):
                    sys.stdout.write(f"{self._named(name, line)}\n")
                    sys.stdout.flush()

    def _named(self, name: str, line: bytes) -> str:
        text = line.decode(errors="replace").rstrip()
        if self._as_json_s is None:
            return f"{name:9} | {text}"
        return wrapped(name, text, self._as_json_s())

    def _tell_end(self, pid: int) -> None:
        with suppress(ChildProcessError):  # somebody has looked already
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self._when_ended()

    def _watch(self, group: int) -> None:
        with self._guarded:
            self._groups.add(group)
            self._tell_guard(f"+{group}\n")

    def _unwatch(self, group: int) -> None:
        with self._guarded:
            self._groups.discard(group)
            self._tell_guard(f"-{group}\n")

    def _tell_guard(self, line: str) -> None:
        """Pass a line on; a guard that is not there is started and told everything."""
        if self._guard is not None and self._guard.poll() is None:
            with suppress(BrokenPipeError):
                _write(self._guard, line)
                return
        command = [sys.executable, "-I", "-S", guard.__file__, str(GUARD_GRACE_S)]
        self._guard = subprocess.Popen(
            command, stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        _write(self._guard, "".join(f"+{group}\n" for group in self._groups))


class GroupProcess:
    """A child and its process group."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        forget: Callable[[int], None],
        ears: int | None = None,
        mouth: int | None = None,
    ) -> None:
        self._process = process
        self._forget = forget
        self._ears = ears
        self._mouth = mouth
        if ears is not None:
            os.set_blocking(ears, False)

    @property
    def pid(self) -> int:
        """Its main process, which gave the group its number."""
        return self._process.pid

    def ended(self) -> int | None:
        """Exit code of the main process; what it left behind is killed before anybody is told."""
        if self._process.returncode is None:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            # Not reaped yet, it keeps the group's number from being given to somebody else.
            self.kill()
            self._process.wait()
            self._forget(self.pid)
            _close(self._ears)
            _close(self._mouth)
            self._ears = self._mouth = None
        return self._process.returncode

    def heard(self) -> bool:
        """Whether it said something since this was asked last."""
        if self._ears is None:
            return False
        try:
            return bool(os.read(self._ears, 4096))
        except BlockingIOError:
            return False

    def order(self, line: str) -> None:
        """Say something to it; if it is dead already, `ended` will tell."""
        assert self._mouth is not None, "it does not stand by"
        with suppress(BrokenPipeError):
            os.write(self._mouth, f"{line}\n".encode())

    def terminate(self) -> None:
        """Ask the main process to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill the group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _close(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)


def _write(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()
