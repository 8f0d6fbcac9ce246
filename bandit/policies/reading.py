"""What a policy has learned, in the names of features: for people, not for serving.

Every weight is the model's own, found where the model itself would look: nothing is estimated. What
is estimated is how much a feature moves predictions, from a sample of what was offered.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bandit.policies.base import Policy
from bandit.policies.features import features_of
from bandit.policies.linear import Linear
from bandit.policies.numeric import Encoded
from bandit.policies.vw import VowpalWabbit
from bandit.policies.window import Windowed
from bandit.records import Action

MOST_PAIRS = 300_000
"""Pairs of features that are looked at: enough for hundreds of decisions, and half a second."""
Offer = tuple[bytes, Sequence[Action]]
"""A context, and what could be drawn there."""


class Read(NamedTuple):
    """One feature, or pair of features.

    Attributes:
        context: Feature of the context; '' for none.
        action: Feature of the action, or `id=<its id>`.
        weight: Added to the predicted reward for each 1 of (the product of) them.
        seen_n: Actions that were offered with it.
        spread: |weight| · standard deviation of its value among all that were offered.
    """

    context: str
    action: str
    weight: float
    seen_n: int
    spread: float


class _Tally:
    """A value's count, sum and sum of squares."""

    __slots__ = ("n", "squares", "total")

    def __init__(self) -> None:
        self.n = 0
        self.total = self.squares = 0.0

    def add(self, value: float) -> None:
        self.n += 1
        self.total += value
        self.squares += value * value

    def deviation(self, of_n: int) -> float:
        """Absent is 0."""
        return math.sqrt(max(self.squares / of_n - (self.total / of_n) ** 2, 0.0))


def read_weights(policy: Policy, offers: Iterable[Offer]) -> list[Read] | None:
    """The weights of the features in a sample of decisions, the greatest spread first.

    Args:
        policy: As `build` makes it.
        offers: The sample; it is not read further than `MOST_PAIRS` pairs.

    Returns:
        Those that are not 0; None where a policy's weights are no features' (`is_readable`).
    """
    model, encoded = _inside(policy)
    if not isinstance(model, VowpalWabbit | Linear):
        return None
    tallies: dict[tuple[str, str], _Tally] = {}
    offered_n = pairs_n = 0
    for context, actions in offers:
        if encoded is not None:
            context, actions = encoded.seen(context, actions)
        own = [("", 1.0), *_features(context)]
        for action in actions:
            offered_n += 1
            for name, value in _of_action(model, action):
                pairs_n += len(own)
                for of_context, times in own:
                    tallies.setdefault((of_context, name), _Tally()).add(value * times)
        if pairs_n >= MOST_PAIRS:
            break
    pairs = list(tallies)
    weights = _weights(model, pairs)
    if weights is None:
        return None
    found = [
        Read(*pair, weight, tallies[pair].n, abs(weight) * tallies[pair].deviation(offered_n))
        for pair, weight in zip(pairs, weights, strict=True)
        if weight
    ]
    return sorted(found, key=lambda read: (-read.spread, read.context, read.action))


def is_readable(policy: Policy) -> bool:
    """Whether its weights are those of features, and can be told apart."""
    model, _ = _inside(policy)
    if isinstance(model, VowpalWabbit):
        return model.feature_weights([]) is not None
    return isinstance(model, Linear)


def _inside(policy: Policy) -> tuple[Policy, Encoded | None]:
    encoded = policy if isinstance(policy, Encoded) else None
    model: Policy = policy if encoded is None else encoded.inside
    return (model.serving if isinstance(model, Windowed) else model), encoded


def _weights(model: VowpalWabbit | Linear, pairs: list[tuple[str, str]]) -> list[float] | None:
    if isinstance(model, VowpalWabbit):
        return model.feature_weights(pairs)
    return model.feature_weights([(name, action.removeprefix("id=")) for name, action in pairs])


def _of_action(model: VowpalWabbit | Linear, action: Action) -> Iterator[tuple[str, float]]:
    if isinstance(model, Linear) or model.with_id:
        yield f"id={action.id}", 1.0
    if isinstance(model, VowpalWabbit):
        yield from _features(bytes(action.features))


def _features(raw: bytes) -> Iterator[tuple[str, float]]:
    features = features_of(raw)
    return zip(features.names, features.values, strict=True)
