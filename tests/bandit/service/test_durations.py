"""ISO 8601 durations."""

import pytest

from bandit.errors import RecordError
from bandit.service.durations import duration_s, iso_duration


@pytest.mark.parametrize("seconds", [0.5, 5, 600, 3600, 86_400, 172_800, 90_061.5, 2_592_000])
def test_duration_comes_back(seconds: float) -> None:
    assert duration_s(iso_duration(seconds)) == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "10", "P1Y", "P1M", "-PT1S", "PT1S ", "PT" + "9" * 90]
)
def test_what_is_no_duration_of_known_length_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="must be ISO 8601"):
        duration_s(text)
