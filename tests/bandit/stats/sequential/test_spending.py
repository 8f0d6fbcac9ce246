import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.stats.sequential.spending import Spending

FAMILIES = [
    Spending(),
    Spending(kind="pocock"),
    Spending(kind="power", parameter=0.5),
    Spending(kind="power", parameter=3.0),
    Spending(kind="hwang_shih_decani", parameter=-4.0),
    Spending(kind="hwang_shih_decani", parameter=0.0),
    Spending(kind="hwang_shih_decani", parameter=2.0),
]


@pytest.mark.parametrize("spending", FAMILIES, ids=lambda s: f"{s.kind}{s.parameter or ''}")
@given(st.floats(0.001, 0.999), st.floats(0.0, 1.0), st.sampled_from([0.2, 0.05, 1e-6]))
def test_spending_rises_from_nothing_to_alpha(
    spending: Spending, fraction: float, further: float, alpha: float
):
    later = fraction + further * (1.0 - fraction)
    assert 0.0 <= spending.spent(fraction, alpha) <= spending.spent(later, alpha) <= alpha * 1.0001
    assert spending.spent(0.0, alpha) == 0.0
    assert spending.spent(1.3, alpha) == spending.spent(1.0, alpha) == alpha


def test_spending_gives_the_formulas_values_by_hand():
    assert Spending(kind="power", parameter=2.0).spent(0.5, 0.04) == pytest.approx(0.01)
    assert Spending(kind="pocock").spent(0.5, 0.05) == pytest.approx(
        0.05 * math.log(1 + (math.e - 1) / 2)
    )
    # Gamma = 0 is the limit of small gammas.
    near = Spending(kind="hwang_shih_decani", parameter=1e-9).spent(0.3, 0.05)
    zero = Spending(kind="hwang_shih_decani", parameter=0.0).spent(0.3, 0.05)
    assert zero == pytest.approx(0.015)
    assert near == pytest.approx(zero, rel=1e-8)


@pytest.mark.parametrize(
    ("kind", "parameter"),
    [
        ("power", None),
        ("power", 0.0),
        ("pocock", 1.0),
        ("hwang_shih_decani", None),
        ("hwang_shih_decani", math.nan),
    ],
)
def test_a_family_without_its_parameter_is_refused(kind: str, parameter: float | None):
    with pytest.raises(ValueError, match="must"):
        Spending(kind=kind, parameter=parameter)
