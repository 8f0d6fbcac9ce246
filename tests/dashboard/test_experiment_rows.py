"""What the experiment's page says in words and tables, from judgements made by hand."""

import msgspec

from bandit.service.judging import Judged, judge
from bandit.service.judging_payloads import PlanProgress
from dashboard.experiment_effects import (
    belief_row,
    effect_row,
    guardrail_row,
    note_texts,
    plan_in_words,
    promise_in_words,
)
from dashboard.experiment_segments import segment_row
from tests.bandit.service.making_numbers import (
    exactly,
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
    slice_of,
)


def judged(gain: float = 0.5) -> Judged:
    """An experiment with a guardrail, two segments and covariates."""
    y = {"c": exactly(400, 10.0, 2.0), "t": exactly(400, 10.0 + gain, 2.0)}
    before = [v + i % 3 for i, v in enumerate(exactly(400, 10.0, 2.0))]
    rows = {key: [values, before] for key, values in y.items()}
    reward = moments_of("reward", rows, ("value", "covariate"))
    latency = moments_of("latency", {"c": [exactly(400, 100, 5)], "t": [exactly(400, 100, 5)]})
    cut = [slice_of("country", value, reward) for value in ('"DE"', "")]
    return judge(
        numbers_of(reward, latency, slices=cut),
        experiment_of(guardrails=["latency"], segments=["country"]),
        [metric_of(), metric_of("latency", better="lower", margin=0.02)],
        alpha=0.05,
    )


def test_an_effect_has_its_corrected_p_value():
    row = effect_row(judged().effects[0], "fixed")
    assert row["metric"] == "reward per unit (primary)"
    assert row["p"] == row["p corrected"] != "–"


def test_a_guardrail_shows_its_margin_and_answer():
    row = guardrail_row(judged().effects[1], "anytime")
    assert (row["guardrail"], row["state"], row["margin"]) == ("latency", "ok", "2 %")
    empty = msgspec.structs.replace(judged().effects[1], guardrail=None, non_inferiority=None)
    assert guardrail_row(empty, "anytime")["state"] == "–"


def test_belief_and_outlook_are_beside_and_missing_where_there_are_none():
    found = judged().effects[0]
    assert belief_row(found)["chance to win"] == "100.0 %"
    none = msgspec.structs.replace(found, bayes=None, outlook=None)
    assert belief_row(none)["chance to win"] == "–"


def test_notes_name_the_comparison_they_are_about():
    [note] = note_texts(judged().effects)
    assert note.startswith("reward, t − c: without covariates +0.5 [")


def test_segments_are_shown_without_a_claim_that_no_test_bears():
    [found] = judged().segments
    rows = [segment_row(found, row) for row in found.rows]
    assert {row["value"] for row in rows} == {'"DE"', "others"}
    assert {row["differs"] for row in rows} == {"can not be told"}


def test_intervals_say_what_they_promise_and_whether_they_decide():
    assert promise_in_words("anytime", "anytime").endswith("The verdict goes by them.")
    assert promise_in_words("anytime", "fixed").endswith("The verdict does not go by them.")


def test_a_plan_says_how_far_it_is():
    plan = PlanProgress(
        units_n=900, planned_units=4000, looks=4, looks_done=0, next_look_units_n=1000,
        finished=False,
    )  # fmt: skip
    assert plan_in_words(plan).endswith("900 of 4,000 units; the next is due at 1,000.")
    over = msgspec.structs.replace(plan, looks_done=4, next_look_units_n=None, finished=True)
    assert plan_in_words(over).endswith("the plan is over.")
