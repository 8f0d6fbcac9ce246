import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import NotEnoughData, RecordError
from bandit.stats.joint import JointMoments
from bandit.stats.moments import Moments

ROWS = st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), max_size=25)


def of_rows(rows: list[tuple[float, float, float]]) -> JointMoments:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    return JointMoments.of_columns(*columns)


@settings(deadline=None)
@given(ROWS, ROWS)
def test_adding_equals_the_joint_moments_of_all_rows(first: list, second: list):
    added, whole = of_rows(first) + of_rows(second), of_rows(first + second)
    assert added.n == whole.n
    assert added.means == pytest.approx(whole.means, rel=1e-12, abs=1e-8)
    np.testing.assert_allclose(added.cross, whole.cross, rtol=1e-9, atol=1e-4)


@settings(deadline=None)
@given(ROWS)
def test_covariance_equals_numpys(rows: list):
    got = of_rows(rows)
    if got.n < 2:
        with pytest.raises(NotEnoughData):
            got.covariance()
        return
    np.testing.assert_allclose(got.covariance(), np.cov(np.array(rows).T), rtol=1e-9, atol=1e-6)


def test_covariance_keeps_its_digits_when_the_means_are_huge():
    rng = np.random.default_rng(5)
    small = rng.normal(size=(2, 500))
    # The same rows as float64 holds them at 1e9 (steps of 1.2e-7), then moved back exactly.
    large = small + 1e9
    exact = np.cov(large - 1e9)
    whole = JointMoments.of_columns(*large)
    parts = sum(
        (JointMoments.of_columns(*large[:, at : at + 50]) for at in range(50, 500, 50)),
        JointMoments.of_columns(*large[:, :50]),
    )
    np.testing.assert_allclose(whole.covariance(), exact, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(parts.covariance(), exact, rtol=1e-7, atol=1e-7)


def test_joint_moments_survive_json():
    got = JointMoments.of_columns([1.0, 2.0, 4.0], [0.5, 0.0, 0.25])
    assert msgspec.json.decode(msgspec.json.encode(got), type=JointMoments) == got


def test_a_column_of_joint_moments_is_the_moments_of_that_column():
    columns = [3.0, 1.0, 2.5], [7.0, 8.0, 9.0]
    got = JointMoments.of_columns(*columns)
    for j, column in enumerate(columns):
        expected = Moments.of(column)
        assert got.column(j).mean == pytest.approx(expected.mean, rel=1e-15)
        assert got.column(j).m2 == pytest.approx(expected.m2, rel=1e-14)
    assert got.take(1, 0).means == (8.0, got.means[0])
    assert JointMoments.of_moments(got.column(1)) == got.take(1)


def test_database_covariances_come_back_as_they_were_and_nan_of_few_rows_is_not_read():
    got = JointMoments.of_covariance(5, (1.0, 2.0), [[2.0, 0.5], [0.5, 3.0]])
    np.testing.assert_allclose(got.covariance(), [[2.0, 0.5], [0.5, 3.0]])
    lone = JointMoments.of_covariance(1, (1.0, 2.0), [[float("nan")] * 2] * 2)
    assert lone.cross == ((0.0, 0.0), (0.0, 0.0))


def test_counts_are_the_moments_of_zeros_and_ones():
    rows = JointMoments.of_columns([1.0] * 3 + [0.0] * 7)
    got = JointMoments.of_count(3, 10)
    assert got.means == pytest.approx(rows.means)
    assert got.cross[0] == pytest.approx(rows.cross[0])
    with pytest.raises(RecordError, match="must be in 0"):
        JointMoments.of_count(11, 10)


@pytest.mark.parametrize(
    ("means", "cross", "message"),
    [
        ((0.0, 0.0), ((1.0,),), "must be"),
        ((float("nan"),), ((1.0,),), "must be finite"),
        ((0.0,), ((-1.0,),), "must be finite"),
        ((0.0,), ((float("inf"),),), "must be finite"),
    ],
)
def test_joint_moments_refuse_what_no_sample_has(means: tuple, cross: tuple, message: str):
    with pytest.raises(RecordError, match=message):
        JointMoments(n=3, means=means, cross=cross)


def test_columns_of_different_length_are_refused():
    with pytest.raises(RecordError, match="must be as many"):
        JointMoments.of_columns([1.0], [1.0, 2.0])


def test_samples_with_different_columns_do_not_add():
    with pytest.raises(RecordError, match="to add"):
        JointMoments.none(2) + JointMoments.none(3)
