from itertools import product

import pytest

from sims.scenarios.mismatch import RULES, binomial, chance_of_alarm, least_quiet


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_chance_of_alarm_is_that_of_all_walks_together(rule, share: float) -> None:  # type: ignore[no-untyped-def]
    """A second implementation: every walk of three days, one by one."""
    per_day, days = 20, 3
    chances, alarms = binomial(per_day, share), 0.0
    for walk in product(range(per_day + 1), repeat=days):
        counts = [sum(walk[: day + 1]) for day in range(days)]
        if any(rule(count, per_day * (day + 1)) for day, count in enumerate(counts)):
            alarms += float(chances[list(walk)].prod())
    assert chance_of_alarm(rule, per_day, share, days) == pytest.approx(alarms, abs=1e-12)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_rule_alarms_below_its_least_quiet_count_and_is_quiet_from_there_on(rule) -> None:  # type: ignore[no-untyped-def]
    low = least_quiet(rule, 1000)
    assert [rule(count, 1000) for count in (low - 1, low, 500)] == [True, False, False]
    assert [rule(1000 - count, 1000) for count in (low - 1, low)] == [True, False]
