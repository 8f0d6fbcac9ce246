import math

import msgspec
import pytest

from bandit.errors import RecordError
from bandit.stats.estimate import Estimate, beside, capped, satterthwaite

THREE = Estimate(
    n=(10, 20, 30),
    values=(1.0, 2.0, 4.0),
    covariance=((0.4, 0.1, 0.0), (0.1, 0.3, 0.0), (0.0, 0.0, 0.2)),
    dfs=(9.0, 19.0, 29.0),
    kind="mean",
)


def test_effect_and_variance_are_of_the_first_treatment():
    # By hand: 0.3 - 2·0.1 + 0.4.
    assert THREE.effect == 1.0
    assert THREE.variance == pytest.approx(0.5)


def test_a_pair_keeps_its_own_covariance():
    pair = THREE.pair(2, 0)
    assert (pair.n, pair.values, pair.dfs) == ((30, 10), (4.0, 1.0), (29.0, 9.0))
    assert pair.covariance == ((0.2, 0.0), (0.0, 0.4))


def test_variance_reduction_is_of_the_pair_that_was_asked_for():
    wide = THREE.scaled(2.0)
    three = msgspec.structs.replace(
        beside(THREE, wide), covariance=((0.4, 0.1, 0.0), (0.1, 0.3, 0.0), (0.0, 0.0, 0.1))
    )
    assert three.pair(0, 1).variance_reduction == pytest.approx(0.5)
    # By hand: 1 - (0.1 + 0.4) / (2 · (0.2 + 0.4)).
    assert three.pair(0, 2).variance_reduction == pytest.approx(1 - 0.5 / 1.2)


def test_degrees_of_freedom_come_from_the_estimator_when_it_knows_them():
    assert msgspec.structs.replace(THREE, df=7.0).welch_df == 7.0


def test_satterthwaite_survives_variances_whose_squares_underflow():
    # By hand: equal variances and df 9 each give 18.
    assert satterthwaite((1e-200, 1e-200), (9, 9)) == pytest.approx(18)
    assert satterthwaite((0.0, 0.0), (9, 9)) == math.inf


def test_an_estimate_survives_json_with_what_is_beside_it():
    both = capped(THREE, THREE.scaled(3.0), cap=12.5)
    assert msgspec.json.decode(msgspec.json.encode(both), type=Estimate) == both
    assert (both.cap, both.unadjusted) == (12.5, THREE.scaled(3.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": (1,)}, "must be as many"),
        ({"covariance": None}, "must have a reason"),
        ({"values": (1.0, math.nan, 1.0)}, "must have finite values"),
        ({"values": (1.0, None, 1.0)}, "must have finite values"),
    ],
)
def test_an_estimate_without_numbers_must_say_why(changes: dict, message: str):
    with pytest.raises(RecordError, match=message):
        msgspec.structs.replace(THREE, **changes).__post_init__()


def test_numbers_that_are_not_there_are_not_given():
    empty = Estimate(
        n=(0, 3),
        values=(None, 1.0),
        covariance=None,
        dfs=(-1.0, 2.0),
        kind="mean",
        reason="empty_variant",
    )
    for name in ("effect", "variance", "std_error"):
        with pytest.raises(RecordError, match="empty_variant"):
            getattr(empty, name)
    assert not empty.usable
    assert empty.pair(1, 0).values == (1.0, None)
