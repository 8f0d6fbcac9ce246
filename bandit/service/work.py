"""How much one request may have policies look at: none may stop a worker for all others."""

from collections.abc import Iterable, Sequence

from bandit.errors import RecordError
from bandit.policies.features import features_of
from bandit.policies.interactions import Interaction
from bandit.records import Action
from bandit.wire import RankRequest

MOST_INTERACTIONS = 20_000_000
"""Some 20 to 50 ms of Vowpal Wabbit."""


def check_work(
    interactions: Iterable[Interaction],
    request: RankRequest,
    actions: Sequence[Action],
    features_n: int,
    most: int,
) -> None:
    """Refuse a request that has a policy look at too many products of features.

    Most requests are so short that their bytes can not hold as many; only others are counted.

    Args:
        interactions: Of every policy that will be asked.
        request: What is asked.
        actions: As offered.
        features_n: At least as many as all of the actions' features are.
        most: Products in all.

    Raises:
        RecordError: There are more, or features that no policy may see.
    """
    # A feature takes two bytes at least: `0,` in an array.
    context = 1 + len(request.context) // 2
    slot = 1 + max(map(len, request.slot_features), default=0) // 2
    for one in interactions:
        bound = features_n**one.action if one.action else len(actions)
        if one.products(context=context, slot=slot, slots=request.slots) * bound > most:
            _count(one, request, actions, most)


def _count(
    interaction: Interaction, request: RankRequest, actions: Sequence[Action], most: int
) -> None:
    context = len(features_of(bytes(request.context), "$.context").names)
    slot = max((len(features_of(bytes(raw)).names) for raw in request.slot_features), default=0)
    features = [
        1 + len(features_of(bytes(action.features), f"$.actions[{index}].features").names)
        for index, action in enumerate(actions)
    ]
    # What the policy adds by itself: an action's id, a slot's position.
    each = interaction.products(context=context, slot=slot + 1, slots=request.slots)
    found = each * sum(n**interaction.action for n in features)
    if found > most:
        raise RecordError(
            f"{found} products of features would be looked at ({context} of the context, "
            f"{sum(features)} of {len(actions)} actions), must be at most {most} - at `$.actions`"
        )
