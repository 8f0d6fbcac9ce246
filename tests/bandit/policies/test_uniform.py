import pytest

from bandit.errors import RecordError
from bandit.policies.uniform import Uniform
from bandit.records import Action


@pytest.mark.parametrize("k", [1, 3, 200])
def test_every_action_has_the_same_chance(k):
    assert Uniform().pmf(b"{}", [Action(id=f"a{i}") for i in range(k)]) == [1 / k] * k


def test_bad_features_are_refused_although_it_uses_none():
    # Its decisions are what others learn from.
    with pytest.raises(RecordError, match="feature is 1e"):
        Uniform().pmf(b"{}", [Action.of("a", x=1e39)])
