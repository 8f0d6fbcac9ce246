import math

import pytest

from bandit.errors import RecordError
from bandit.service.limits import check_count, check_level


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_level_without_an_interval_is_refused(alpha: float) -> None:
    check_level(0.05)
    with pytest.raises(RecordError, match=r"alpha is .*, must be in \(0, 1\)"):
        check_level(alpha)


@pytest.mark.parametrize("n", [0, 21, -1])
def test_more_than_can_be_shown_is_refused_by_its_name(n: int) -> None:
    check_count("top", 1, 20)
    check_count("top", 20, 20)
    with pytest.raises(RecordError, match=f"top is {n}, must be in 1 to 20"):
        check_count("top", n, 20)
