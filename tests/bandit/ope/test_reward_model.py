import numpy as np
import pytest

from bandit.errors import NotEnoughData, RecordError
from bandit.ope import (
    Dr,
    LoggedBatch,
    Mips,
    OffCem,
    Regressor,
    RewardDistribution,
    RidgePerAction,
    Snips,
    cross_fit,
    embedding_chances,
    folds_of,
    mrdr_weights,
)
from tests.bandit.ope.worlds import batch_of, taken, world_a

LOG = world_a(3000, 4, 9, 1.0, 3.0)
CONTEXT = np.stack([np.sin(2 * LOG["x"]), np.cos(2 * LOG["x"])], axis=1)
BATCH = batch_of(LOG, predictions=None, reward_range=(0.0, 1.0))


class LeastSquares:
    """What a scikit-learn regressor looks like."""

    def fit(self, columns, target, sample_weight):
        scale = np.sqrt(sample_weight)[:, None]
        design = np.hstack([np.ones((len(columns), 1)), columns]) * scale
        self.solution = np.linalg.lstsq(design, target * scale[:, 0], rcond=None)[0]

    def predict(self, columns):
        return np.hstack([np.ones((len(columns), 1)), columns]) @ self.solution


class Memory:
    """A model that knows by heart what it has seen: cross-fitting must not let it."""

    def __init__(self):
        self.seen = set()

    def fit(self, context, action, reward, weight):
        self.seen = set(context[:, 0].tolist())

    def predict(self, context):
        assert not self.seen & set(context[:, 0].tolist())
        return np.zeros((len(context), 4))


def test_no_row_is_predicted_by_a_model_that_saw_its_unit():
    cross_fit(BATCH, CONTEXT, Memory)
    units = np.arange(3000) // 3
    by_unit = batch_of(LOG, predictions=None, unit=units)
    cross_fit(by_unit, units[:, None].astype(float), Memory)


@pytest.mark.parametrize("make", [lambda: RidgePerAction(4), lambda: Regressor(LeastSquares(), 4)])
def test_cross_fitted_predictions_are_near_the_truth(make):
    fitted = cross_fit(BATCH, CONTEXT, make)
    truth = (LOG["predictions"] - 0.05) / 0.8
    assert np.sqrt(np.mean((fitted.predictions - truth) ** 2)) < 0.06
    weighted = cross_fit(BATCH, CONTEXT, make, weight=mrdr_weights(BATCH))
    found = Dr(label="mrdr").terms(weighted)
    assert abs(found.value - LOG["truth"].mean()) < 4.4 * found.std_error


def test_a_units_fold_is_a_function_of_its_id_alone():
    first = folds_of(LoggedBatch.of(**_three(["a", "b", "c"])), 5)
    again = folds_of(LoggedBatch.of(**_three(["c", "a", "a"])), 5)
    assert (again[0], again[1], again[2]) == (first[2], first[0], first[0])
    assert np.bincount(folds_of(BATCH, 3)) == pytest.approx(1000, abs=120)


def _three(units):
    return {"propensity": [0.5] * 3, "reward": [0.0] * 3, "target": [0.5] * 3, "unit": units}


def test_marginal_weights_find_the_value_where_the_embedding_is_all_that_matters():
    rng = np.random.default_rng(6)
    n, k, m = 20_000, 40, 4
    of_action = np.arange(k) % m
    logged = np.tile(rng.dirichlet(np.ones(k)), (n, 1))
    target = np.tile(rng.dirichlet(np.full(k, 0.2)), (n, 1))
    action = rng.choice(k, size=n, p=logged[0])
    code = of_action[action]
    q = np.array([0.1, 0.3, 0.5, 0.7])
    batch = LoggedBatch.of(
        action=action, propensity=taken(logged, action), target_pmf=target, logged_pmf=logged,
        reward=(rng.random(n) < q[code]).astype(float), embedding=code,
        predictions=np.full((n, k), 0.4),
    )  # fmt: skip
    truth = float(target[0] @ q[of_action])
    known = np.eye(m)[of_action]
    estimated = embedding_chances(action, code, k)
    # What a perfect classifier of the drawn action would say of (x, e).
    posterior = known[:, code].T * logged
    posterior /= posterior.sum(axis=1, keepdims=True)
    learned = Mips(posterior=posterior)
    assert learned.terms(batch).value == pytest.approx(Mips(known).terms(batch).value, rel=1e-12)
    for estimator in (
        learned,
        Mips(known),
        Mips(known, normalised=True),
        Mips(estimated),
        OffCem(of_action),
    ):
        terms = estimator.terms(batch)
        assert abs(terms.value - truth) < 4.4 * terms.std_error
        assert terms.std_error < 0.7 * Snips().terms(batch).std_error


def test_distribution_agrees_with_snips_and_its_intervals_hold_it():
    found = RewardDistribution(BATCH)
    assert found.mean == pytest.approx(Snips().terms(BATCH).value)
    assert found.cvar(1.0) == pytest.approx(found.mean)
    inside = found.cdf_interval(0.0)
    assert inside.low < found.cdf(0.0) < inside.high
    assert (found.cdf(-1.0), found.cdf(2.0)) == (0.0, 1.0)
    rng = np.random.default_rng(1)
    smooth = RewardDistribution(batch_of(LOG, predictions=None, reward=rng.random(3000)))
    median = smooth.quantile_interval(0.5)
    assert median.low < 0.5 < median.high
    assert median.low <= smooth.quantile(0.5) <= median.high
    assert median.width < 0.1


def test_a_model_needs_the_columns_it_is_made_of():
    bare = LoggedBatch.of(propensity=[0.5], reward=[1.0], target=[0.5])
    with pytest.raises(RecordError, match="predictions"):
        Dr().terms(bare)
    with pytest.raises(RecordError, match="embedding"):
        Mips(np.eye(2)).terms(bare)
    with pytest.raises(RecordError, match="neither chances nor a posterior"):
        Mips().terms(bare)
    with pytest.raises(RecordError, match="cross_fit"):
        cross_fit(bare, [[1.0]], lambda: RidgePerAction(2))
    with pytest.raises(ValueError, match="folds"):
        folds_of(bare, 1)


def test_a_model_of_too_few_actions_is_refused_and_not_spread_over_all():
    # One column was taken for every action.
    with pytest.raises(RecordError, match=r"the model's prediction has shape \(\d+, 1\), must be"):
        cross_fit(BATCH, CONTEXT, lambda: RidgePerAction(k=1))
    with pytest.raises(RecordError, match="cluster has shape"):
        OffCem(np.array([0, 1])).terms(batch_of(LOG))
    with pytest.raises(NotEnoughData):
        embedding_chances(np.zeros(0, int), np.zeros(0, int), 2)
