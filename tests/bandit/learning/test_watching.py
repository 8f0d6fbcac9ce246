import logging

import pytest

from bandit.learning.watching import PATIENCE_MS, Watch
from bandit.store.drained import Drained

HOLED = ("rewards/home/w1",)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def test_hosts_that_fall_silent_and_come_back_are_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    watch = Watch("vw")
    for silent_n, lines_n in [(0, 0), (1, 1), (1, 0), (0, 1), (0, 0)]:
        watch.look(Drained(0, hosts_n=2, silent_n=silent_n), (), 0)
        assert len(said(caplog)) == lines_n


def test_a_hole_is_told_of_once_it_has_stayed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    watch, healthy = Watch("vw"), Drained(0, hosts_n=1, silent_n=0)
    watch.look(healthy, HOLED, 0)
    watch.look(healthy, (), 1)
    watch.look(healthy, HOLED, 2)
    watch.look(healthy, HOLED, PATIENCE_MS + 1)
    assert said(caplog) == []
    watch.look(healthy, HOLED, PATIENCE_MS + 2)
    watch.look(healthy, HOLED, PATIENCE_MS + 3)
    assert said(caplog) == ["policy=vw stream=rewards/home/w1 stands still at a hole"]
    watch.look(healthy, (), PATIENCE_MS + 4)
    assert said(caplog) == ["policy=vw stream=rewards/home/w1 goes on"]
