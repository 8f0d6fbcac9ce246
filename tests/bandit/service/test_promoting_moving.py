"""Ramps are moved on at a pace, and what happened is said once."""

import logging

import pytest
from msgspec.structs import replace

from bandit.errors import StoreUnavailable
from bandit.service.promoting_moving import RampMover
from bandit.service.promoting_records import Promotion, PromotionPlan

RAMPING = Promotion(
    surface="home", id=1, state="ramping", challenger="new", live="old", experiment="e",
    share=0.01, reason="", author="ana", at_ms=1, plan=PromotionPlan(), gate=None,
)  # fmt: skip


def test_ramps_are_moved_when_it_is_time_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, passes = [0.0], []
    found = [RAMPING, RAMPING, replace(RAMPING, share=0.1)]

    def advance() -> list[Promotion]:
        passes.append(clock[0])
        return [found[len(passes) - 1]]

    mover = RampMover(advance, monotonic_s=lambda: clock[0], interval_s=10.0)
    for now in (0.0, 5.0, 10.0, 12.0, 20.0):
        clock[0] = now
        mover.step()
    assert passes == [0.0, 10.0, 20.0]
    assert [r.getMessage() for r in caplog.records] == [
        "promotion 1 of home is ramping at 0.01",
        "promotion 1 of home is ramping at 0.1",
    ]


def test_pass_that_the_store_cut_off_is_tried_again_at_once() -> None:
    passes: list[int] = []

    def advance() -> list[Promotion]:
        passes.append(1)
        if len(passes) == 1:
            raise StoreUnavailable("away")
        return []

    mover = RampMover(advance, monotonic_s=lambda: 0.0)
    with pytest.raises(StoreUnavailable):
        mover.step()
    mover.step()
    assert len(passes) == 2
