import msgspec
import pytest

from bandit.errors import RecordError
from bandit.stats.fixed import compare
from bandit.stats.impact import scaled_impact
from bandit.stats.joint import JointMoments
from bandit.stats.linear import mean_of, ratio_of

ROWS = JointMoments.of_columns([1.0, 3.0, 2.0], [1.0, 2.0, 4.0])
MORE = JointMoments.of_columns([2.0, 5.0, 2.0], [1.0, 2.0, 3.0])


def test_impact_is_the_effect_of_a_days_units():
    effect = compare(mean_of().estimate(ROWS, MORE))
    got = scaled_impact(effect, units=6, days=2, share=0.5)
    assert got.units_per_day == 6.0
    assert got.per_day == pytest.approx(6 * 1.0)
    assert got.per_day_ci_low == pytest.approx(6 * effect.effect_ci_low)
    assert (got.p_value, got.std_error) == (effect.p_value, pytest.approx(6 * effect.std_error))


def test_an_open_end_stays_open():
    effect = compare(mean_of().estimate(ROWS, MORE), alternative="greater")
    assert scaled_impact(effect, units=6, days=2).per_day_ci_high is None


def test_a_ratio_has_no_total():
    got = scaled_impact(compare(ratio_of().estimate(ROWS, MORE)), units=6, days=2)
    assert (got.reason, got.per_day) == ("not_additive", None)


def test_what_has_no_effect_has_no_impact():
    nobody = compare(mean_of().estimate(JointMoments.none(1), JointMoments.none(1)))
    got = scaled_impact(nobody, units=0, days=1)
    assert (got.reason, got.per_day) == ("empty_variant", None)


@pytest.mark.parametrize("changes", [{"units": -1}, {"days": 0.0}, {"share": 0.0}, {"share": 1.1}])
def test_traffic_must_be_possible(changes: dict):
    effect = compare(mean_of().estimate(ROWS, MORE))
    with pytest.raises(RecordError, match="must be"):
        scaled_impact(effect, **({"units": 6, "days": 2.0} | changes))


def test_impact_survives_json():
    got = scaled_impact(compare(mean_of().estimate(ROWS, MORE)), units=6, days=2)
    assert msgspec.json.decode(msgspec.json.encode(got), type=type(got)) == got
