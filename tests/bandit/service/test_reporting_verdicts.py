import msgspec
import pytest

from bandit.errors import RecordError
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, Verdict
from bandit.service.reporting_verdicts import not_judged, verdict_of
from bandit.specs import Experiment, Variant
from bandit.stats import JointMoments, Moments, mean_of, srm, welch
from bandit.stats.sequential import compare_anytime
from bandit.store.reports import VariantUnits

EXPERIMENT = Experiment(
    key="e",
    surface="home",
    salt="s",
    status="running",
    control="c",
    variants=[
        Variant(key="c", policy="random", allocation=[(0, 5000)]),
        Variant(key="t", policy="vw", allocation=[(5000, 10_000)]),
    ],
)
COUNTS = [
    GroupCounts(label=key, policy=key, units_n=100, decisions_n=100, counted_n=100) for key in "ct"
]
UNITS = VariantUnits({"c": 100, "t": 100}, crossed_n=0, forced_n=0)
NOBODY = VariantUnits({}, crossed_n=0, forced_n=0)
PAYLOADS = Experiment(
    key="e",
    salt="s",
    status="running",
    control="c",
    variants=[
        Variant(key="c", payload="blue", allocation=[(0, 5000)]),
        Variant(key="t", payload="red", allocation=[(5000, 10_000)]),
    ],
)
FINE = srm({"c": 100, "t": 100}, {"c": 1, "t": 1})


def effect(gain: float, *, better: str = "higher", n: int = 100, key: str = "t") -> MetricEffect:
    control = Moments(n=n, mean=1.0, m2=1.0 * max(n - 1, 0))
    treatment = Moments(n=n, mean=1.0 + gain, m2=1.0 * max(n - 1, 0))
    return MetricEffect(
        metric="reward",
        description="",
        per="unit",
        better=better,
        is_primary=True,
        control="c",
        treatment=key,
        effect=welch(control, treatment),
        anytime=compare_anytime(
            mean_of().estimate(JointMoments.of_moments(control), JointMoments.of_moments(treatment))
        ),
    )


def verdict(*effects: MetricEffect, split=FINE, counts=COUNTS, units=UNITS) -> Verdict:
    return verdict_of(EXPERIMENT, counts, units, split, effects, window_s=600.0)


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
    assert verdict(effect(gain, better=better)).state == state


def test_headline_has_the_interval_that_holds_at_any_look_and_its_level():
    # By hand: se = sqrt(2/100) = 0.1414; ρ² = 0.001642 (tuned for 5,000), n = 200, so the sequence
    # reaches sqrt((nρ² + 1)/(nρ²)·ln((nρ² + 1)/0.05²)) = 5.038 se = 0.712. Welch would reach 0.279.
    got = verdict(effect(1.0))
    assert got.headline.startswith("t is better than c: reward +1 per unit [0.288, 1.71], +100.0%")
    assert got.headline.endswith("at 95 %.")
    assert got.reason.startswith("The interval holds at every look together, and leaves out 0.")
    assert "everybody" in got.next_step


def test_units_that_come_back_make_the_promise_approximate():
    counts = [msgspec.structs.replace(found, counted_n=250) for found in COUNTS]
    assert "Nearly so: units have 2.5 decisions each" in verdict(effect(1.0), counts=counts).reason
    assert "Nearly so" in verdict(effect(-1.0), counts=counts).reason
    assert "Nearly so" not in verdict(effect(1.0)).reason


def test_what_only_one_planned_look_would_say_is_told_as_such():
    # By hand: 0.35 ± 0.279 (Welch) leaves out 0; 0.35 ± 0.712 (any look) does not.
    got = verdict(effect(0.35))
    assert got.headline.startswith(
        "Not yet: only one planned look would call t better than c: "
        "reward +0.35 per unit [0.0711, 0.629]"
    )
    assert "every look, [-0.362, 1.06], includes 0." in got.reason
    assert "decide at the planned time" in got.next_step
    assert "would call t worse than c" in verdict(effect(-0.35)).headline
    assert "would call t worse than c" in verdict(effect(0.35, better="lower")).headline


def test_nothing_is_said_at_any_look_before_the_first_hundred_units():
    got = verdict(effect(2.0, n=40))
    assert got.state == "not_yet"
    assert "no interval yet that holds at every look: it starts at 100 units." in got.reason
    assert "it starts at 100 units." in verdict(effect(0.0, n=40)).reason


def test_what_can_not_be_told_shows_the_interval_that_holds_at_any_look():
    got = verdict(effect(0.1))
    assert "reward +0.1 per unit [-0.612, 0.812]" in got.headline
    assert "every look, [-0.612, 0.812], includes 0." in got.reason


def test_a_treatment_that_is_worse_does_not_hide_one_that_can_not_be_told():
    got = verdict(effect(-5.0, key="bad"), effect(0.1, key="open"))
    assert got.state == "unclear"
    assert "reward +0.1" in got.headline
    assert "Each of the 2 treatments is judged at this level by itself." in got.reason


def test_one_better_treatment_wins_over_worse_ones():
    got = verdict(effect(-1.5, key="bad"), effect(0.8, key="good"))
    assert (got.state, got.headline.split()[0]) == ("better", "good")


def test_secondary_metrics_do_not_decide():
    second = msgspec.structs.replace(effect(-5.0), is_primary=False, metric="latency")
    assert verdict(effect(0.0), second).state == "unclear"


def test_a_broken_split_comes_before_any_effect():
    got = verdict(effect(1.0), split=srm({"c": 900, "t": 100}, {"c": 1, "t": 1}))
    assert got.state == "broken"
    assert "c has 900 units where 500 were expected" in got.reason


def test_units_that_are_left_out_are_named():
    reason = verdict(effect(0.0), units=UNITS._replace(crossed_n=3, forced_n=2)).reason
    assert "3 units were seen in two variants and are left out." in reason
    assert "2 units were set by hand and are left out." in reason


def test_units_that_are_all_left_out_are_named_where_there_is_nothing_else():
    got = verdict_of(EXPERIMENT, [], NOBODY._replace(forced_n=2), FINE, [], window_s=600.0)
    assert got.headline == "No decision of this experiment counts."
    assert "2 units were set by hand" in got.reason


def test_payloads_are_judged_without_waiting_for_any_window():
    counts = [GroupCounts(label=key, policy=None, units_n=100) for key in "ct"]
    got = verdict_of(PAYLOADS, counts, UNITS, FINE, [effect(1.0)], window_s=0.0)
    assert got.state == "better"
    assert "outcomes that come after it counted are outside the promise" in got.reason


def test_payloads_without_a_metric_have_nothing_to_be_judged_by():
    counts = [GroupCounts(label=key, policy=None, units_n=100) for key in "ct"]
    got = verdict_of(PAYLOADS, counts, UNITS, FINE, [], window_s=0.0)
    assert got.state == "unclear"
    assert "names no metric of outcomes" in got.reason


def test_payloads_that_nobody_was_told_ask_for_assignments():
    got = verdict_of(PAYLOADS, [], NOBODY, FINE, [], window_s=0.0)
    assert got.headline == "No assignment of this experiment is in the log."
    assert "POST /v1/assignments" in got.next_step


def test_what_can_not_be_judged_says_why():
    got = not_judged(PAYLOADS, RecordError("metric 'm' is of rewards, must be of outcomes"))
    assert (got.state, got.reason) == (
        "broken",
        "Metric 'm' is of rewards, must be of outcomes.",
    )


def test_a_missing_interval_says_why():
    got = verdict(effect(1.0, n=1))
    assert got.state == "unclear"
    assert "a single unit" in got.reason


def test_open_windows_are_waited_for():
    counts = [GroupCounts(label="c", policy="p", decisions_n=7, open_n=7)]
    got = verdict(effect(1.0), counts=counts)
    assert (got.state, got.reason) == (
        "waiting",
        "7 decisions wait for their join window of 600 s to end.",
    )


def test_decisions_that_were_never_seen_ask_for_exposures():
    counts = [GroupCounts(label="c", policy="p", decisions_n=7, unseen_n=7)]
    got = verdict(effect(1.0), counts=counts)
    assert got.state == "waiting"
    assert "/v1/exposures" in got.next_step


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
    experiment = msgspec.structs.replace(EXPERIMENT, status=status)
    got = verdict_of(experiment, [], NOBODY, FINE, [], window_s=600.0)
    assert got.state == "no_data"
    assert step in got.next_step
