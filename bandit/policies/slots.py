"""What a policy is told of the slot, by its `slot_model`.

| model | asked for slot s | learns from slot s |
| --- | --- | --- |
| `shared` | once, without a slot | without a slot |
| `position` | once, as for slot 0 | with `position = s` |
| `ccb` | for each slot, with `position = s` and its features | with the same |
"""

from collections.abc import Sequence

from bandit.specs import PolicySpec

TOP = b'{"position":"0"}'


def asked_slot(spec: PolicySpec, slot: int, features: Sequence[bytes]) -> bytes:
    """What the policy is asked with for a slot.

    Args:
        spec: Its `slot_model` decides.
        slot: 0 is the top.
        features: Of the slots as the request brought them, a JSON object each; may be fewer.
    """
    if spec.slot_model == "shared":
        return b""
    return TOP if spec.slot_model == "position" else _of(slot, features)


def learned_slot(spec: PolicySpec, slot: int, features: Sequence[bytes]) -> bytes:
    """What a lesson of that slot carries.

    >>> ccb = PolicySpec(key="p", type="vw", surface="s", slot_model="ccb")
    >>> learned_slot(ccb, 1, [b"{}", b'{"size":"big"}'])
    b'{"position":"1","given":{"size":"big"}}'
    """
    if spec.slot_model == "shared":
        return b""
    return _of(slot, features if spec.slot_model == "ccb" else ())


def _of(slot: int, features: Sequence[bytes]) -> bytes:
    if slot < len(features):
        return b'{"position":"%d","given":%b}' % (slot, bytes(features[slot]))
    return b'{"position":"%d"}' % slot
