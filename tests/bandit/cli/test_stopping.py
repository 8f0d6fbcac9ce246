"""Signals end a process whatever it was doing, and once they are heard nobody sleeps on."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from bandit.cli.stopping import Stop, Stopping
from tests.until import until

# Signals that come at any moment of a wait. Symptom, with a `threading.Event`: the first is inside
# `wait` when nearly every signal comes, and hung for ever within a few hundred of them.
BUSY = """
import signal, sys
from bandit.cli.stopping import Stop
for n in range(int(sys.argv[1])):
    stop = Stop.on_signals((signal.SIGALRM,))
    signal.setitimer(signal.ITIMER_REAL, 0.00005 + 0.000001 * (n % 97))
    while not stop.wait({timeout}):
        pass
print("ended")
"""


@pytest.mark.parametrize("timeout", ["0", "0.00002", "0.001", "None"])
def test_no_signal_is_missed_or_waits_for_itself(timeout: str) -> None:
    code = BUSY.format(timeout=timeout)
    done = subprocess.run(
        [sys.executable, "-c", code, "3000"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "ended\n"


def started(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


WAITING = """
import signal
from bandit.cli.stopping import Stop
signal.signal(signal.SIGHUP, lambda *_: print("hup", flush=True))
stop = Stop.on_signals(again=lambda: print("again", flush=True))
print("ready", flush=True)
{body}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_waits_for_ever(number: signal.Signals) -> None:
    with started(WAITING.format(body="print(stop.wait())")) as process:
        process.send_signal(number)
        assert process.communicate(timeout=30) == ("True\n", None)


def test_other_signals_do_not_end_it() -> None:
    with started(WAITING.format(body="print(stop.wait())")) as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "hup\n"
        assert process.poll() is None
        process.terminate()
        assert process.communicate(timeout=30) == ("True\n", None)


def test_a_second_signal_is_told_apart() -> None:
    body = "stop.wait()\nprint('once', flush=True)\nimport time; time.sleep(60)"
    with started(WAITING.format(body=body)) as process:
        assert process.stdout is not None
        process.terminate()
        assert process.stdout.readline() == "once\n"
        process.terminate()
        assert process.stdout.readline() == "again\n"
        process.kill()


def test_without_a_signal_it_waits_as_long_as_it_is_told() -> None:
    stop, began_s = Stop(), time.monotonic()
    assert stop.wait(0.02) is False
    assert time.monotonic() - began_s >= 0.02
    assert stop.wait(0) is False
    assert stop.wait(-1) is False


def test_another_thread_may_set_it() -> None:
    stop, heard = Stop(), []
    thread = threading.Thread(target=lambda: heard.append(stop.wait()))
    thread.start()
    stop.set()
    until(lambda: heard == [True], "the end")
    thread.join()
    assert stop.is_set()
    assert stop.wait()  # at once from now on


def test_a_full_pipe_holds_nobody_up() -> None:
    stop = Stop()
    for _ in range(100_000):
        stop.set()
    assert stop.wait()


def test_an_event_will_do_in_a_thread() -> None:
    kinds: list[Stopping] = [threading.Event(), Stop()]
    assert [kind.wait(0.0) for kind in kinds] == [False, False]
