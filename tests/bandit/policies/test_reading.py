"""Weights by the names of features: what they add up to is what the model says."""

import random

import msgspec
import numpy as np
import pytest

from bandit.policies import build
from bandit.policies.base import Lesson
from bandit.policies.reading import is_readable, read_weights
from bandit.policies.vw_costs import costs_of
from bandit.records import Action
from bandit.specs import NumericFeature, Part, PolicySpec

ACTIONS = (Action.of("a", topic="go", age=1.5), Action.of("b", topic="py"), Action.of("c"))


def taught(spec: PolicySpec):
    rng, policy = random.Random(3), build(spec)
    for _ in range(400):
        context = {"country": rng.choice(["US", "DE"]), "hour": rng.random()}
        drawn = rng.randrange(3)
        right = drawn == (0 if context["country"] == "US" else 1)
        policy.learn(  # type: ignore[attr-defined]
            Lesson(
                context=msgspec.json.encode(context),
                actions=ACTIONS,
                drawn=drawn,
                propensity=1 / 3,
                reward=float(rng.random() < (0.8 if right else 0.1)),
            )
        )
    return policy


OFFERS = [
    (msgspec.json.encode({"country": country, "hour": hour}), ACTIONS)
    for country in ("US", "DE")
    for hour in (0.1, 0.6)
]


def predicted(found, context: dict[str, float], action: dict[str, float]) -> float:
    own = {"": 1.0, **context}
    return sum(
        read.weight * own.get(read.context, 0.0) * action.get(read.action, 0.0) for read in found
    )


def test_weights_of_vw_add_up_to_its_own_greedy_choice():
    policy = taught(PolicySpec(key="p", surface="s", type="vw", arguments="--epsilon 0.1 -q UA"))
    found = read_weights(policy, OFFERS)
    features = [{"id=a": 1, "topic=go": 1, "age": 1.5}, {"id=b": 1, "topic=py": 1}, {"id=c": 1}]
    for country in ("US", "DE"):
        context = {f"country={country}": 1.0, "hour": 0.6}
        worth = [predicted(found, context, each) for each in features]
        raw = msgspec.json.encode({"country": country, "hour": 0.6})
        assert np.argmax(worth) == np.argmax(policy.pmf(raw, ACTIONS))
        arrays = policy._examples.arrays_of(raw, ACTIONS, b"", policy._explorer.letters)
        costs = costs_of(policy._weights, *arrays, linear=True)  # what it serves many actions by
        assert worth == pytest.approx([-float(cost) for cost in costs], abs=1e-6)
    best = found[0]
    assert best.context.startswith("country=")
    assert found == sorted(found, key=lambda read: -read.spread)
    assert all(read.weight for read in found)
    by_name = {(read.context, read.action): read for read in found}
    assert by_name["country=US", "topic=go"].weight > 0 > by_name["country=DE", "topic=go"].weight
    assert by_name["country=US", "topic=go"].seen_n == 2


def test_weights_of_linear_are_its_means():
    policy = taught(PolicySpec(key="p", surface="s", type="linear"))
    found = {(read.context, read.action): read.weight for read in read_weights(policy, OFFERS)}
    mean = policy._solve("a").mean
    names = policy._coordinates.names
    assert found["country=US", "id=a"] == mean[1 + names.index("country=US")]
    assert found["", "id=a"] == mean[0]


def test_what_wraps_a_model_is_looked_through():
    spec = PolicySpec(
        key="p",
        surface="s",
        type="vw",
        arguments="--epsilon 0.1 -q UA",
        window=100,
        numeric={"context.hour": NumericFeature(encoding="bucket", edges=[0.5])},
    )
    names = {read.context for read in read_weights(taught(spec), OFFERS)}
    assert {"hour=#0", "hour=#1", "country=US"} <= names


@pytest.mark.parametrize(
    "spec",
    [
        PolicySpec(key="p", surface="s", type="vw", arguments="--bag 3 -q UA"),
        PolicySpec(key="p", type="uniform"),
        PolicySpec(key="p", surface="s", type="thompson"),
        PolicySpec(
            key="p",
            surface="s",
            type="mixture",
            parts=[Part(type="uniform", weight=0.5), Part(type="linear", weight=0.5)],
        ),
    ],
    ids=["several models", "no weights", "no features", "mixture"],
)
def test_what_can_not_be_read_is_not(spec):
    policy = build(spec)
    assert not is_readable(policy)
    assert read_weights(policy, OFFERS) is None
