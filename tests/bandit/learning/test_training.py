import logging

import pytest

from bandit.learning.counts import Counts
from bandit.learning.joiner import Joined
from bandit.learning.training import learns_alike, needs_support, teach
from bandit.specs import NumericFeature, Part
from tests.bandit.learning.conftest import policy_spec
from tests.bandit.learning.fakes import Diary
from tests.bandit.learning.making import decision


def taught(joined: list[Joined], *, needs_support: bool = False) -> tuple[Diary, Counts]:
    policy, counts = Diary(policy_spec()), Counts()
    learned_n = teach(policy, joined, counts, needs_support=needs_support)
    assert learned_n == len(policy.lines) - 1
    return policy, counts


def test_each_closed_decision_is_counted_as_one_of_three() -> None:
    joined = [
        Joined(decision(1), ((0, 1.0),), rewarded=True),
        Joined(decision(2), ((0, 0.0),), rewarded=False),
        Joined(decision(3), (), rewarded=False),
    ]
    _, counts = taught(joined)
    assert counts == Counts(trained=1, defaulted=1, unseen=1)


def test_a_slot_drawn_without_alternatives_teaches_regression_but_no_importance_weighting() -> None:
    fixed = decision(1, ranking=(0, 1, 2), propensities=(1.0, 1.0, 1.0), pmf=(1.0, 0.0, 0.0))
    joined = [Joined(fixed, ((0, 1.0), (1, 0.0), (2, 0.0)), rewarded=True)]
    policy, counts = taught(joined)
    assert (len(policy.lines) - 1, counts) == (3, Counts(trained=1))
    policy, counts = taught(joined, needs_support=True)
    assert [line[0] for line in policy.lines[1:]] == [["a2"]]  # where there was no choice
    policy, counts = taught([Joined(fixed, ((0, 1.0),), rewarded=True)], needs_support=True)
    assert (len(policy.lines) - 1, counts) == (0, Counts(unseen=1))


@pytest.mark.parametrize(
    ("arguments", "needs"),
    [
        ("", False),
        ("--cb_type mtr", False),
        ("--cb_type ips", True),
        ("--epsilon 0.1 --cb_type=ips", True),
    ],
)
def test_importance_weights_are_what_needs_support(arguments: str, needs: bool) -> None:
    assert needs_support(policy_spec(arguments=arguments)) is needs
    parts = [
        Part(weight=0.5, type="ucb"),
        Part(weight=0.5, type="vw", arguments=arguments),
    ]
    assert needs_support(policy_spec(type="mixture", parts=parts)) is needs


def test_a_refused_lesson_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Diary, "refused", {0.5})
    joined = [
        Joined(decision(1), ((0, 0.5),), rewarded=True),
        Joined(decision(2), ((0, 0.25),), rewarded=True),
    ]
    with caplog.at_level(logging.WARNING):
        policy, counts = taught(joined)
    assert [line[3] for line in policy.lines[1:]] == [0.25]
    assert counts == Counts(trained=1, unseen=1)
    assert decision(1).event_id in caplog.text


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({"arguments": "--epsilon 0.1"}, False),
        ({"learns_from": "own"}, False),
        ({"surface": "other"}, False),
        ({"window": 100}, False),
        ({"slot_model": "position"}, False),
        ({"numeric": {"context.hour": NumericFeature(encoding="centre")}}, False),
        ({"type": "thompson"}, False),
        ({"floor": 0.01, "description": "words"}, True),
    ],
)
def test_weights_are_shared_by_specs_that_train_alike(
    change: dict[str, object], alike: bool
) -> None:
    assert learns_alike(policy_spec(), policy_spec(**change)) is alike
