import numpy as np
import pytest

from bandit.errors import BadPmf, BadPropensity, NotEnoughData, RecordError
from bandit.ope import Dr, Ips, LoggedBatch, Sndr, Snips, from_dsjson, from_obp
from tests.bandit.ope.worlds import batch_of, world_a

LOG = world_a(200, 4, 3, 1.0, 3.0)


def small(**changes: object) -> LoggedBatch:
    fields = {"propensity": [0.5, 0.5], "reward": [1.0, 0.0], "target": [0.2, 0.8]} | changes
    return LoggedBatch.of(**fields)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"propensity": [0.5, 0.0]}, BadPropensity),
        ({"propensity": [0.5, 1.5]}, BadPropensity),
        ({"propensity": [0.5, float("nan")]}, BadPropensity),
        ({"reward": [1.0, float("inf")]}, RecordError),
        ({"reward": [1.0]}, RecordError),
        ({"target": [0.2, -0.1]}, RecordError),
        ({"target": None}, RecordError),
        ({"target_pmf": [[0.5, 0.4], [0.5, 0.5]], "action": [0, 1]}, BadPmf),
        ({"target_pmf": [[0.5, 0.5], [0.5, 0.5]], "action": [0, 2], "target": None}, RecordError),
        ({"action": [0.5, 1.0]}, RecordError),
        ({"sampling": [1.0, 0.0]}, RecordError),
        ({"reward_range": (0.0, 0.5)}, RecordError),
        ({"unit": ["u1"]}, RecordError),
        ({"predictions": [[0.1, 0.2], [0.1, 0.2]]}, RecordError),
        # A column of one number a row: n × n weights came of it.
        ({"reward": [[1.0], [0.0]]}, RecordError),
        ({"target_pmf": [0.5, 0.5], "action": [0, 1], "target": None}, RecordError),
        ({"target_pmf": [[0.5, 0.5], [1.0]], "action": [0, 1], "target": None}, RecordError),
        ({"reward": ["much", "little"]}, RecordError),
        ({"action": [float("nan"), 1.0]}, RecordError),
        ({"action": [0, 2], "logged_pmf": [[0.5, 0.5]] * 2}, RecordError),
        ({"actions_n": [2, 2, 2]}, RecordError),
        ({"barred": {"override": [True]}}, RecordError),
        ({"unit": ["u1", None]}, RecordError),
        ({"weight_bound": 0.5}, RecordError),
        ({"weight_bound": float("nan")}, RecordError),
        ({"reward_range": (0.0, float("inf"))}, RecordError),
        ({"propensity": [], "reward": [], "target": [], "reward_range": (1.0, 0.0)}, RecordError),
        ({"propensity": [0.5, 1e-300]}, RecordError),
    ],
)
def test_what_can_not_be_a_log_is_refused(changes, error):
    with pytest.raises(error):
        small(**changes)


def test_what_is_barred_may_hold_anything():
    # What was never drawn has no propensity, and what nobody saw no reward.
    nan = float("nan")
    batch = small(propensity=[0.5, nan], reward=[1.0, nan], target=[0.2, nan],
                  barred={"shadow": [False, True]})  # fmt: skip
    assert (batch.n, dict(batch.excluded)) == (1, {"shadow": 1})


def test_probabilities_of_float32_may_be_rounded_above_1():
    above = np.float32(1.0) + np.finfo(np.float32).eps
    batch = small(propensity=np.array([above, 0.5], np.float32), target=[float(above), 0.5])
    assert batch.propensity.max() == 1.0
    assert Ips().terms(batch).value == pytest.approx(0.5)


def test_a_log_in_parts_is_joined_with_pmfs_as_wide_as_the_widest():
    fields = {"target": None, "logged_pmf": None}
    wide = small(
        **fields, action=[0, 2], target_pmf=[[0.5, 0.25, 0.25]] * 2, weight_bound=3.0,
        reward_range=(0, 1),
    )  # fmt: skip
    slim = small(
        **fields, action=[0, 1], target_pmf=[[0.5, 0.5]] * 2, weight_bound=2.0,
        reward_range=(-1, 1), barred={"override": [False, True]},
    )  # fmt: skip
    whole = LoggedBatch.joined([wide, slim])
    assert (whole.n, whole.weight_bound, whole.reward_range) == (3, 3.0, (-1, 1))
    assert whole.target_pmf.tolist()[2] == [0.5, 0.5, 0.0]
    assert dict(whole.excluded) == {"override": 1}
    log = batch_of(LOG)
    again = LoggedBatch.joined(log.parts(37))
    assert Dr().terms(again).value == Dr().terms(log).value
    with pytest.raises(RecordError, match="unit is in some parts only"):
        LoggedBatch.joined([small(), small(unit=["a", "b"])])
    with pytest.raises(NotEnoughData):
        LoggedBatch.joined([])


def test_another_target_has_its_own_support():
    batch = small(action=[0, 1], support=(0.2, 0.8)).with_target([[0.5, 0.5]] * 2)
    assert batch.support is None


def test_rows_that_weights_may_not_use_are_counted_by_their_first_reason():
    batch = LoggedBatch.of(
        propensity=[1.0, 1.0, 0.5, 0.5, 0.5],
        reward=[1, 1, 1, 1, 0],
        target=[1.0, 1.0, 0.5, 0.5, 0.5],
        unit=["a", "b", "c", "d", "e"],
        actions_n=[3, 1, 3, 3, 3],
        barred={"override": [0, 0, 1, 0, 0], "shadow": [0, 0, 1, 1, 0]},
    )
    assert dict(batch.excluded) == {"override": 1, "shadow": 1, "fixed": 1}
    assert batch.unit.tolist() == ["b", "e"]
    assert Ips().terms(batch).value == 0.5


def test_the_callers_arrays_are_neither_changed_nor_frozen():
    reward = np.array([1.0, 0.0])
    batch = small(reward=reward)
    reward[0] = 7.0
    with pytest.raises(ValueError, match="read-only"):
        batch.reward[0] = 3.0


@pytest.mark.parametrize("estimator", [Ips(), Snips(), Dr(), Sndr()], ids=lambda e: e.name)
def test_moments_of_sub_batches_add_to_those_of_the_log(estimator):
    batch = batch_of(LOG)
    parts = [estimator.terms(part).moments for part in batch.parts(37)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged + part
    whole = estimator.terms(batch)
    assert merged.value == pytest.approx(whole.value, rel=1e-12)
    assert merged.std_error == pytest.approx(whole.std_error, rel=1e-9)


@pytest.mark.parametrize("estimator", [Ips(), Snips(), Dr(), Sndr()], ids=lambda e: e.name)
def test_a_row_sampled_at_one_in_three_counts_three_times(estimator):
    once = batch_of(LOG)
    thrice = once.take(np.repeat(np.arange(once.n), 3))
    weighted = batch_of(LOG, sampling=np.full(once.n, 3.0))
    assert estimator.terms(weighted).value == pytest.approx(estimator.terms(thrice).value)
    # But it is one fact, not three.
    assert estimator.terms(weighted).std_error == pytest.approx(estimator.terms(once).std_error)


def test_unequal_sampling_weights_are_applied_once():
    batch = small(sampling=[1.0, 3.0], reward=[1.0, 2.0])
    assert Ips().terms(batch).value == pytest.approx((1 * 0.4 * 1 + 3 * 1.6 * 2) / 4)
    assert Snips().terms(batch).value == pytest.approx((0.4 + 9.6) / (0.4 + 4.8))


def test_greatest_weight_comes_from_every_action_and_not_from_those_drawn():
    pmf = [[0.2, 0.8]]
    batch = small(propensity=[0.8], reward=[1], target=None, action=[0], target_pmf=pmf,
                  logged_pmf=[[0.8, 0.2]])  # fmt: skip
    assert (batch.weights.max(), batch.greatest_weight) == (0.25, 4.0)
    assert small().greatest_weight == float("inf")
    never = small(
        action=[0, 0],
        target=None,
        target_pmf=[[0.5, 0.5, 0.0]] * 2,
        logged_pmf=[[1.0, 0.0, 0.0]] * 2,
    )
    assert never.greatest_weight == float("inf")


def test_obp_dictionaries_pick_the_position():
    dist = np.zeros((2, 2, 3))
    dist[:, 0, :], dist[:, 1, :] = [0.9, 0.5, 0.1], [0.1, 0.5, 0.9]
    feedback = {"action": [0, 1], "reward": [1, 0], "pscore": [0.5, 0.5], "position": [0, 2]}
    assert from_obp(feedback, dist).target.tolist() == [0.9, 0.9]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pscore": None}, "feedback has no pscore"),
        ({"position": [0, 3]}, "position is outside 0 … 2"),
        ({"position": [0.5, 1]}, "position holds a value that is not whole"),
        ({"position": [0]}, "position has shape"),
        ({"pi_b": [[0.5], [0.5]]}, "logged_pmf has shape"),
    ],
)
def test_obp_dictionaries_that_lack_something_are_told_what(changes, says):
    dist = np.full((2, 2, 3), 0.5)
    feedback = {"action": [0, 1], "reward": [1, 0], "pscore": [0.5, 0.5], "position": [0, 2]}
    with pytest.raises(RecordError, match=says):
        from_obp(feedback | changes, dist)


def test_a_thinned_dsjson_line_has_its_sampling_weight():
    whole = (
        b'{"_label_cost":-1,"_label_probability":0.5,"_label_Action":2,"a":[2,1],'
        b'"p":[0.5,0.5],"Timestamp":"2026-11-23T11:00:00Z","EventId":"e","c":{"_multi":[{},{}]}}'
    )
    thinned = whole.replace(b'"EventId"', b'"pdrop":0.75,"EventId"')
    batch = from_dsjson([whole, thinned], lambda line: [0.5, 0.5])
    assert batch.sampling.tolist() == [1.0, 4.0]
    assert from_dsjson([whole], lambda line: [0.5, 0.5]).sampling is None
    with pytest.raises(RecordError, match="target gave 1 probabilities for decision 'e', must be"):
        from_dsjson([whole], lambda line: [1.0])


def test_no_decisions_and_no_overlap_are_errors_and_not_numbers():
    nothing = LoggedBatch.of(propensity=[], reward=[], target=[])
    with pytest.raises(NotEnoughData):
        Ips().terms(nothing).value  # noqa: B018
    with pytest.raises(NotEnoughData):
        Snips().terms(small(target=[0.0, 0.0])).value  # noqa: B018
