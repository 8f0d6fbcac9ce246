"""One function mixes the floor in, one draws: the published formula of every decision.

Plain Python lists and floats: at ten candidates NumPy costs more than the arithmetic. Sums are
`math.fsum` (rounded once) or left to right by `itertools.accumulate`; the built-in `sum` would give
other last bits on Python 3.12 than on 3.11, and a replay must be equal bit for bit.
"""

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

from bandit.errors import BadPmf

TOLERANCE = 1e-6
"""How far from 1 the sum of a policy's own numbers may be."""
FLOAT32 = 2.0**-23
"""The same, per action: what a sum in float32 can lose (VW is 4e-6 off at 1,000 actions)."""

NO_PINS: Mapping[int, int] = {}

_LEAST = 1e-290
"""Less than this is next to nothing: its parts have lost the digits that a proportion needs."""
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GAMMA = 0x9E37_79B9_7F4A_7C15


def with_floor(pmf: list[float], floor: float) -> list[float]:
    """Checked and normalised probabilities of which none is below the floor.

    `floor + (1 − k·floor)·pmf`: mixing with uniform keeps the sum at 1 and the order of the
    actions; clipping and normalising again would fall below the floor again.

    >>> with_floor([1.0, 0.0, 0.0, 0.0], 0.125)
    [0.625, 0.125, 0.125, 0.125]

    Args:
        pmf: `(k,)`, k ≥ 1, what the policy says.
        floor: In `[0, 1/k]`.

    Returns:
        `(k,)`; each ≥ `floor`, and their sum is 1 to the last bits.

    Raises:
        BadPmf: A probability is not finite or not in `[0, 1]`; their sum is further from 1 than
            1e-6, or than `k` roundings to float32; or `k·floor` is above 1.
    """
    total = _total_of(pmf)
    rest = 1.0 - len(pmf) * floor
    if not (floor >= 0.0 and rest >= -1e-9):
        raise BadPmf(f"floor is {floor!r} for {len(pmf)} actions, must be in [0, 1/{len(pmf)}]")
    if floor == 0.0:
        return [p / total for p in pmf]
    scale = max(rest, 0.0) / total
    return [floor + scale * p for p in pmf]


def with_bounds(pmf: Sequence[float], least: Sequence[float], most: Sequence[float]) -> list[float]:
    """Probabilities with a least and a most of each action's own, whatever the policy says.

    First `least + (1 − Σ least)·pmf`: mixing, as for the floor, which shrinks by the same factor as
    all else. Then what is above its most is cut to it and the excess goes to the others in
    proportion to what they have (evenly, if that is next to nothing), again until none is above.
    Where all are cut and mass is left, no distribution can hold every cap: they are lifted in
    proportion.

    >>> with_bounds([0.5, 0.5, 0.0], [0.0, 0.0, 0.25], [1.0, 1.0, 1.0])
    [0.375, 0.375, 0.25]
    >>> with_bounds([0.5, 0.25, 0.25], [0.0] * 3, [0.25, 1.0, 1.0])
    [0.25, 0.375, 0.375]
    >>> with_bounds([0.5, 0.5], [0.0, 0.0], [0.25, 0.25])
    [0.5, 0.5]

    Args:
        pmf: `(k,)`, as `with_floor` gives it.
        least: `(k,)`, in `[0, 1]`, at most 1 in all.
        most: `(k,)`, each in `(0, 1]` and at least its `least`.

    Returns:
        `(k,)`; their sum is 1 to the last bits.

    Raises:
        BadPmf: As `with_floor`.
    """
    rest = max(0.0, 1.0 - math.fsum(least))
    mixed = [low + rest * p for low, p in zip(least, pmf, strict=True)]
    cut: set[int] = set()
    while True:
        above = [i for i, p in enumerate(mixed) if i not in cut and p > most[i]]
        if not above:
            return with_floor(mixed, 0.0)
        cut.update(above)
        free = [i for i in range(len(mixed)) if i not in cut]
        if not free:
            return with_floor(_normalised(most), 0.0)
        for i in above:
            mixed[i] = most[i]
        have = math.fsum(mixed[i] for i in free)
        room = max(0.0, 1.0 - math.fsum(mixed[i] for i in cut))
        for i in free:
            mixed[i] = mixed[i] * room / have if have > _LEAST else room / len(free)


def seed_of(event_id: str, salt: bytes) -> int:
    """The seed of a decision's draws: nobody without the salt can choose or foresee it.

    First 8 bytes, big-endian, of the 64-byte BLAKE2b of the event id, keyed with the salt.

    >>> seed_of("0192d6a1-7c5b-7abc-9def-0123456789ab", b"pepper")
    9348989814368248010

    Args:
        event_id: In its canonical lower-case text.
        salt: The project's secret, 1 to 64 bytes.

    Returns:
        An unsigned 64-bit number.

    Source:
        RFC 7693 (BLAKE2), section 2.9 on keyed hashing.
    """
    return int.from_bytes(hashlib.blake2b(event_id.encode(), key=salt).digest()[:8], "big")


def uniform_of(seed: int, slot: int) -> float:
    """The slot's number in `[0, 1)`: `(x >> 11)·2⁻⁵³` of output `slot` of SplitMix64(seed).

    A counter-based generator: slot 7 can be checked without drawing slots 0 to 6, and five lines
    give the same bits in any language.

    Args:
        seed: An unsigned 64-bit number.
        slot: 0 is the top.

    Source:
        Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", figure 16, with
        the constants of Vigna's `splitmix64.c`.
    """
    x = (seed + (slot + 1) * _GAMMA) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return ((x ^ (x >> 31)) >> 11) * 2.0**-53


def draw_one(weights: Sequence[float], uniform: float) -> tuple[int, float] | None:
    """Draw one of a slot's pool: (place, its propensity in (0, 1]); None if none has any weight.

    The first place whose running sum is above `uniform` × the whole sum; its weight ÷ that sum.

    >>> draw_one([0.5, 0.25], 0.7)
    (1, 0.3333333333333333)

    Args:
        weights: `(k,)`, k ≥ 1: probabilities of the actions in the pool, in offered order.
        uniform: What `uniform_of` says.
    """
    sums = list(accumulate(weights))
    total = sums[-1]
    if total <= 0.0:
        return None
    # Bounded by the first place that holds the whole sum, so that rounding can neither fall off the
    # end nor reach a trailing action of probability 0.
    place = min(bisect_right(sums, uniform * total), bisect_left(sums, total))
    return place, weights[place] / total


def draw_ranking(
    pmf: Sequence[float],
    slots: int,
    seed: int,
    blocked: Sequence[Collection[int]] = (),
    pinned: Mapping[int, int] = NO_PINS,
) -> tuple[list[int], list[float]]:
    """Draw actions one after the other, without replacement.

    Slot s takes the first action left whose running sum is above `uniform_of(seed, s)` × the sum
    over the actions left, both summed in offered order. Its propensity is its probability ÷ that
    sum: the chance it had given the slots above. What is blocked at a slot is not left there.

    A pmf with all mass on one action fixes the whole ranking: that action, then the others in
    offered order, each with propensity 1.

    >>> draw_ranking([0.5, 0.25, 0.25], 3, seed=1)
    ([1, 2, 0], [0.25, 0.3333333333333333, 1.0])
    >>> draw_ranking([1.0, 0.0, 0.0], 3, seed=1)
    ([0, 1, 2], [1.0, 1.0, 1.0])
    >>> draw_ranking([0.5, 0.25, 0.25], 2, seed=1, blocked=[{1}, {0}])
    ([0, 2], [0.6666666666666666, 0.5])

    Args:
        pmf: `(k,)`, as `with_floor` gives it.
        slots: How many to draw; never more than there are actions.
        seed: What `seed_of` says.
        blocked: Per slot, indices that can not be drawn there; may be shorter than the ranking.
        pinned: Slot → index that is given there without a draw, with propensity 1.

    Returns:
        Indices into `pmf` in slot order, and the propensity of each in `(0, 1]`. Fewer than `slots`
        if everything left is blocked.

    Raises:
        BadPmf: More slots than actions that can be drawn at all.

    Source:
        Plackett 1975, "The analysis of permutations": the probability of the whole ranking is the
        product of the propensities.
    """
    if blocked or pinned:
        return _draw_in_pools(pmf, slots, seed, blocked, pinned)
    left, weights = list(range(len(pmf))), list(pmf)
    ranking: list[int] = []
    propensities: list[float] = []
    for slot in range(min(slots, len(left))):
        place, propensity = draw_one(weights, uniform_of(seed, slot)) or (_forced(pmf, left), 1.0)
        propensities.append(propensity)
        ranking.append(left.pop(place))
        del weights[place]
    return ranking, propensities


def propensities_of(
    pmf: Sequence[float],
    ranking: Sequence[int],
    blocked: Sequence[Collection[int]] = (),
    pinned: Collection[int] = (),
) -> list[float]:
    """With which probability another policy would have drawn each slot, given the slots above.

    >>> propensities_of([0.5, 0.25, 0.25], [1, 0, 2])
    [0.25, 0.6666666666666666, 1.0]
    >>> propensities_of([1.0, 0.0, 0.0], [0, 2])  # a fixed order has 1 next
    [1.0, 0.0]
    >>> propensities_of([0.5, 0.25, 0.25], [1, 2], blocked=[{0}])
    [0.5, 0.3333333333333333]

    Args:
        pmf: `(k,)` of the other policy over the same actions, as `with_floor` gives it.
        ranking: What was drawn, indices into `pmf`, all different.
        blocked: Per slot, indices that could not be drawn there; may be shorter than the ranking.
        pinned: Slots that were given without a draw: 1, whoever draws the others.

    Returns:
        As many as `ranking`, in `[0, 1]`.

    Raises:
        BadPmf: The ranking goes on after every action that this policy could draw.
        ValueError: An index is not in `pmf`, or comes twice, or was blocked.
    """
    left, weights = list(range(len(pmf))), list(pmf)
    propensities: list[float] = []
    for slot, index in enumerate(ranking):
        place = left.index(index)
        if slot in pinned:
            propensities.append(1.0)
        elif slot < len(blocked) and blocked[slot]:
            pool = [i for i in left if i not in blocked[slot]]
            propensities.append(propensity_in(pmf, pool, index))
        else:
            *_, total = accumulate(weights)
            if total > 0.0:
                propensities.append(weights[place] / total)
            else:
                propensities.append(1.0 if place == _forced(pmf, left) else 0.0)
        del left[place], weights[place]
    return propensities


def propensity_in(pmf: Sequence[float], pool: Sequence[int], index: int) -> float:
    """The chance that `index` has among the indices in `pool`; as in `propensities_of`."""
    place = pool.index(index)
    *_, total = accumulate(pmf[i] for i in pool)
    if total > 0.0:
        return pmf[index] / total
    return 1.0 if place == _forced(pmf, pool) else 0.0


def _draw_in_pools(
    pmf: Sequence[float],
    slots: int,
    seed: int,
    blocked: Sequence[Collection[int]],
    pinned: Mapping[int, int],
) -> tuple[list[int], list[float]]:
    left = list(range(len(pmf)))
    ranking: list[int] = []
    propensities: list[float] = []
    for slot in range(min(slots, len(left))):
        index, propensity = pinned.get(slot), 1.0
        if index is None:
            gone = blocked[slot] if slot < len(blocked) else ()
            pool = [i for i in left if i not in gone]
            if not pool:
                break
            one = draw_one([pmf[i] for i in pool], uniform_of(seed, slot))
            place, propensity = one or (_forced(pmf, pool), 1.0)
            index = pool[place]
        ranking.append(index)
        propensities.append(propensity)
        left.remove(index)
    return ranking, propensities


def _normalised(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _total_of(pmf: Sequence[float]) -> float:
    """Sum of a distribution; `min`, `max` and `fsum` together let no NaN or infinity through."""
    if not pmf:
        raise BadPmf("pmf has shape (0,), must hold at least one action")
    tolerance = max(TOLERANCE, len(pmf) * FLOAT32)
    if min(pmf) >= 0.0 and max(pmf) <= 1.0 + TOLERANCE:
        total = math.fsum(pmf)
        if abs(total - 1.0) <= tolerance:
            return total
    for index, p in enumerate(pmf):
        if not 0.0 <= p <= 1.0 + TOLERANCE:
            raise BadPmf(f"pmf[{index}] is {p!r}, must be in [0, 1]")
    raise BadPmf(f"pmf sums to {math.fsum(pmf)!r}, must sum to 1 ± {tolerance:.2g}")


def _forced(pmf: Sequence[float], left: Sequence[int]) -> int:
    """The place that follows when no action left has any probability."""
    if len(left) > 1 and sum(p > 0.0 for p in pmf) > 1:
        raise BadPmf(
            f"pmf has mass on {sum(p > 0.0 for p in pmf)} of {len(pmf)} actions and all of them "
            "are drawn; the next slot must have an action that can be drawn"
        )
    return 0
