import itertools

import numpy as np
import pytest

from bandit.errors import BadSpec
from bandit.policies import Lesson, build
from bandit.policies.together import Group, Worths
from bandit.policies.vw import VowpalWabbit
from bandit.policies.vw_lots import Lot
from bandit.records import Action
from bandit.specs import PolicySpec

ARGUMENTS = (
    "--epsilon 0.1 -q UA",
    "--squarecb -q UA",
    "--regcb -q UA",
    "--regcbopt",
    "--epsilon 0.05",
    "--bag 2 -q UA",
    "--cover 2",
    "--softmax -q UA",
    "--cb_type dr -q UA",
    "--cb_type ips -q UA -l 0.1",
    "-q UA --noconstant",
    "-q UA -q UU --ignore_linear U",
    "-q UA -b 12 --no_id",
)


def lessons(n: int, k: int, seed: int = 1) -> list[Lesson]:
    rng = np.random.default_rng(seed)
    held = [Action.of(f"a{i}", topic=f"t{i % 5}", age=float(i % 7)) for i in range(3 * k)]
    made = []
    for _ in range(n):
        offered = tuple(held[i] for i in rng.choice(3 * k, int(rng.integers(2, k + 1)), False))
        made.append(
            Lesson(
                context=b'{"hour":%d,"place":"p%d"}' % (rng.integers(24), rng.integers(3)),
                actions=offered,
                drawn=int(rng.integers(len(offered))),
                propensity=1 / len(offered),
                reward=float(rng.random() < 0.3),
            )
        )
    return made


def taught(arguments: str, given: list[Lesson]) -> VowpalWabbit:
    policy = VowpalWabbit(arguments)
    for lesson in given:
        policy.learn(lesson)
    return policy


def lot_of(given: list[Lesson]) -> Lot:
    return Lot.of([lesson.context for lesson in given], [lesson.actions for lesson in given])


def asked(policy: VowpalWabbit, given: list[Lesson]) -> np.ndarray:
    return np.concatenate([policy.pmf(lesson.context, lesson.actions) for lesson in given])


def test_policies_taught_together_have_the_weights_of_those_taught_alone() -> None:
    # Symptom: after `--squarecb` or `--regcb`, a shared example taught others wrong things.
    given = lessons(150, 6)
    alone = {arguments: taught(arguments, given).digest() for arguments in ARGUMENTS}
    for order in (ARGUMENTS, ARGUMENTS[::-1]):
        policies = [VowpalWabbit(arguments) for arguments in order]
        assert Group(policies).learn(given) == 0
        assert [p.digest() for p in policies] == [alone[arguments] for arguments in order]


def test_pairs_that_change_labels_do_not_disturb_each_other() -> None:
    given = lessons(60, 4)
    spoilers = ("--squarecb", "--regcb", "--regcbopt")
    alone = {arguments: taught(arguments, given).digest() for arguments in spoilers}
    for pair in itertools.permutations(spoilers, 2):
        policies = [VowpalWabbit(arguments) for arguments in pair]
        Group(policies).learn(given)
        assert [p.digest() for p in policies] == [alone[arguments] for arguments in pair]


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("k", [6, 60])
def test_questions_asked_together_are_answered_as_if_asked_alone(arguments: str, k: int) -> None:
    given = lessons(200, k)
    policy = taught(arguments, given)
    [found] = Group([policy]).pmfs(lot_of(given))
    assert np.abs(found - asked(policy, given)).max() < 2e-5


def test_an_untrained_policy_is_indifferent_when_asked_together() -> None:
    given = lessons(20, 6)
    policy = VowpalWabbit("--epsilon 0.1 -q UA")
    [found] = Group([policy]).pmfs(lot_of(given))
    assert np.abs(found - asked(policy, given)).max() < 1e-6


def test_policies_of_every_kind_are_asked_and_taught_in_one_group() -> None:
    specs = [
        PolicySpec(key="u", type="uniform"),
        PolicySpec(key="f", type="fixed"),
        PolicySpec(key="t", type="thompson", surface="s"),
        PolicySpec(key="v", type="vw", surface="s"),
    ]
    given = lessons(40, 5)
    together, apart = [[build(spec) for spec in specs] for _ in range(2)]
    group = Group(together)
    group.learn(given)
    for policy in apart[2:]:
        for lesson in given:
            policy.learn(lesson)  # type: ignore[attr-defined]
    for found, policy in zip(group.pmfs(lot_of(given)), apart, strict=True):
        want = np.concatenate([policy.pmf(one.context, one.actions) for one in given])
        assert np.abs(found - want).max() < 2e-5


def test_a_refused_lesson_is_counted_and_the_others_are_learned() -> None:
    given = lessons(10, 4)
    bad = Lesson(
        context=b'{"x":1e20}', actions=given[0].actions, drawn=0, propensity=0.5, reward=1.0
    )
    policy = VowpalWabbit("-q UA")
    assert Group([policy]).learn([*given, bad]) == 1
    assert policy.digest() == taught("-q UA", given).digest()


def test_worths_are_what_the_regression_predicts() -> None:
    # Second implementation: rewards that are a function of context and action are found again.
    held = (Action.of("a"), Action.of("b"))
    worths = Worths("-q UA")
    truth = {(b'{"p":"x"}', 0): 1.0, (b'{"p":"x"}', 1): 0.0,
             (b'{"p":"y"}', 0): 0.25, (b'{"p":"y"}', 1): 0.75}  # fmt: skip
    for _ in range(300):
        for (context, drawn), reward in truth.items():
            worths.policy.learn(
                Lesson(context=context, actions=held, drawn=drawn, propensity=0.5, reward=reward)
            )
    contexts = [b'{"p":"x"}', b'{"p":"y"}']
    found = worths.of(Lot.of(contexts, [held, held]))
    assert found == pytest.approx(list(truth.values()), abs=0.05)


def test_a_reward_model_that_can_not_be_read_is_refused() -> None:
    with pytest.raises(BadSpec, match="must use -q UA"):
        Worths("--bag 3")
