"""A question to the service: its body, how its answer is read, and what is answered without it."""

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

import msgspec

from bandit.client.answers import Assignments, Given, Ranking, Reason
from bandit.errors import RecordError
from bandit.records import Action
from bandit.wire import AssignedVariant

OFFERED_ORDER: Final = "offered order"
"""The default that shows the actions as they were offered."""
Default = Sequence[str] | Literal["offered order"]
Offered = Action | Mapping[str, Any]
"""An action: `Action.of("a1", topic="go")` or `{"id": "a1", "features": {"topic": "go"}}`."""
DefaultVariant = str | tuple[str, Any]
"""A variant's key, or the key and the payload."""

A = TypeVar("A", Ranking, Assignments)


def plain(value: object) -> object:
    """What JSON has no word for by itself, such as a number of NumPy's or a frozen mapping.

    Raises:
        TypeError: It can not be sent.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(
        f"value of type {type(value).__name__} can not be sent, must be what JSON can hold"
    )


encode = msgspec.json.Encoder(enc_hook=plain).encode


class Question(NamedTuple, Generic[A]):
    """One question.

    Attributes:
        read: Makes the answer of the service's; raises `msgspec.DecodeError` if it is none.
        default: Makes the answer without the service.
        overrides: Makes the exposure to send if the service may have decided and the default was
            shown; None if there is nothing to override.
    """

    path: str
    body: bytes
    within_s: float
    read: Callable[[bytes], A]
    default: Callable[[Reason], A]
    overrides: Callable[[], bytes] | None = None
    surface: str = ""


class _Slot(msgspec.Struct, gc=False):
    id: str
    propensity: float


class _Variant(msgspec.Struct, gc=False):
    key: str
    variant: str


class _RankAnswer(msgspec.Struct):
    """What is read of an answer; a newer service may say more."""

    event_id: str
    ranking: list[_Slot]
    experiment: _Variant | None = None
    policy: str = ""
    snapshot: str = ""
    logged: bool = True
    token: str | None = None


class _Assigned(msgspec.Struct):
    key: str
    variant: str
    payload: Any = None


class _AssignmentAnswer(msgspec.Struct):
    assignments: list[_Assigned]


_rank_answer = msgspec.json.Decoder(_RankAnswer)
_assignment_answer = msgspec.json.Decoder(_AssignmentAnswer)


def served_ranking(content: bytes, surface: str) -> Ranking:
    """The service's answer.

    Raises:
        msgspec.DecodeError: It is none.
    """
    answer = _rank_answer.decode(content)
    if not answer.ranking:
        raise msgspec.DecodeError("the ranking is empty")
    chose = answer.experiment
    return Ranking(
        ids=tuple([slot.id for slot in answer.ranking]),
        source="served",
        event_id=answer.event_id,
        surface=surface,
        propensities=tuple([slot.propensity for slot in answer.ranking]),
        experiment=AssignedVariant(key=chose.key, variant=chose.variant) if chose else None,
        policy=answer.policy,
        snapshot=answer.snapshot,
        logged=answer.logged,
        token=answer.token or "",
    )


def served_assignments(
    content: bytes, unit_id: str, default: Mapping[str, DefaultVariant]
) -> Assignments:
    """The service's answer, and the defaults of what it does not name; raises as above."""
    variants = _given(default, "not assigned")
    for one in _assignment_answer.decode(content).assignments:
        variants[one.key] = Given(variant=one.variant, payload=one.payload, source="served")
    return Assignments(unit_id=unit_id, variants=variants, source="served")


def default_assignments(
    unit_id: object, default: Mapping[str, DefaultVariant], reason: Reason
) -> Assignments:
    """The defaults of every experiment; what is no default is left out."""
    variants = _given(default, reason)
    return Assignments(
        unit_id=unit_id if isinstance(unit_id, str) else "",
        variants=variants,
        source="default",
        reason=reason,
    )


def check_variants(default: object) -> None:
    """Refuse what is no mapping from experiments to variants.

    Raises:
        RecordError: Saying what it must be.
    """
    if not isinstance(default, Mapping) or not all(map(_is_default, default.items())):
        raise RecordError(
            f"default is {_short(default)}, must map an experiment's key to a variant's, "
            "or to (variant, payload)"
        )


def _is_default(item: tuple[object, object]) -> bool:
    key, variant = item
    pair = isinstance(variant, tuple) and len(variant) == 2 and isinstance(variant[0], str)
    return isinstance(key, str) and (pair or isinstance(variant, str))


def _given(default: object, reason: Reason) -> dict[str, Given]:
    if not isinstance(default, Mapping):
        return {}
    return {
        key: Given(variant=given, reason=reason)
        if isinstance(given, str)
        else Given(variant=given[0], payload=given[1], reason=reason)
        for key, given in default.items()
        if _is_default((key, given))
    }


def default_ids(
    default: object, offered: Sequence[str], slots: object, exclude: object
) -> tuple[str, ...]:
    """What to show without the service: never more than `slots`, never what is excluded.

    A default that is none counts as the offered order.

    >>> default_ids(["a", "b", "c"], (), 2, ["a"])
    ('b', 'c')
    >>> default_ids("offered order", ("x", "y"), 1, ())
    ('x',)
    """
    gone = set(filter(_is_text, exclude)) if isinstance(exclude, (list, tuple, set)) else set()
    given = default if _is_ids(default) else offered
    most = slots if isinstance(slots, int) and slots > 0 else 1
    return tuple(id_ for id_ in given if id_ not in gone)[:most]  # type: ignore[attr-defined]


def check_default(default: object, offered: Sequence[str]) -> None:
    """Refuse what is no default answer.

    Raises:
        RecordError: Saying what it must be.
    """
    if default == OFFERED_ORDER and not _is_ids(default):
        if not offered:
            raise RecordError(
                f"default is {OFFERED_ORDER!r} and the request names no actions, "
                "must be a list of ids"
            )
    elif not _is_ids(default) or not default:
        raise RecordError(
            f"default is {_short(default)}, must be a list of ids or {OFFERED_ORDER!r}"
        )


def offered_ids(actions: object, action_ids: object) -> tuple[str, ...]:
    """Ids that a request names, in their order; what has none is left out."""
    if isinstance(action_ids, (list, tuple)) and action_ids:
        return tuple(filter(_is_text, action_ids))
    if not isinstance(actions, (list, tuple)):
        return ()
    return tuple(
        id_
        for action in actions
        if isinstance(
            id_ := action.id
            if isinstance(action, Action)
            else action.get("id")
            if isinstance(action, (dict, Mapping))
            else None,
            str,
        )
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_ids(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_text, value))


def _short(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:80]!r}"
