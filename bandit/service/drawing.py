"""The draw where some slots are not free: pins, diversity, a prediction for each slot.

All indices here are into the eligible actions. The pool of a slot is what is eligible, minus what
the slots above show, minus what is blocked there: actions that are pinned further down, and actions
too much like those that the ranking holds or will hold by pins. A propensity is conditional on the
pool. A pin whose slot nobody can fill up to (the pool of a slot above is empty) moves up to that
slot: pins are always shown, and the ranking ends after them.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from bandit.errors import RecordError
from bandit.policies.cache import Generations
from bandit.policies.features import features_of
from bandit.policies.pmf import draw_one, propensities_of, propensity_in, uniform_of
from bandit.records import Action
from bandit.service.probabilities import Asked
from bandit.specs import Diversity, Rules
from bandit.wire import Pin, RankRequest

Value = tuple[str, float]
"""A feature's value, as `bandit.policies.features` names it."""


class Drawn(NamedTuple):
    """A ranking and what there is to say of its slots.

    Attributes:
        blocked: Per slot; empty if nothing was blocked anywhere.
        pinned: Slots that were given, ascending.
    """

    ranking: Sequence[int]
    propensities: Sequence[float]
    blocked: tuple[tuple[int, ...], ...] = ()
    pinned: tuple[int, ...] = ()


def pins_of(request: RankRequest, rules: Rules, actions: Sequence[Action]) -> dict[int, int]:
    """Slot → index of the action that sits there.

    The request's pins come first; a pin of the surface is ignored where one of them has its slot or
    its action, where its action is not eligible, and below the slots that are asked for.

    Args:
        request: Its pins and the number of slots.
        rules: Of the surface.
        actions: The eligible ones.

    Raises:
        RecordError: A pin of the request can not hold.
    """
    pins: dict[int, int] = {}
    if not (request.pins or rules.pins):
        return pins
    places = {action.id: index for index, action in enumerate(actions)}
    for place, pin in enumerate(request.pins):
        _check_pin(pin, place, request, places, pins)
        pins[pin.slot] = places[pin.id]
    taken = set(pins.values())
    for pin in rules.pins:
        index = places.get(pin.id)
        if index is not None and index not in taken and pin.slot < request.slots:
            pins.setdefault(pin.slot, index)
    return pins


def _check_pin(
    pin: Pin,
    place: int,
    request: RankRequest,
    places: Mapping[str, int],
    pins: Mapping[int, int],
) -> None:
    if pin.slot >= request.slots:
        raise RecordError(
            f"pin has slot {pin.slot}, must be below the {request.slots} slots that are asked for "
            f"- at `$.pins[{place}].slot`"
        )
    if pin.slot in pins:
        raise RecordError(
            f"slot {pin.slot} is pinned twice, must be once - at `$.pins[{place}].slot`"
        )
    index = places.get(pin.id)
    if index is None:
        raise RecordError(
            f"pin names {pin.id!r}, must be an action that is offered and not excluded "
            f"- at `$.pins[{place}].id`"
        )
    if index in pins.values():
        raise RecordError(
            f"action {pin.id!r} is pinned twice, must be once - at `$.pins[{place}].id`"
        )


def draw_in_pools(
    asked: Asked,
    pmf: Sequence[float],
    actions: Sequence[Action],
    *,
    slots: int,
    seed: int,
    pins: Mapping[int, int],
    diversity: Sequence[Diversity],
) -> Drawn:
    """Fill slots from their pools, top first.

    Args:
        asked: Gives the predictions of slots below the top, if its policy has one for each.
        pmf: What `asked` says for slot 0 over all of `actions`.
        actions: The eligible ones.
        slots: How many at most.
        seed: What `seed_of` says.
        pins: Slot → index.
        diversity: Of the surface's rules.
    """
    rest = _Rest(asked, pmf, actions)
    # One slot is like no other: nothing to count.
    alike = _Alike(diversity if pins or slots > 1 else (), actions)
    for index in pins.values():
        alike.take(index)
    waiting = dict(pins)
    drawn: list[tuple[int, float, tuple[int, ...], bool]] = []
    for slot in range(min(slots, len(actions))):
        if slot in waiting:
            drawn.append((rest.take(waiting.pop(slot)), 1.0, (), True))
            continue
        gone = alike.full.union(waiting.values())
        one = rest.draw(slot, gone, uniform_of(seed, slot))
        if one is not None:
            barred = tuple(i for i in rest.left if i in gone)
            drawn.append((rest.take(one[0]), one[1], barred, False))
            alike.take(one[0])
        elif waiting:
            drawn.append((rest.take(waiting.pop(min(waiting))), 1.0, (), True))
        else:
            break
    blocked = tuple(barred for _, _, barred, _ in drawn)
    return Drawn(
        ranking=[index for index, _, _, _ in drawn],
        propensities=[propensity for _, propensity, _, _ in drawn],
        blocked=blocked if any(blocked) else (),
        pinned=tuple(slot for slot, (_, _, _, given) in enumerate(drawn) if given),
    )


def judge(
    asked: Asked, pmf: Sequence[float], actions: Sequence[Action], drawn: Drawn
) -> tuple[float, ...]:
    """With which probability another policy would have filled each slot, from the same pools.

    Args:
        asked: The other policy.
        pmf: What it says for slot 0 over all of `actions`.
        actions: The eligible ones.
        drawn: What was shown.

    Raises:
        BadPmf: The ranking goes on after every action that this policy could draw.
    """
    if not asked.by_slot:
        return tuple(propensities_of(pmf, drawn.ranking, drawn.blocked, drawn.pinned))
    rest = _Rest(asked, pmf, actions)
    found = []
    for slot, index in enumerate(drawn.ranking):
        if slot in drawn.pinned:
            found.append(1.0)
        else:
            found.append(rest.propensity(slot, drawn.blocked[slot] if drawn.blocked else (), index))
        rest.take(index)
    return tuple(found)


def top_of(pmf: Sequence[float], drawn: Drawn) -> int:
    """The likeliest of the actions that could be drawn at the top; the first of several.

    >>> top_of([0.5, 0.3, 0.2], Drawn([1], [0.6], blocked=((0,),)))
    1
    """
    gone = drawn.blocked[0] if drawn.blocked else ()
    return max((i for i in range(len(pmf)) if i not in gone), key=pmf.__getitem__)


def placed(drawn: Drawn, indices: Sequence[int]) -> Drawn:
    """The same with indices into all offered actions.

    Args:
        drawn: With indices into the eligible ones.
        indices: Of those among the offered ones.
    """
    return Drawn(
        [indices[index] for index in drawn.ranking],
        drawn.propensities,
        tuple(tuple(indices[index] for index in barred) for barred in drawn.blocked),
        drawn.pinned,
    )


class _Rest:
    """What the slots above have left, and with which weights it is drawn."""

    def __init__(self, asked: Asked, pmf: Sequence[float], actions: Sequence[Action]) -> None:
        self._asked = asked
        self._pmf = pmf
        self._actions = actions
        # All mass on one action: nothing is drawn, the offered order holds.
        self._in_order = sum(p > 0.0 for p in pmf) == 1
        self.left = list(range(len(actions)))

    def take(self, index: int) -> int:
        self.left.remove(index)
        return index

    def draw(self, slot: int, gone: Collection[int], uniform: float) -> tuple[int, float] | None:
        """An action and its propensity; None if there is none to draw."""
        pool = self._pool(gone)
        if not pool:
            return None
        one = draw_one(self._weights(slot, pool), uniform)
        if one is None:
            return (pool[0], 1.0) if self._in_order else None
        return pool[one[0]], one[1]

    def propensity(self, slot: int, gone: Collection[int], index: int) -> float:
        pool = self._pool(gone)
        if slot == 0:
            return propensity_in(self._pmf, pool, index)
        return propensity_in(self._weights(slot, pool), range(len(pool)), pool.index(index))

    def _pool(self, gone: Collection[int]) -> list[int]:
        return [i for i in self.left if i not in gone] if gone else self.left

    def _weights(self, slot: int, pool: Sequence[int]) -> Sequence[float]:
        if slot == 0 or not self._asked.by_slot:
            return [self._pmf[i] for i in pool]
        if len(pool) < 2:
            return [1.0] * len(pool)
        return self._asked.pmf([self._actions[i] for i in pool], slot)


class _Alike:
    """Counts what the ranking holds of each value.

    Attributes:
        full: Indices of the actions that have a value of which the ranking holds its most.
    """

    def __init__(self, diversity: Sequence[Diversity], actions: Sequence[Action]) -> None:
        self.full: set[int] = set()
        self._most = [one.most for one in diversity]
        self._values = [
            [_values_of(bytes(action.features), one.feature) for action in actions]
            for one in diversity
        ]
        self._held: list[Counter[Value]] = [Counter() for _ in diversity]

    def take(self, index: int) -> None:
        """Count an action that the ranking holds."""
        for most, values, held in zip(self._most, self._values, self._held, strict=True):
            for value in values[index]:
                held[value] += 1
                if held[value] == most:
                    self.full.update(i for i, has in enumerate(values) if value in has)


def _values_of(raw: bytes, feature: str) -> frozenset[Value]:
    """The values of a feature: one for a number, a text or a truth value, more for a list."""
    known = _known.get((raw, feature))
    if known is None:
        found = features_of(raw)
        known = frozenset(
            (name, value)
            for name, value in zip(found.names, found.values, strict=True)
            if name == feature or name.startswith(f"{feature}=")
        )
        _known.put((raw, feature), known)
    return known


# Pure functions of the bytes, so it does not matter who asked.
_KNOWN_BYTES = 8 * 1024 * 1024
_known: Generations[tuple[bytes, str], frozenset[Value]] = Generations(
    _KNOWN_BYTES, weigh=lambda key: 300 + len(key[0])
)
