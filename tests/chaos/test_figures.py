"""Figures of runs that were made up."""

import math
from typing import Any

import pytest

from tests.chaos.acknowledged import Attempt, attempt
from tests.chaos.figures import figures, gaps
from tests.chaos.rig import Event


def asked(kind: str, at_s: float, status: int, **more: Any) -> Attempt:
    times = {"planned": at_s, "sent": at_s, "done": at_s + 0.01}
    return attempt({"kind": kind, "status": status, "id": "x", **times, **more})


RUN = [
    asked("rank", 0.0, 200),
    asked("rank", 1.0, 200),
    asked("rank", 1.2, 0, error="ConnectionResetError"),
    asked("reward", 1.3, 503),
    asked("rank", 1.6, 200),
    asked("reward", 1.9, 202),
]


def test_gap_is_between_rankings_that_were_served() -> None:
    assert gaps(RUN, 0.9) == [(0.01, 1.01)]
    assert figures(RUN, [Event("kill", 1.1, 1.1)]).gap_s == pytest.approx(1.0)


def test_refused_requests_are_not_failed_ones() -> None:
    found = figures(RUN, [Event("kill", 1.1, 1.1)])
    assert (found.failed_share, found.refused_share) == (1 / 6, 1 / 6)
    assert found.outcomes == {"rank ConnectionResetError": 1, "reward 503": 1}


def test_recovery_lasts_until_both_kinds_of_writes_are_accepted() -> None:
    found = figures(RUN, [Event("kill", 1.1, 1.1), Event("kill", 1.5, 1.5)])
    assert found.recovery_s == pytest.approx(0.81)


def test_fault_after_which_nothing_was_accepted_has_no_recovery() -> None:
    assert figures(RUN, [Event("kill", 1.8, 1.8)]).recovery_s == math.inf


def test_answer_that_is_not_logged_is_no_recovery() -> None:
    unlogged = [*RUN, asked("rank", 2.0, 200, logged=False), asked("reward", 2.0, 202)]
    assert figures(unlogged, [Event("disk full", 1.0, 1.95)]).recovery_s == math.inf
