"""One function mixes the floor in, one draws: the published formula of every decision.

Plain Python lists and floats: at ten candidates NumPy costs more than the arithmetic. Sums are
`math.fsum` (rounded once) or left to right by `itertools.accumulate`; the built-in `sum` would give
other last bits on Python 3.12 than on 3.11, and a replay must be equal bit for bit.
"""

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from bandit.errors import BadPmf

TOLERANCE = 1e-6
"""How far from 1 the sum of a policy's own numbers may be."""
FLOAT32 = 2.0**-23
"""The same, per action: what a sum in float32 can lose (VW is 4e-6 off at 1,000 actions)."""

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


def draw_ranking(pmf: Sequence[float], slots: int, seed: int) -> tuple[list[int], list[float]]:
    """Draw actions one after the other, without replacement.

    Slot s takes the first action left whose running sum is above `uniform_of(seed, s)` × the sum
    over the actions left, both summed in offered order. Its propensity is its probability ÷ that
    sum: the chance it had given the slots above.

    A pmf with all mass on one action fixes the whole ranking: that action, then the others in
    offered order, each with propensity 1.

    >>> draw_ranking([0.5, 0.25, 0.25], 3, seed=1)
    ([1, 2, 0], [0.25, 0.3333333333333333, 1.0])
    >>> draw_ranking([1.0, 0.0, 0.0], 3, seed=1)
    ([0, 1, 2], [1.0, 1.0, 1.0])

    Args:
        pmf: `(k,)`, as `with_floor` gives it.
        slots: How many to draw; never more than there are actions.
        seed: What `seed_of` says.

    Returns:
        Indices into `pmf` in slot order, and the propensity of each in `(0, 1]`.

    Raises:
        BadPmf: More slots than actions that can be drawn at all.

    Source:
        Plackett 1975, "The analysis of permutations": the probability of the whole ranking is the
        product of the propensities.
    """
    left, weights = list(range(len(pmf))), list(pmf)
    ranking: list[int] = []
    propensities: list[float] = []
    for slot in range(min(slots, len(left))):
        sums = list(accumulate(weights))
        total = sums[-1]
        if total > 0.0:
            # Bounded by the first place that holds the whole sum, so that rounding can neither fall
            # off the end nor reach a trailing action of probability 0.
            place = min(
                bisect_right(sums, uniform_of(seed, slot) * total), bisect_left(sums, total)
            )
            propensities.append(weights[place] / total)
        else:
            place = _forced(pmf, left)
            propensities.append(1.0)
        ranking.append(left.pop(place))
        del weights[place]
    return ranking, propensities


def propensities_of(pmf: Sequence[float], ranking: Sequence[int]) -> list[float]:
    """With which probability another policy would have drawn each slot, given the slots above.

    >>> propensities_of([0.5, 0.25, 0.25], [1, 0, 2])
    [0.25, 0.6666666666666666, 1.0]
    >>> propensities_of([1.0, 0.0, 0.0], [0, 2])  # a fixed order has 1 next
    [1.0, 0.0]

    Args:
        pmf: `(k,)` of the other policy over the same actions, as `with_floor` gives it.
        ranking: What was drawn, indices into `pmf`, all different.

    Returns:
        As many as `ranking`, in `[0, 1]`.

    Raises:
        BadPmf: The ranking goes on after every action that this policy could draw.
        ValueError: An index is not in `pmf`, or comes twice.
    """
    left, weights = list(range(len(pmf))), list(pmf)
    propensities: list[float] = []
    for index in ranking:
        place = left.index(index)
        *_, total = accumulate(weights)
        if total > 0.0:
            propensities.append(weights[place] / total)
        else:
            propensities.append(1.0 if place == _forced(pmf, left) else 0.0)
        del left[place], weights[place]
    return propensities


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
