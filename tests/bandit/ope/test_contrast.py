import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.ope import cressie_read, gain_between, gain_over_logging
from tests.bandit.ope.worlds import batch_of, drawn, softmax, taken, world_a


def shifted(n: int, rng: np.random.Generator, tilt: float):
    """A target that tilts the logged scores a little, and what that gains."""
    x = rng.random(n)
    s = np.sin(2 * x[:, None] + np.arange(4))
    q, logged, target = 0.3 + 0.2 * s, softmax(s), softmax(s * (1 + tilt))
    action = drawn(logged, rng.random(n))
    batch = batch_of(
        {
            "action": action,
            "propensity": taken(logged, action),
            "reward": (rng.random(n) < taken(q, action)).astype(float),
            "target_pmf": target,
            "logged_pmf": logged,
        },
        reward_range=(0.0, 1.0),
    )
    grid = np.linspace(0, 1, 501)
    s = np.sin(2 * grid[:, None] + np.arange(4))
    gain = ((softmax(s * (1 + tilt)) - softmax(s)) * (0.3 + 0.2 * s)).sum(axis=1).mean()
    return batch, float(gain)


@pytest.mark.slow
def test_paired_intervals_cover_and_are_much_narrower_than_the_values():
    rng, runs = np.random.default_rng(14), 300
    hits, widths = np.zeros(2), np.zeros(2)
    for _ in range(runs):
        batch, gain = shifted(500, rng, 0.3)
        over = gain_over_logging(batch)
        other = batch.with_target(batch.logged_pmf)
        between = gain_between(batch, other)
        hits += [g.interval.low <= gain <= g.interval.high for g in (over, between)]
        widths += [over.interval.width, cressie_read(batch).width]
    # 95 % and 4.4 standard errors
    assert (hits / runs >= 0.95 - 4.4 * np.sqrt(0.95 * 0.05 / runs)).all()
    assert widths[0] < 0.45 * widths[1]


def test_two_candidates_mirror_and_a_candidate_has_no_gain_over_itself():
    batch, _ = shifted(800, np.random.default_rng(1), 0.5)
    other = batch.with_target(np.full((800, 4), 0.25))
    there, back = gain_between(batch, other), gain_between(other, batch)
    assert there.gain == pytest.approx(-back.gain)
    assert there.interval.low == pytest.approx(-back.interval.high)
    itself = gain_between(batch, batch)
    assert itself.gain == 0.0
    assert abs(itself.interval.low) < 1e-3


def test_without_known_bounds_two_candidates_get_a_t_interval_that_says_so():
    world = world_a(500, 4, 5, 1.0, 3.0)
    batch = batch_of(world, logged_pmf=None, reward_range=(0.0, 1.0))
    found = gain_between(batch, batch.with_target(np.full((500, 4), 0.25)))
    assert found.interval.method == "t"
    assert found.interval.low <= found.gain <= found.interval.high


def test_other_rows_can_not_be_paired():
    first, _ = shifted(100, np.random.default_rng(1), 0.5)
    second, _ = shifted(100, np.random.default_rng(2), 0.5)
    with pytest.raises(RecordError, match="same rows"):
        gain_between(first, second)
