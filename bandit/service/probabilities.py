"""The pmf that is drawn from: floored, checked, and rounded to what the log keeps."""

import struct
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from bandit.policies import with_floor
from bandit.policies.base import Policy
from bandit.policies.pmf import with_bounds
from bandit.policies.slots import asked_slot
from bandit.records import Action
from bandit.specs import PolicySpec, Rules


class Asked:
    """A policy, asked for the pmfs of one decision.

    Attributes:
        by_slot: Each slot has a prediction of its own over the actions left for it; else all are
            drawn from the one of slot 0.
    """

    __slots__ = (
        "_context", "_floor", "_given", "_policy", "_rules", "_slot_features", "_spec", "by_slot"
    )  # fmt: skip

    def __init__(
        self,
        policy: Policy,
        spec: PolicySpec,
        floor: float,
        context: bytes,
        rules: Rules,
        slot_features: Sequence[bytes | msgspec.Raw] = (),
    ) -> None:
        """Ask nothing yet.

        Args:
            policy: As its snapshot has it.
            spec: Its type and slot model decide how it is asked.
            floor: That is mixed in.
            context: JSON as sent.
            rules: Of the surface; `least` and `most` are mixed in after the floor, except into a
                `fixed` policy, which draws nothing.
            slot_features: Of the request, top slot first.
        """
        self._policy = policy
        self._spec = spec
        self._floor = floor
        self._context = context
        self._slot_features = slot_features
        self._rules = rules if (rules.least or rules.most) and spec.type != "fixed" else None
        self._given = rules
        self.by_slot = spec.slot_model == "ccb"

    def of(self, policy: Policy, spec: PolicySpec) -> "Asked":
        """Another policy, asked the same."""
        return Asked(policy, spec, spec.floor, self._context, self._given, self._slot_features)

    def pmf(self, actions: Sequence[Action], slot: int = 0) -> tuple[float, ...]:
        """Probabilities over `actions`, which are left for the slot, `(k,)`, in float32.

        They are rounded before the draw, not after it: so the log holds exactly what was drawn
        from, and a draw can be repeated from the log alone.

        Raises:
            BadPmf: The policy gave something that is no distribution.
        """
        if self._spec.slot_model == "shared":
            mixed = with_floor(self._policy.pmf(self._context, actions), self._floor)
        else:
            told = asked_slot(self._spec, slot, self._slot_features)
            mixed = with_floor(self._policy.pmf(self._context, actions, told), self._floor)
        if self._rules is not None:
            mixed = _bounded(mixed, self._rules, actions)
        floats = _floats(len(mixed))
        return floats.unpack(floats.pack(*mixed))


def _bounded(pmf: list[float], rules: Rules, actions: Sequence[Action]) -> list[float]:
    ids = [action.id for action in actions]
    if rules.least.keys().isdisjoint(ids) and rules.most.keys().isdisjoint(ids):
        return pmf
    least_of, most_of = rules.least.get, rules.most.get
    return with_bounds(pmf, [least_of(id_, 0.0) for id_ in ids], [most_of(id_, 1.0) for id_ in ids])


def spread(pmf: Sequence[float], eligible: Sequence[int], k: int) -> tuple[float, ...]:
    """Put a pmf over the eligible actions back among all `k` offered ones, which get 0.

    >>> spread((0.25, 0.75), eligible=(0, 2), k=3)
    (0.25, 0.0, 0.75)
    """
    full = [0.0] * k
    for index, probability in zip(eligible, pmf, strict=True):
        full[index] = probability
    return tuple(full)


def pack(pmf: Sequence[float]) -> bytes:
    """A pmf as the log keeps it: little-endian float32."""
    return _floats(len(pmf)).pack(*pmf)


@lru_cache(maxsize=1024)
def _floats(k: int) -> struct.Struct:
    return struct.Struct(f"<{k}f")
