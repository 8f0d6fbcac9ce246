import random

import pytest

from bandit.errors import BadSpec, SnapshotCorrupt
from bandit.policies import LearningPolicy, Lesson, build, check_spec, with_floor
from bandit.policies.vw import VowpalWabbit
from bandit.policies.window import Windowed
from bandit.records import Action
from bandit.specs import PolicySpec

OFFERED = (Action.of("a"), Action.of("b"), Action.of("c"))
ARGUMENTS = "--epsilon 0.1 -q UA"


def lesson(drawn: int, reward: float = 1.0) -> Lesson:
    return Lesson(context=b"{}", actions=OFFERED, drawn=drawn, propensity=1 / 3, reward=reward)


def lessons(n: int, seed: int = 3) -> list[Lesson]:
    rng = random.Random(seed)
    return [lesson(rng.randrange(3), float(rng.random() < 0.4)) for _ in range(n)]


def make(weights: bytes | None = None) -> VowpalWabbit:
    return VowpalWabbit(ARGUMENTS, weights)


def learned(policy: LearningPolicy, *given: Lesson) -> LearningPolicy:
    for each in given:
        policy.learn(each)
    return policy


@pytest.mark.parametrize("n", [0, 1, 4, 9, 10, 11, 19, 20, 21, 34, 40])
def test_what_serves_knows_between_half_and_all_of_the_window(n):
    given = lessons(n)
    windowed = learned(Windowed(make, 20), *given)
    since = 0 if n < 20 else n // 10 * 10 - 10
    expected = learned(make(), *given[since:])
    assert windowed.pmf(b"{}", OFFERED) == expected.pmf(b"{}", OFFERED)
    assert n < 20 or 10 <= n - since < 20


def test_it_resumes_exactly_wherever_it_is_saved():
    given = lessons(60)
    whole = learned(Windowed(make, 20), *given)
    resumed: LearningPolicy = Windowed(make, 20)
    for each in given:
        resumed.learn(each)
        again = Windowed(make, 20, resumed.save())
        assert again.digest() == resumed.digest()
        resumed = again
    assert resumed.digest() == whole.digest()
    assert resumed.pmf(b"{}", OFFERED) == whole.pmf(b"{}", OFFERED)


def test_the_digest_tells_both_models_and_the_place_in_the_window():
    given = [lesson(0, 0.0) for _ in range(30)]  # nothing to learn from: weights stay 0
    digests = {learned(Windowed(make, 20), *given[:n]).digest() for n in (0, 5, 10, 15)}
    assert len(digests) == 4
    one = learned(Windowed(make, 20), *lessons(15))
    other = learned(Windowed(make, 20), *lessons(10), *lessons(5, seed=4))
    assert one.digest() != other.digest()


def test_weights_of_another_window_are_refused():
    saved = Windowed(make, 20).save()
    with pytest.raises(BadSpec, match="weights were learned with '20', must be with '30'"):
        Windowed(make, 30, saved)
    with pytest.raises(SnapshotCorrupt):
        Windowed(make, 20, saved[:-1])


SPECS = [
    PolicySpec(key="p", type="vw", surface="s", arguments=ARGUMENTS, window=60),
    PolicySpec(key="p", type="vw", surface="s", arguments="--bag 3 --epsilon 0.1", window=10),
    PolicySpec(key="p", type="linear", surface="s", floor=0.01, window=60),
    PolicySpec(key="p", type="thompson", surface="s", floor=0.01, window=60),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.type} {spec.arguments}")
def test_any_learning_policy_may_forget(spec):
    check_spec(spec)
    assert isinstance(build(spec), Windowed)


@pytest.mark.parametrize("kind", ["vw", "linear"])
def test_it_finds_what_has_become_good_much_sooner(kind):
    """After 1,200 lessons in which a is right, c is: hits in the next 300 (by chance 100)."""

    def hits(window: int | None) -> int:
        spec = PolicySpec(
            **{"key": "p", "type": kind, "surface": "s", "floor": 0.03, "window": window},
            arguments=ARGUMENTS if kind == "vw" else "",
        )
        policy, rng, found = build(spec), random.Random(5), 0
        for turn in range(1500):
            right = 0 if turn < 1200 else 2
            pmf = with_floor(policy.pmf(b"{}", OFFERED), spec.floor)
            drawn = rng.choices(range(3), pmf)[0]
            reward = float(rng.random() < (0.6 if drawn == right else 0.2))
            found += turn >= 1200 and drawn == right
            policy.learn(  # type: ignore[attr-defined]
                Lesson(
                    context=b"{}",
                    actions=OFFERED,
                    drawn=drawn,
                    propensity=pmf[drawn],
                    reward=reward,
                )
            )
        return found

    forgetful, faithful = hits(120), hits(None)
    assert forgetful > 120
    assert forgetful > faithful + 40
