from types import SimpleNamespace
from typing import Any

import pytest

from sims.closed.books import Books
from sims.closed.judging import (
    Answers,
    Estimate,
    figures_of,
    of_effect,
    regrets_of,
    served_estimate,
)
from sims.closed.loop import Latencies
from sims.closed.plan import Plan
from tests.sims.closed.making import POPULATION, effect, story


def estimate(error: float, *, half: float = 0.1, truth: float = 0.3) -> Estimate:
    return of_effect(
        "A/B", "s", truth, effect(truth + error - half, truth + error + half, truth + error)
    )


def figure(estimates: list[Estimate], name: str) -> tuple[float, str | None]:
    found = next(one for one in figures_of(estimates, []) if one.name.endswith(name))
    return found.value, found.holds


def test_coverage_counts_intervals_that_hold_the_truth() -> None:
    estimates = [estimate(error) for error in [0.0] * 58 + [0.2, -0.2]]
    assert figure(estimates, ": covers") == (pytest.approx(58 / 60), "unsure")
    assert figure([estimate(0.2)] * 30 + [estimate(0.0)] * 30, ": covers")[1] == "no"


def test_bias_is_seen_in_standard_errors_of_the_mean_error() -> None:
    fair = [estimate(error) for error in [0.05, -0.05] * 20]
    biased = [estimate(error + 0.05) for error in [0.05, -0.05] * 20]
    assert figure(fair, "standard errors")[1] == "yes"
    assert figure(biased, "standard errors")[1] == "no"
    assert figure(fair[:4], "standard errors")[1] is None  # too few to know


def test_report_without_an_interval_is_counted_and_covers_nothing() -> None:
    estimates = [estimate(0.0), estimate(0.01), of_effect("A/B", "s", 0.3, effect(None, None))]
    assert figure(estimates, "has an interval")[0] == pytest.approx(2 / 3)
    assert figure(estimates, ": covers")[0] == 1.0


def test_a_learning_policys_truth_is_what_its_draws_were_worth_and_the_controls() -> None:
    plan, judged = Plan(repetitions=2, learning=1), SimpleNamespace(effect=effect(0.0, 0.2))
    experiment: Any = SimpleNamespace(effects=[judged])
    answers = Answers(experiment, surface=None, history=None)  # type: ignore[arg-type]
    stories = [story(event_id="a"), story(event_id="b", round=2, variant="learned")]
    given = (plan, POPULATION, 2, answers)
    pmfs = {"a": [0.5, 0.5], "b": [0.0, 1.0]}
    found = served_estimate(*given, stories, pmfs)
    assert found is not None
    assert found.truth == pytest.approx(plan.counted_share * (1.0 - 0.5))
    # Symptom: nobody was served by one, and a truth that was no number made the report unreadable.
    for one in stories:
        assert served_estimate(*given, [one], pmfs) is None


def test_regret_is_what_the_best_action_would_have_earned_more() -> None:
    stories = [
        story(round=0, drawn=0, begun_s=1.0),
        story(round=0, drawn=1, begun_s=9.0),
        story(round=1, drawn=1, begun_s=2.0, variant="mixed"),
    ]
    mixed, uniform = regrets_of(POPULATION, stories, 10.0)
    assert (uniform.mean, uniform.late, uniform.decisions_n) == (0.5, 1.0, 2)
    assert (mixed.mean, mixed.late) == (0.0, None)


def test_books_of_all_clients_are_added_up() -> None:
    one = Books([story()], [1.0, 2.0], [3.0], ["no"], 1, 2, 3, 4)
    both = Books.together([one, one])
    assert both == Books([story()] * 2, [1.0, 2.0] * 2, [3.0] * 2, ["no"] * 2, 2, 4, 6, 8)
    assert both.requests_n == 6


def test_nobody_answered_has_no_latency() -> None:
    assert Latencies.of([]).p50 is None
    assert Latencies.of([3.0]).p99 == 3.0
