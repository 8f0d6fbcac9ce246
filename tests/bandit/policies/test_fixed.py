import pytest

from bandit.errors import RecordError
from bandit.policies import draw_ranking, with_floor
from bandit.policies.fixed import Fixed
from bandit.records import Action


def test_the_clients_order_is_kept_with_propensity_one():
    actions = [Action(id=f"a{i}") for i in range(5)]
    pmf = with_floor(Fixed().pmf(b"{}", actions), 0.0)
    assert draw_ranking(pmf, 4, seed=3) == ([0, 1, 2, 3], [1.0] * 4)


def test_bad_features_are_refused_although_it_uses_none():
    with pytest.raises(RecordError, match="feature is 1e"):
        Fixed().pmf(b'{"x":1e39}', [Action(id="a")])
