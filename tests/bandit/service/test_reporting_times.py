"""Times as people and programs write them."""

import pytest

from bandit.errors import RecordError
from bandit.service.reporting_times import LAST_MS, moment_ms


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("0", 0),
        ("1795392000123", 1_795_392_000_123),
        ("2026-11-23", 1_795_392_000_000),
        ("2026-11-23T00:00:00Z", 1_795_392_000_000),
        ("2026-11-23T01:00:00.123+01:00", 1_795_392_000_123),
        ("2026-11-23T01:00:00 01:00", 1_795_392_000_000),  # a + that nobody escaped
        ("2026-11-22T19:00:00-05:00", 1_795_392_000_000),
        (str(LAST_MS), LAST_MS),
    ],
)
def test_a_time_is_milliseconds_since_1970(text: str, at_ms: int):
    assert moment_ms(text) == at_ms


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-23T10:00:00", "2026-13-01", "1e3", "-5", "²", "nan", "2026-11-23T25:00Z"],
)
def test_what_is_no_time_is_refused_with_an_example(text: str):
    with pytest.raises(RecordError, match="must be a time with its offset"):
        moment_ms(text)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "2200-01-02", "9" * 400])
def test_a_time_that_the_store_can_not_hold_is_refused(text: str):
    with pytest.raises(RecordError, match="between the years 1970 and 2199"):
        moment_ms(text)
