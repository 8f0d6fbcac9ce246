"""Products of features that a policy looks at: what a request can make expensive.

Features interact: `-q UA` looks at every feature of the context with every one of each action. A
thousand of each and a thousand actions are within the limits of features, and a thousand million
products: seconds in which a worker answers nobody else.
"""

import itertools
from functools import lru_cache
from typing import NamedTuple

from bandit.policies.arguments import arguments_of
from bandit.policies.auto import ARGUMENTS as AUTO_ARGUMENTS
from bandit.specs import PolicySpec

_OPTIONS = ("--quadratic", "--cubic", "--interactions")


class Interaction(NamedTuple):
    """How often each kind of features comes in a product.

    Attributes:
        by_slot: It is looked at anew for every slot.
    """

    context: int
    action: int
    slot: int
    by_slot: bool

    def products(self, *, context: int, slot: int, slots: int) -> int:
        """Products for each one of actions' products."""
        return int(context**self.context * slot**self.slot * (slots if self.by_slot else 1))


def interactions_of(spec: PolicySpec) -> frozenset[Interaction]:
    """What a policy, or the parts of a mixture, look at together; nothing for other types."""
    texts = [spec.arguments] if spec.type == "vw" else []
    texts += AUTO_ARGUMENTS if spec.type == "auto" else ()
    texts += [part.arguments for part in spec.parts if part.type == "vw"]
    return frozenset(one for text in texts for one in _read(text, spec.slot_model))


@lru_cache(maxsize=1024)
def _read(arguments: str, slot_model: str) -> tuple[Interaction, ...]:
    words = arguments_of(arguments, slot_model).words
    return tuple(
        Interaction(letters.count("U"), letters.count("A"), letters.count("S"), slot_model == "ccb")
        for option, letters in itertools.pairwise(words)
        if option in _OPTIONS
    )
