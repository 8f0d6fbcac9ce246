"""Verdicts in plain words: what is said, why, and what to do."""

import msgspec
import pytest

from bandit.errors import RecordError
from bandit.service.judging import Judged, judge
from bandit.service.judging_verdicts import not_judged
from bandit.specs import Experiment, Variant
from bandit.store.numbers import VariantNumbers
from tests.bandit.service.making_numbers import (
    arrivals,
    counts_of,
    exactly,
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
)

PAYLOADS = Experiment(
    key="e",
    salt="s",
    status="running",
    control="c",
    metrics=["reward"],
    variants=[
        Variant(key="c", payload="blue", allocation=[(0, 5000)]),
        Variant(key="t", payload="red", allocation=[(5000, 10_000)]),
    ],
)


def said(
    *gains: float,
    better: str = "higher",
    n: int = 100,
    sequential: str = "anytime",
    experiment: Experiment | None = None,
    **more: object,
) -> Judged:
    """Judge treatments t, t1, t2 … whose units earn 1 + gain, with a spread of 1."""
    keys = ["t", *(f"t{i}" for i in range(1, len(gains)))]
    rows = {"c": [exactly(n, 1.0, 1.0)]}
    rows |= {key: [exactly(n, 1.0 + gain, 1.0)] for key, gain in zip(keys, gains, strict=True)}
    numbers = numbers_of(moments_of("reward", rows), **more)
    experiment = experiment or experiment_of(keys)
    return judge(numbers, experiment, [metric_of(better=better)], alpha=0.05, sequential=sequential)


@pytest.mark.parametrize(
    ("gain", "better", "state"),
    [
        (1.0, "higher", "better"),
        (-1.0, "higher", "worse"),
        (-1.0, "lower", "better"),
        (1.0, "lower", "worse"),
        (0.35, "higher", "not_yet"),
        (-0.35, "higher", "not_yet"),
        (0.35, "lower", "not_yet"),
        (0.1, "higher", "unclear"),
        (-0.1, "lower", "unclear"),
    ],
)
def test_direction_of_the_metric_decides_what_is_better(gain: float, better: str, state: str):
    assert said(gain, better=better).verdict.state == state


def test_headline_has_the_interval_that_decides_its_level_the_split_and_how_it_may_be_read():
    # By hand: se = sqrt(2/100) = 0.1414; ρ² = 0.001642 (tuned for 5,000), n = 200, so the sequence
    # reaches sqrt((nρ² + 1)/(nρ²)·ln((nρ² + 1)/0.05²)) = 5.038 se = 0.712. Welch would reach 0.279.
    got = said(1.0).verdict
    assert got.headline.startswith("Ship t: reward +100.0 % [")
    assert "], +1 per unit [0.2875, 1.712] at 95 %; SRM fine; peeking-safe." in got.headline
    assert got.reason.startswith("The interval holds at every look together, and leaves out 0.")
    assert "everybody" in got.next_step


def test_an_effect_that_is_nothing_beside_the_control_is_said_in_the_metrics_unit_only():
    # At a mean of 1e9 it read "+0.0 % [0.0, 0.0]".
    rows = {"c": [exactly(200, 1e9, 1.0)], "t": [exactly(200, 1e9 + 1.0, 1.0)]}
    numbers = numbers_of(moments_of("reward", rows))
    headline = judge(numbers, experiment_of(), [metric_of()], alpha=0.05).verdict.headline
    assert headline.startswith("Ship t: reward +1 per unit [0.")
    assert "0.0 %" not in headline


@pytest.mark.parametrize("alpha", [1e-12, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("sequential", ["anytime", "planned", "fixed"])
def test_a_guardrail_is_judged_at_every_level(alpha: float, sequential: str):
    # From 0.5 on the one-sided sequence was refused by a ValueError, which no route maps.
    plan = {"looks": 2, "planned_units": 200} if sequential == "planned" else {}
    experiment = experiment_of(guardrails=["guard"], sequential=sequential, **plan)
    rows = {"c": [exactly(100, 1.0, 1.0)], "t": [exactly(100, 1.5, 1.0)]}
    numbers = numbers_of(moments_of("reward", rows), moments_of("guard", rows))
    got = judge(numbers, experiment, [metric_of(), metric_of("guard")], alpha=alpha)
    assert [found.guardrail for found in got.effects][1] in ("ok", "unclear", "violated")
    assert " 100 %" not in got.verdict.headline


def test_at_one_look_the_claim_is_of_that_look_only():
    got = said(0.35, sequential="fixed").verdict
    assert got.state == "better"
    assert "[0.07111, 0.6289]" in got.headline
    assert got.headline.endswith("valid for this one look only.")


GUARDS = experiment_of(guardrails=["latency"])


def with_guardrail(treatment: float, *, margin: float = 0.02, scale: str = "relative") -> Judged:
    numbers = numbers_of(
        moments_of("reward", {"c": [exactly(4000, 10.0, 2.0)], "t": [exactly(4000, 10.4, 2.0)]}),
        moments_of("latency", {"c": [exactly(4000, 100, 9)], "t": [exactly(4000, treatment, 9)]}),
    )
    latency = metric_of("latency", better="lower", margin=margin, margin_scale=scale)
    return judge(numbers, GUARDS, [metric_of(), latency], alpha=0.05)


def test_a_winner_is_shipped_with_its_guardrails():
    got = with_guardrail(100.1).verdict
    assert got.state == "better"
    assert got.headline.startswith("Ship t: reward +4.0 % [")
    assert got.headline.endswith("; guardrail latency not worse than 2 %; SRM fine; peeking-safe.")
    absolute = with_guardrail(100.1, margin=2.0, scale="absolute").verdict
    assert "guardrail latency not worse by 2;" in absolute.headline


@pytest.mark.parametrize(
    ("treatment", "words", "step"),
    [
        (106.0, "guardrail latency is worse by more than 2 % (+6.0 %)", "find out what it costs"),
        (101.9, "guardrail latency may be worse by more than 2 % (+1.9 % so far)", "Keep it"),
    ],
)
def test_a_winner_is_not_shipped_with_a_guardrail_that_is_broken_or_open(treatment, words, step):
    got = with_guardrail(treatment).verdict
    assert got.state == "guardrail"
    assert got.headline.startswith("Do not ship t yet: reward +4.0 %")
    assert words in got.headline
    assert step in got.next_step


def test_of_several_winners_one_whose_guardrails_hold_is_shipped():
    keys = ("t", "u")
    reward = {"c": [exactly(4000, 10.0, 2.0)], "t": [exactly(4000, 11.0, 2.0)]}
    latency = {"c": [exactly(4000, 100, 9)], "t": [exactly(4000, 120, 9)]}
    reward["u"], latency["u"] = [exactly(4000, 10.5, 2.0)], [exactly(4000, 100, 9)]
    got = judge(
        numbers_of(moments_of("reward", reward), moments_of("latency", latency)),
        experiment_of(keys, guardrails=["latency"]),
        [metric_of(), metric_of("latency", better="lower")],
        alpha=0.05,
    ).verdict
    assert (got.state, got.headline.split(":")[0]) == ("better", "Ship u")
    assert "The 2 treatments share the level (holm)." in got.reason


def test_units_that_come_back_make_the_promise_approximate():
    counts = tuple(
        VariantNumbers(variant=key, units_n=100, decisions_n=250, rewarded_n=9) for key in "ct"
    )
    assert "Nearly so: units have 2.5 decisions each" in said(1.0, variants=counts).verdict.reason
    assert "Nearly so" in said(-1.0, variants=counts).verdict.reason
    assert "Nearly so" not in said(1.0).verdict.reason
    assert "Nearly so" not in said(1.0, sequential="fixed", variants=counts).verdict.reason


def test_what_only_one_planned_look_would_say_is_told_as_such():
    # By hand: 0.35 ± 0.279 (Welch) leaves out 0; 0.35 ± 0.712 (any look) does not.
    got = said(0.35).verdict
    assert got.headline.startswith(
        "Not yet: only one planned look would call t better than c: reward +35.0 %"
    )
    assert "+0.35 per unit [0.07111, 0.6289]" in got.headline
    assert "every look, [-0.362, 1.06], includes 0." in got.reason
    assert "would call t worse than c" in said(-0.35).verdict.headline
    assert "would call t worse than c" in said(0.35, better="lower").verdict.headline


def test_nothing_is_said_at_any_look_before_the_first_hundred_units():
    got = said(2.0, n=40).verdict
    assert got.state == "not_yet"
    assert "no interval yet that holds at every look: it starts at 100 units." in got.reason
    assert "it starts at 100 units." in said(0.0, n=40).verdict.reason


def test_what_can_not_be_told_shows_the_interval_and_when_it_might_be():
    got = said(0.1, periods=arrivals({"c": 100, "t": 100}, days=5)).verdict
    assert "+0.1 per unit [-0.6125, 0.8125]" in got.headline
    assert "every look, [-0.612, 0.812], includes 0." in got.reason
    assert "more units find an effect of 5 % in four of five runs, in about" in got.next_step
    large = said(0.001, n=60_000).verdict
    assert "has the units to find an effect of 5 %" in large.next_step


def test_a_treatment_that_is_worse_does_not_hide_one_that_can_not_be_told():
    got = said(-5.0, 0.1).verdict
    assert got.state == "unclear"
    assert "+0.1 per unit" in got.headline


def test_one_better_treatment_wins_over_worse_ones():
    got = said(-1.5, 0.9).verdict
    assert (got.state, got.headline.split(":")[0]) == ("better", "Ship t1")


def test_two_treatments_must_pass_the_level_that_they_share():
    # p = 0.027 at one look: enough for one treatment, not for two.
    assert said(0.314, sequential="fixed").verdict.state == "better"
    assert said(0.314, 0.0, sequential="fixed").verdict.state == "unclear"


def test_a_treatment_without_units_does_not_hide_one_that_has_some():
    got = judge(
        numbers_of(
            moments_of("reward", {"c": [exactly(8, 1.0, 1.0)], "t": [exactly(8, 1.1, 1.0)]})
        ),
        experiment_of(("t", "u")),
        [metric_of()],
        alpha=0.05,
    ).verdict
    assert (got.state, "+0.1 per unit" in got.headline) == ("unclear", True)


def test_a_broken_split_comes_before_any_effect():
    got = said(1.0, units={"c": 900, "t": 100}).verdict
    assert got.state == "broken"
    assert "c has 900 units where 500 were expected" in got.reason


def test_units_that_are_all_left_out_are_named_where_there_is_nothing_else():
    got = judge(
        numbers_of(moments_of("reward", {}), units={}, forced_n=2),
        experiment_of(),
        [metric_of()],
        alpha=0.05,
    ).verdict
    assert got.headline == "No decision of this experiment counts."
    assert "2 units were set by hand" in got.reason


def test_payloads_are_judged_without_waiting_for_any_window():
    counts = tuple(VariantNumbers(variant=key, units_n=100) for key in "ct")
    got = said(1.0, experiment=PAYLOADS, variants=counts).verdict
    assert got.state == "better"
    assert "outcomes that come after it counted are outside the promise" in got.reason


def test_payloads_without_a_metric_have_nothing_to_be_judged_by():
    numbers = numbers_of(moments_of("reward", {}), units={"c": 100, "t": 100})
    got = judge(numbers, PAYLOADS, [], alpha=0.05).verdict
    assert (got.state, "names no metric of outcomes" in got.reason) == ("unclear", True)


def test_payloads_that_nobody_was_told_ask_for_assignments():
    got = judge(numbers_of(moments_of("reward", {})), PAYLOADS, [metric_of()], alpha=0.05).verdict
    assert got.headline == "No assignment of this experiment is in the log."
    assert "POST /v1/assignments" in got.next_step


def test_what_can_not_be_judged_says_why():
    got = not_judged(PAYLOADS, RecordError("metric 'm' is of rewards, must be of outcomes"))
    assert (got.state, got.reason) == ("broken", "Metric 'm' is of rewards, must be of outcomes.")


def test_a_missing_interval_says_why():
    rows = moments_of("reward", {"c": [[1.0]], "t": [[2.0]]})
    got = judge(numbers_of(rows), experiment_of(), [metric_of()], alpha=0.05).verdict
    assert (got.state, "a single unit" in got.reason) == ("unclear", True)


def test_open_windows_are_waited_for():
    counts = (VariantNumbers(variant="c", open_n=7),)
    numbers = numbers_of(moments_of("reward", {}), variants=counts)
    got = judge(numbers, experiment_of(), [metric_of()], alpha=0.05, window_s=600.0).verdict
    assert (got.state, got.reason) == (
        "waiting",
        "7 decisions wait for their join window of 600 s to end.",
    )


def test_decisions_that_were_never_seen_ask_for_exposures():
    counts = (VariantNumbers(variant="c", units_n=0, decisions_n=7, unseen_n=7),)
    numbers = numbers_of(moments_of("reward", {}), variants=counts)
    got = judge(numbers, experiment_of(), [metric_of()], alpha=0.05).verdict
    assert (got.state, "/v1/exposures" in got.next_step) == ("waiting", True)


def test_units_whose_window_is_not_over_are_waited_for():
    numbers = moments_of("reward", {}, unripe_n={"c": 50, "t": 60})
    got = judge(
        numbers_of(numbers, units={"c": 50, "t": 60}), experiment_of(), [metric_of()], alpha=0.05
    )
    assert (got.verdict.state, got.verdict.reason) == ("waiting", "110 units wait for it.")
    assert "units_wait_for_window" in got.effects[0].warnings


@pytest.mark.parametrize(
    ("status", "step"),
    [
        ("draft", "with status 'running'"),
        ("running", "POST /v1/rank"),
        ("stopped", "is stopped"),
        ("archived", "is archived"),
    ],
)
def test_no_data_says_the_next_step(status: str, step: str):
    experiment = msgspec.structs.replace(experiment_of(), status=status)
    numbers = numbers_of(moments_of("reward", {}))
    got = judge(numbers, experiment, [metric_of()], alpha=0.05).verdict
    assert (got.state, step in got.next_step) == ("no_data", True)


def test_an_exact_answer_of_small_counts_decides():
    got = judge(
        numbers_of(counts_of("reward", c=(0, 60), t=(30, 60))),
        experiment_of(),
        [metric_of(type="proportion")],
        alpha=0.05,
    ).verdict
    assert got.state == "better"
    assert "%" not in got.headline.split(" per unit")[0]
