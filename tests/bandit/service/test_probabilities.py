"""What a policy is asked, and what is mixed into its answer."""

import struct
from collections.abc import Sequence

import pytest

from bandit.policies import build
from bandit.records import Action
from bandit.service.probabilities import Asked, pack, spread
from bandit.specs import PolicySpec, Rules
from tests.bandit.service.making import FIXED, UNIFORM

ACTIONS = [Action.of(name) for name in "abcd"]


class Listening:
    """A policy that keeps what it is asked."""

    def __init__(self) -> None:
        self.slots: list[bytes] = []

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        self.slots.append(slot)
        return [1.0] + [0.0] * (len(actions) - 1)


def vw(slot_model: str) -> PolicySpec:
    return PolicySpec(key="p", type="vw", surface="s", slot_model=slot_model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("slot_model", "told", "by_slot"),
    [
        ("shared", b"", False),
        ("position", b'{"position":"0"}', False),
        ("ccb", b'{"position":"1","given":{"w":2}}', True),
    ],
)
def test_a_policy_is_told_of_the_slot_as_its_model_says(
    slot_model: str, told: bytes, by_slot: bool
) -> None:
    policy = Listening()
    asked = Asked(policy, vw(slot_model), 0.0, b"{}", Rules(), [b"{}", b'{"w":2}'])
    asked.pmf(ACTIONS, 1)
    assert (policy.slots, asked.by_slot) == ([told], by_slot)


def test_least_and_most_are_mixed_in_after_the_floor_and_rounded() -> None:
    rules = Rules(least={"b": 0.5, "elsewhere": 0.25}, most={"a": 0.25})
    asked = Asked(Listening(), vw("shared"), 0.125, b"{}", rules)
    # Floor: (0.625, 0.125, 0.125, 0.125). Least: half of it, and 0.5 more for b. Most: a's 0.3125
    # is cut to 0.25, and the others share 0.75 in proportion 0.5625 : 0.0625 : 0.0625.
    exact = (0.25, 0.75 * 9 / 11, 0.75 / 11, 0.75 / 11)
    assert asked.pmf(ACTIONS) == struct.unpack("<4f", struct.pack("<4f", *exact))


def test_an_order_that_nobody_draws_has_no_least_and_most() -> None:
    rules = Rules(least={"b": 0.5}, most={"a": 0.25})
    assert Asked(build(FIXED), FIXED, 0.0, b"{}", rules).pmf(ACTIONS) == (1.0, 0.0, 0.0, 0.0)


def test_bounds_of_actions_that_are_not_there_change_no_bit() -> None:
    rules = Rules(least={"x": 0.5}, most={"y": 0.25})
    plain = Asked(build(UNIFORM), UNIFORM, 0.01, b"{}", Rules()).pmf(ACTIONS[:3])
    assert Asked(build(UNIFORM), UNIFORM, 0.01, b"{}", rules).pmf(ACTIONS[:3]) == plain


def test_packed_and_spread_is_what_the_log_keeps() -> None:
    assert pack(spread((0.25, 0.75), [0, 2], 3)) == struct.pack("<3f", 0.25, 0.0, 0.75)
