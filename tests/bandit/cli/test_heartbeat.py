import os

from bandit.cli.heartbeat import HEARTBEAT_FD, Heartbeat


def test_each_beat_is_a_line() -> None:
    ears, mouth = os.pipe()
    heartbeat = Heartbeat({HEARTBEAT_FD: str(mouth)})
    heartbeat.beat()
    heartbeat.beat()
    assert os.read(ears, 100) == b"\n\n"
    os.close(ears)
    heartbeat.beat()  # nobody listens any more
    os.close(mouth)


def test_nobody_waits_for_one_who_does_not_listen() -> None:
    ears, mouth = os.pipe()
    heartbeat = Heartbeat({HEARTBEAT_FD: str(mouth)})
    for _ in range(70_000):  # more than a pipe holds
        heartbeat.beat()
    os.close(ears)
    os.close(mouth)


def test_without_a_supervisor_nothing_is_said() -> None:
    Heartbeat({}).beat()
