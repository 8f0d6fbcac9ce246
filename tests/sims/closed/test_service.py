from typing import Any

import msgspec
import pytest

from bandit.service.reporting_payloads import Health
from sims.closed.books import Books
from sims.closed.loop import sent_of
from sims.closed.plan import Plan
from sims.closed.service import Sent, is_settled
from tests.sims.closed.making import story

COUNTS = {"records_n": 5, "distinct_n": 5}
LEARNING = {
    "snapshot": 3,
    "published_ms": 0,
    "age_ms": 0,
    "watermark_ms": 0,
    "trained": 3,
    "defaulted": 2,
    "unseen": 0,
    "late": 0,
    "duplicate": 0,
    "orphan": 0,
    "out_of_bounds": 0,
}


def health(learning: dict[str, int] | None = LEARNING, **changes: object) -> Health:
    policy = {
        "policy": "p",
        "type": "vw",
        "learns": True,
        "served_snapshot": 1,
        "learning": learning,
        "latency": None,
    }
    fields = {
        "decisions": COUNTS,
        "rewards": COUNTS,
        "exposures": COUNTS,
        "open_n": 0,
        "newest_decision_ms": 0,
        "drained_through_ms": None,
        "drain_lag_ms": None,
        "hosts_n": 1,
        "silent_n": 0,
        "policies": [policy],
        "problems": [],
    }
    return msgspec.convert(fields | changes, Health)


def test_surface_is_settled_once_all_is_stored_closed_and_learned() -> None:
    assert is_settled(health(), Sent(5, 5))
    assert is_settled(health(LEARNING | {"late": 2, "duplicate": 1}), Sent(5, 5, 3))


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, Sent(6, 5)),
        ({}, Sent(5, 6)),
        ({"open_n": 1}, Sent(5, 5)),
        ({"learning": LEARNING | {"trained": 2}}, Sent(5, 5)),
        ({"learning": None}, Sent(5, 5)),
        # Symptom: late rewards were looked for in a snapshot from before they were counted.
        ({"learning": LEARNING | {"late": 2}}, Sent(5, 5, 3)),
    ],
)
def test_surface_that_lacks_something_is_not_settled(changes: dict[str, Any], sent: Sent) -> None:
    assert not is_settled(health(**changes), sent)


def test_what_was_sent_is_counted_by_surface() -> None:
    stories = [story(), story(sent_n=0), story(surface=2, sent_n=2)]
    plan = Plan(repetitions=2, learning=1)
    books = Books(stories, [], [], [], 0, 0, 0, 0)
    assert sent_of(plan, books) == [Sent(2, 1), Sent(0, 0), Sent(1, 1, 1)]
