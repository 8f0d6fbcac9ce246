import pytest

from sims.latency import feedback_to_served_s
from sims.ledger import Ledger, Shown


def ledger_of(*decided: tuple[int, int]) -> Ledger:
    """Decisions as (ts_ms, snapshot)."""
    ledger = Ledger()
    for ts_ms, snapshot in decided:
        text = f"{ts_ms:012x}"
        ledger.show(
            Shown(
                event_id=f"{text[:8]}-{text[8:]}-7000-8000-000000000000",
                variant="treatment",
                policy="p",
                snapshot=snapshot,
                propensity=1.0,
                reward=1.0,
            )
        )
    return ledger


def test_latency_counts_from_the_end_of_the_window_to_a_model_that_knows() -> None:
    ledger = ledger_of((1000, 0), (2000, 0), (3500, 1), (5000, 3))
    # By hand, window 1 s: the first is in snapshot 1, served at 3500; the second in snapshot 2,
    # which nobody served, so 3 at 5000; the others are in no snapshot that served.
    waits = feedback_to_served_s(ledger, "p", {1: 1500, 2: 2000, 3: 3000}, window_ms=1000)
    assert waits.tolist() == pytest.approx([1.5, 2.0])


def test_latency_is_empty_when_the_policy_never_served() -> None:
    assert feedback_to_served_s(ledger_of((1, 0)), "other", {1: 5}, 0).size == 0
    assert feedback_to_served_s(ledger_of((1, 0)), "p", {}, 0).size == 0
