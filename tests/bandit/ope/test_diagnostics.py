import numpy as np
import pytest

from bandit import ope
from bandit.errors import RecordError
from bandit.ope import LoggedBatch, diagnose, pareto_k, propensity_tests
from bandit.ope.diagnostics import REASONS
from tests.bandit.ope.worlds import batch_of, world_a

LOG = world_a(4000, 4, 9, 1.0, 3.0)


def log_of(world, **more):
    return batch_of(world, reward_range=(0.0, 1.0), **more)


def test_ties_have_no_tail_index():
    # skdr-eval gives NaN here: an ε-greedy log has two or three distinct weights.
    assert pareto_k(np.repeat([0.0, 1.1, 50.0], [900, 90, 10])) is None
    assert pareto_k(np.ones(1000)) is None
    assert pareto_k(np.zeros(1000)) is None
    assert pareto_k(np.arange(3.0)) is None
    assert pareto_k(np.array([])) is None


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_tail_index_of_exact_pareto_weights_is_found(k):
    u = (np.arange(5000) + 0.5) / 5000
    assert pareto_k((1 - u) ** -k) == pytest.approx(k, abs=0.06)


def test_a_correct_log_passes_every_propensity_test():
    tests = propensity_tests(log_of(LOG))
    assert [test.name for test in tests] == [
        "mean_weight",
        "inverse_propensity",
        "arithmetic",
        "harmonic",
    ]
    assert min(test.p_value for test in tests) > 0.001


def test_propensities_logged_before_exploration_are_found_out():
    # The log holds the greedy pmf's probabilities, the draws came from a mixture with uniform.
    sharper = LOG["logged_pmf"] ** 2 / (LOG["logged_pmf"] ** 2).sum(axis=1, keepdims=True)
    wrong = log_of(
        LOG,
        logged_pmf=sharper,
        propensity=np.take_along_axis(sharper, LOG["action"][:, None], axis=1)[:, 0],
    )
    found = diagnose(wrong)
    assert found.verdict == "refuse"
    assert "propensities_wrong" in found.reasons


def test_a_gap_that_only_size_makes_significant_is_a_caution():
    rows = np.tile(np.arange(4000), 60)
    p = np.minimum(LOG["propensity"] * 0.99, 1.0)
    found = diagnose(log_of(LOG, propensity=p, logged_pmf=None, weight_bound=5.0).take(rows))
    assert found.tests[0].p_value < 1e-9
    assert found.verdict == "caution"
    assert "propensities_off" in found.reasons


def test_a_few_wrong_propensities_are_a_caution():
    rng = np.random.default_rng(2)
    p = LOG["propensity"] * np.where(rng.random(4000) < 0.02, 0.5, 1.0)
    found = diagnose(log_of(LOG, propensity=p, logged_pmf=None))
    assert found.verdict == "caution"
    assert "propensities_off" in found.reasons


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "ok"), (0.02, "caution"), (0.3, "refuse")])
def test_mass_where_nothing_was_logged_is_named(share, verdict):
    def wider(pmf, scale):
        return np.hstack([pmf * scale, np.full((4000, 1), 1 - scale)])

    batch = log_of(
        LOG,
        logged_pmf=wider(LOG["logged_pmf"], 1.0),
        target_pmf=wider(LOG["target_pmf"], 1.0 - share),
        predictions=None,
        weight_bound=10.0,
    )
    found = diagnose(batch)
    assert found.support_deficit == pytest.approx(share, abs=1e-12)
    assert found.overlap < 1.0
    assert found.verdict == verdict
    named = {0.0: set(), 0.02: {"thin_support"}, 0.3: {"thin_support", "no_support"}}[share]
    assert set(found.reasons) == named


def test_a_model_that_contradicts_the_log_is_named():
    # Right differences would agree; a model that is wrong where the target goes does so by noise
    # only if the propensities are right, so wrong ones show here.
    p = np.clip(LOG["propensity"] * 1.4, 0.0, 1.0)
    found = diagnose(
        log_of(LOG, propensity=p, logged_pmf=None, predictions=np.full((4000, 4), 3.0))
    )
    assert "estimators_disagree" in found.reasons


def test_a_decision_that_stands_for_many_weighs_as_many():
    # Its share was that of its own weight: one in 400 that stands for 10,000 looked like any other.
    fields = {"propensity": [0.5] * 400, "target": [0.5] * 400, "reward": [0.0, 1.0] * 200}
    found = diagnose(LoggedBatch.of(**fields, sampling=[10_000.0] + [1.0] * 399))
    assert found.max_weight_share == pytest.approx(10_000 / 10_399)
    assert "one_decision_decides" in found.reasons


def test_every_reason_is_explained():
    batch = LoggedBatch.of(propensity=[0.01] * 9, reward=[1.0] * 9, target=[1.0] * 9, unit=[1] * 9)
    found = diagnose(batch)
    assert found.reasons
    assert set(found.reasons) <= set(REASONS)


def test_units_are_counted_and_actions_that_were_never_offered_are_no_fault():
    padded = np.hstack([LOG["target_pmf"], np.zeros((4000, 6))])
    fields = {"target_pmf": padded, "predictions": None, "weight_bound": 10.0}
    without = diagnose(log_of(LOG, logged_pmf=None, unit=np.arange(4000) // 4, **fields))
    assert (without.units_n, without.n, without.verdict) == (1000, 4000, "ok")
    told = diagnose(log_of(LOG, logged_pmf=None, actions_n=10, **fields))
    assert "propensities_wrong" in told.reasons


def test_one_snapshot_that_logs_wrong_propensities_is_found_in_a_log_that_looks_right():
    rng = np.random.default_rng(4)
    snapshot = np.repeat(np.arange(5), 400)
    drawn = rng.random(2000) < 0.5
    drawn[snapshot == 2] = rng.random(400) < 0.7
    drawn[snapshot == 3] = rng.random(400) < 0.3  # what makes the whole log look right again
    batch = LoggedBatch.of(
        propensity=np.full(2000, 0.5),
        reward=np.zeros(2000),
        action=drawn.astype(int),
        logged_pmf=np.full((2000, 2), 0.5),
        target_pmf=np.full((2000, 2), 0.5),
    )
    whole = {test.name: test.p_value for test in ope.propensity_tests(batch)}
    assert min(whole.values()) > 0.01
    found = ope.calibration_by(batch, snapshot)
    assert {label for label, test in found.items() if test.p_value < 1e-6} == {2, 3}
    assert found[0].p_value > 0.01
    with pytest.raises(RecordError, match="label has shape"):
        ope.calibration_by(batch, [1])
