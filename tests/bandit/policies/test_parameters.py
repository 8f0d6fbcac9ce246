import pytest

from bandit.errors import BadSpec
from bandit.policies.parameters import Ids, Parameters, Positive, read_parameters


class Few(Parameters, frozen=True, kw_only=True):
    ids: Ids = 10
    noise: Positive = 0.5


def test_what_is_left_out_has_its_default_and_is_part_of_the_text():
    assert read_parameters(Few, {"noise": 1}).text == '{"ids":10,"noise":1.0}'
    assert read_parameters(Few, {}) == Few()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ids": 0}, r"Expected `int` >= 1 - at `\$\.parameters\.ids`"),
        ({"ids": "7"}, r"Expected `int`, got `str` - at `\$\.parameters\.ids`"),
        ({"noise": 0}, r"- at `\$\.parameters\.noise`"),
        ({"noise": float("nan")}, r"- at `\$\.parameters\.noise`"),
        ({"noise": float("inf")}, r"- at `\$\.parameters\.noise`"),
        ({"nose": 1.0}, r"unknown field `nose` - at `\$\.parameters`"),
    ],
)
def test_what_can_not_be_used_is_refused_with_its_place(given, message):
    with pytest.raises(BadSpec, match=message):
        read_parameters(Few, given)


def test_the_place_is_the_callers():
    with pytest.raises(BadSpec, match=r"at `\$\.parts\[2\]\.parameters\.ids`"):
        read_parameters(Few, {"ids": 0}, "$.parts[2].parameters")
