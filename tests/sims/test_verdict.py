import pytest

from sims.audit import Late
from sims.ledger import Ledger, Shown
from sims.verdict import check_better, check_earned, effect_text, primary_effect
from tests.sims.reports import effect_of, report_of


@pytest.mark.parametrize(
    ("low", "high", "passed"),
    [(0.01, 0.2, True), (0.0, 0.2, False), (-0.1, 0.2, False), (None, None, False)],
)
def test_learned_policy_wins_only_by_an_interval_above_zero(
    low: float | None, high: float | None, passed: bool
) -> None:
    report = report_of(effect_of(low, high))
    assert check_better(primary_effect(report, "treatment")).passed is passed


def test_no_effect_of_another_treatment_is_taken_for_this_one() -> None:
    found = primary_effect(report_of(effect_of(0.1, 0.2)), "another")
    assert found is None
    assert not check_better(found).passed


@pytest.mark.parametrize(
    ("likes", "late", "passed"),
    [((1, 2), 0, True), ((1, 1), 0, False), ((1, 1), 1, True), ((1, 2), 1, False)],
)
def test_every_accepted_reward_is_counted_or_late(
    likes: tuple[int, int], late: int, passed: bool
) -> None:
    ledger = Ledger()
    for number in range(3):
        ledger.show(Shown(f"{number}", "treatment", "movies-vw", 0, 0.5, 1.0))
    report = report_of(effect_of(0.1, 0.2), likes=likes)
    assert check_earned(ledger, report, Late(late, float(late))).passed is passed


def test_effect_is_told_with_its_interval_or_with_why_there_is_none() -> None:
    assert effect_text(effect_of(0.1, 0.3).effect) == "+0.2 (95% interval +0.1 to +0.3)"
    assert effect_text(effect_of(None, None).effect) == "none: one_unit"
