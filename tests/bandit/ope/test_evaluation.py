import json
from pathlib import Path

import numpy as np
import pytest

from bandit import ope
from bandit.ope import Evaluation, LoggedBatch, evaluate
from tests.bandit.ope.references import obd
from tests.bandit.ope.test_likelihood import epsilon_greedy
from tests.bandit.ope.worlds import batch_of, world_a

GOOD = batch_of(world_a(2000, 4, 5, 1.0, 3.0), reward_range=(0.0, 1.0))


def test_the_women_log_of_bernoulli_ts_can_not_judge_the_uniform_policy():
    # Plain DR says −0.00056 for a click rate of 0.0048: two effective decisions of 10,000.
    found = evaluate(obd("obd/bts/women/women.csv"))
    assert found.verdict == "refuse"
    assert {"low_ess", "one_decision_decides"} <= set(found.reasons)
    assert found.diagnostics.ess == pytest.approx(2.078, abs=0.001)
    assert found.headline is found.best is found.gain is None
    assert all((e.value, e.std_error, e.interval) == (None, None, None) for e in found.estimates)


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_uniform_logs_judge_bernoulli_ts_within_the_interval(campaign):
    # Click rates of the full data: Saito et al. (2021), table 1.
    full = {"all": 0.0050, "men": 0.0067, "women": 0.0064}[campaign]
    found = evaluate(obd(f"obd/random/{campaign}/{campaign}.csv"))
    assert found.verdict == "caution"  # no bound on Bernoulli-TS's weights is known
    assert found["snips"].interval.low <= full <= found["snips"].interval.high


def test_a_good_log_gets_every_estimate_and_quotes_calibrated_dr():
    found = evaluate(GOOD, policy="feed-vw")
    assert (found.verdict, found.reasons, found.headline) == ("ok", (), "calibrated_dr")
    assert found.best.interval.method == "cressie_read_dr"
    assert found["snips"].interval == found.best.interval
    assert evaluate(GOOD, estimators=[ope.Snips()])["snips"].interval.method == "cressie_read_dr"
    assert found["dm"].interval is None
    assert found["dm"].note.startswith("biased")
    truth = world_a(2000, 4, 5, 1.0, 3.0)["truth"].mean()
    assert found.best.interval.low <= truth <= found.best.interval.high


def test_a_known_bound_keeps_a_thin_log_answerable_with_a_wide_interval():
    batch, truth = epsilon_greedy(1000, np.random.default_rng(3))
    found = evaluate(batch)
    assert found.verdict == "caution"
    assert "thin_ess" in found.reasons
    assert found.best.estimator == "snips"
    assert found.best.interval.low <= truth <= found.best.interval.high
    unbounded = LoggedBatch.of(
        propensity=batch.propensity, reward=batch.reward, target=batch.target
    )
    assert evaluate(unbounded).verdict == "refuse"


def test_it_survives_its_own_json_and_is_plain_enough_for_others():
    found = evaluate(GOOD, policy="feed-vw")
    assert Evaluation.from_json(found.to_json()) == found
    assert json.loads(found.to_json())["version"] == 1
    assert "NaN" not in found.to_json().decode()


def test_a_name_can_not_write_into_the_notebooks_page():
    assert "<script>" not in evaluate(GOOD, policy="<script>")._repr_html_()


def test_rows_are_flat_and_an_unasked_estimator_is_a_key_error():
    found = evaluate(GOOD, estimators=[ope.Snips(), ope.SwitchDr(10.0), ope.Replay()])
    assert [row["estimator"] for row in found.rows()] == ["snips", "switch_dr(10)", "replay"]
    assert found["replay"].value is None  # nothing matches a stochastic target
    assert "decisions that the target could have made" in found["replay"].note
    with pytest.raises(KeyError):
        found["dr"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"propensity": [], "reward": [], "target": []}, "no_decisions"),
        ({"target": [0.0] * 60}, "no_overlap"),
        ({"unit": ["u"] * 60}, "one_unit"),
        ({"target": [1.0] + [0.0] * 59}, "one_decision_decides"),
    ],
)
def test_what_can_not_be_answered_is_refused_with_its_reason(changes, reason):
    fields = {"propensity": [0.5] * 60, "reward": [0.0, 1.0] * 30, "target": [0.5] * 60}
    found = evaluate(LoggedBatch.of(**(fields | changes)))
    assert found.verdict == "refuse"
    assert reason in found.reasons
    assert reason in str(found)


def test_equal_rewards_have_an_answer_and_no_nan():
    fields = {"propensity": [0.5] * 60, "reward": [1.0] * 60, "target": [0.5] * 60}
    found = evaluate(LoggedBatch.of(**fields, weight_bound=2.0, reward_range=(0, 1)))
    assert found["snips"].value == 1.0
    assert 0.0 < found["snips"].interval.low <= found["snips"].interval.high == 1.0


def test_equal_rewards_of_an_unknown_range_have_no_interval():
    # Sixty times 0 does not say that clicks do not exist.
    found = evaluate(LoggedBatch.of(propensity=[0.5] * 60, reward=[0.0] * 60, target=[0.5] * 60))
    assert {"no_variance", "reward_range_unknown"} <= set(found.reasons)
    assert found["snips"].value == 0.0
    assert all(e.interval is None for e in found.estimates)
    assert found.gain is None


def test_what_was_logged_is_weighed_by_its_sampling_as_all_the_rest():
    # It was the plain mean, beside values that were weighed.
    fields = {"propensity": [0.5] * 60, "reward": [0.0, 1.0] * 30, "target": [0.5] * 60}
    found = evaluate(LoggedBatch.of(**fields, sampling=[3.0, 1.0] * 30))
    assert found.logged == pytest.approx(0.25)
    assert found["snips"].value == pytest.approx(0.25)


def test_every_public_name_is_listed_and_documented():
    assert sorted(ope.__all__) == sorted(set(ope.__all__))
    public = {n for n in vars(ope) if not n.startswith("_")} - {
        p.stem for p in Path(ope.__file__).parent.glob("*.py")
    }
    assert public <= set(ope.__all__)
    for name in set(ope.__all__) - {"REASONS"}:
        assert getattr(ope, name).__doc__, name
    readme = (Path(ope.__file__).parent / "README.md").read_text()
    assert [name for name in ope.__all__ if f"`{name}`" not in readme] == []
