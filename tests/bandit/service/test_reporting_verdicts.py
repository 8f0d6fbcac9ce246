import msgspec
import pytest

from bandit.service.reporting_payloads import GroupCounts, MetricEffect, Verdict
from bandit.service.reporting_verdicts import verdict_of
from bandit.specs import Experiment, Variant
from bandit.stats import Moments, srm, welch

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
    )


def verdict(*effects: MetricEffect, split=FINE, counts=COUNTS, crossed=0) -> Verdict:
    return verdict_of(EXPERIMENT, counts, crossed, split, effects, window_s=600.0)


@pytest.mark.parametrize(
    ("gain", "better", "state"),
    [
        (1.0, "higher", "better"),
        (-1.0, "higher", "worse"),
        (-1.0, "lower", "better"),
        (1.0, "lower", "worse"),
        (0.1, "higher", "unclear"),
        (-0.1, "lower", "unclear"),
    ],
)
def test_direction_of_the_metric_decides_what_is_better(gain: float, better: str, state: str):
    assert verdict(effect(gain, better=better)).state == state


def test_headline_has_the_effect_its_interval_and_its_level():
    # By hand: se = sqrt(2/100), q(198 df) = 1.972; 1 ± 0.279.
    got = verdict(effect(1.0))
    assert got.headline.startswith("t is better than c: reward +1 per unit [0.721, 1.28], +100.0%")
    assert got.headline.endswith("at 95 %.")
    assert "one look" in got.next_step


def test_one_better_treatment_wins_over_worse_ones():
    got = verdict(effect(-1.0, key="bad"), effect(0.8, key="good"))
    assert (got.state, got.headline.split()[0]) == ("better", "good")


def test_secondary_metrics_do_not_decide():
    second = msgspec.structs.replace(effect(-5.0), is_primary=False, metric="latency")
    assert verdict(effect(0.0), second).state == "unclear"


def test_a_broken_split_comes_before_any_effect():
    got = verdict(effect(1.0), split=srm({"c": 900, "t": 100}, {"c": 1, "t": 1}))
    assert got.state == "broken"
    assert "c has 900 units where 500 were expected" in got.reason


def test_crossed_units_are_named():
    assert "3 units were seen in two variants" in verdict(effect(0.0), crossed=3).reason


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
    [("draft", "with status 'running'"), ("running", "POST /v1/rank"), ("stopped", "is stopped")],
)
def test_no_data_says_the_next_step(status: str, step: str):
    experiment = msgspec.structs.replace(EXPERIMENT, status=status)
    got = verdict_of(experiment, [], 0, FINE, [], window_s=600.0)
    assert got.state == "no_data"
    assert step in got.next_step
