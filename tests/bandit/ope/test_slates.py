import numpy as np
import pytest

from bandit.errors import BadPropensity, RecordError
from bandit.ope import (
    CascadeDr,
    CressieRead,
    PseudoInverse,
    Rips,
    Sips,
    SlateBatch,
    cressie_read,
    student_t,
)
from tests.bandit.ope import worlds
from tests.bandit.ope.worlds import softmax

K, SLOTS = 6, 3
APPEAL = np.array([0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
LOGGED = softmax(np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
TARGET = softmax(2.0 * APPEAL)


def conditional(pmf, ranking):
    """`(n, l)` probability of each slot's action among those that the slots above left."""
    drawn = pmf[ranking]
    left = 1.0 - np.cumsum(drawn, axis=1) + drawn
    return drawn / left


def rankings(pmf, n, rng):
    """Sequential draws without replacement, as the service ranks (Gumbel top-k is the same law)."""
    scores = np.log(pmf) + rng.gumbel(size=(n, K))
    return np.argsort(-scores, axis=1)[:, :SLOTS]


def cascade(ranking, rng):
    """Rewards of users who look from the top and stop after a click with probability a half."""
    n = len(ranking)
    looks, rewards = np.ones(n, bool), np.zeros((n, SLOTS))
    for slot in range(SLOTS):
        clicked = looks & (rng.random(n) < APPEAL[ranking[:, slot]])
        rewards[:, slot] = clicked
        looks &= ~(clicked & (rng.random(n) < 0.5))
    return rewards


def truth() -> float:
    rng = np.random.default_rng(99)
    return float(cascade(rankings(TARGET, 400_000, rng), rng).sum(axis=1).mean())


def log(n, rng, **more):
    ranking = rankings(LOGGED, n, rng)
    return SlateBatch.of(
        propensity=conditional(LOGGED, ranking),
        target=conditional(TARGET, ranking),
        reward=cascade(ranking, rng),
        **more,
    ), ranking


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [Sips(), Sips(normalised=True), Rips(), Rips(normalised=True)],
    ids=lambda e: e.name,
)
def test_our_conditional_propensities_give_the_targets_value_and_cover_it(estimator):
    rng, runs, value = np.random.default_rng(5), 200, truth()
    found, hits = [], 0
    for _ in range(runs):
        terms = estimator.terms(log(600, rng)[0])
        interval = student_t(terms)
        found.append(terms.value)
        hits += interval.low <= value <= interval.high
    error = np.std(found) / np.sqrt(runs) + 0.001  # the second is the truth's own
    assert abs(np.mean(found) - value) < 4.4 * error
    assert hits / runs > 0.95 - 4.4 * np.sqrt(0.95 * 0.05 / runs)


def test_a_model_of_the_slots_takes_variance_away():
    rng = np.random.default_rng(3)
    plain, ranking = log(4000, rng)
    appeal = APPEAL[ranking]
    # What the target would expect of a slot, given the actions that the slots above left.
    left = np.ones((4000, K))
    direct = np.zeros((4000, SLOTS))
    for slot in range(SLOTS):
        pmf = TARGET * left
        direct[:, slot] = pmf @ APPEAL / pmf.sum(axis=1)
        left[np.arange(4000), ranking[:, slot]] = 0.0
    modelled = SlateBatch.of(
        propensity=plain.propensity, target=plain.target, reward=plain.reward,
        predicted=appeal, direct=direct,
    )  # fmt: skip
    dr, rips = CascadeDr().terms(modelled), Rips().terms(modelled)
    assert dr.std_error < 0.9 * rips.std_error
    assert abs(dr.value - truth()) < 4.4 * dr.std_error


def test_pseudo_inverse_is_exact_for_independent_slots_and_additive_value():
    rng = np.random.default_rng(4)
    n = 40_000
    action = rng.choice(K, size=(n, SLOTS), p=LOGGED)
    shape = (n, SLOTS)
    whole = APPEAL[action].sum(axis=1)  # known for the ranking only: put on one slot
    reward = np.zeros(shape)
    reward[:, 0] = whole
    slates = SlateBatch.of(propensity=LOGGED[action], target=TARGET[action], reward=reward)
    for estimator in (PseudoInverse(), PseudoInverse(normalised=True)):
        terms = estimator.terms(slates)
        assert abs(terms.value - SLOTS * TARGET @ APPEAL) < 4.4 * terms.std_error


def test_one_slot_is_a_log_for_every_estimator_and_interval():
    # vw-estimators 0.2.2 ccb.pdis_cressieread on world S of `ope_cases.json` (400, 5, 3, 99).
    slates, _ = worlds.world_s(400, 5, 3, 99)
    values = [0.42564932472694517, 0.330224369137022, 0.3736864775187643]
    ends = [
        (0.37126567460488663, 0.4800329748490036),
        (0.2637077963231127, 0.4036921284046004),
        (0.2893869033804012, 0.47856479252515594),
    ]
    free = (0.0, np.inf)
    for place in range(3):
        one = slates.slot(place, reward_range=(0, 1))
        assert CressieRead(free).terms(one).value == pytest.approx(values[place], rel=1e-12)
        got = cressie_read(one, weight_bounds=free)
        assert (got.low, got.high) == pytest.approx(ends[place], rel=1e-9)
    bounded = CressieRead((0.0, 9.0)).terms(slates.slot(1)).value
    assert bounded == pytest.approx(0.3286221986318384, rel=1e-12)  # Estimator(wmax=3): 3² here
    with pytest.raises(ValueError, match=r"slot is 3, must be in 0 … 2"):
        slates.slot(3)


def test_normalised_cascade_dr_is_the_peers():
    # scope-rl 0.2.1 SelfNormalizedDR(step_per_trajectory=3) on the same world; it adds 1e-10 to
    # each normaliser.
    slates, _ = worlds.world_s(400, 5, 3, 99)
    got = CascadeDr(normalised=True).terms(slates)
    assert got.value == pytest.approx(1.1420645687708526, rel=1e-9)
    assert 0.0 < got.std_error < CascadeDr().terms(slates).std_error


def test_slates_that_can_not_be_are_refused():
    with pytest.raises(RecordError, match="sampling"):
        SlateBatch.of(propensity=[[0.5]], target=[[0.5]], reward=[[0]], sampling=[0.0])
    with pytest.raises(BadPropensity):
        SlateBatch.of(propensity=[[0.5, 0.0]], target=[[0.5, 0.5]], reward=[[0, 1]])
    with pytest.raises(RecordError):
        SlateBatch.of(propensity=[[0.5, 0.5]], target=[[0.5]], reward=[[0, 1]])
    with pytest.raises(RecordError, match="predicted"):
        CascadeDr().terms(SlateBatch.of(propensity=[[1.0]], target=[[1.0]], reward=[[1.0]]))


def test_rankings_without_slots_or_with_weights_beyond_reckoning_are_refused():
    with pytest.raises(RecordError, match="no slot"):
        SlateBatch.of(propensity=np.ones((3, 0)), target=np.ones((3, 0)), reward=np.ones((3, 0)))
    with pytest.raises(RecordError, match="unit holds None"):
        SlateBatch.of(propensity=[[1.0]], target=[[1.0]], reward=[[1.0]], unit=[None])
    long = np.ones((3, 60))
    slates = SlateBatch.of(propensity=long * 1e-6, target=long, reward=long)
    with pytest.raises(RecordError, match="product inf, must be at most 1e"):
        Rips().terms(slates)
