"""Vowpal Wabbit's joined log (DSJSON): a decision and what it earned, one JSON object a line.

A decision with one slot is a contextual-bandit line (`vw --dsjson --cb_explore_adf`), one with
several is a line of outcomes (`vw --dsjson --ccb_explore_adf`). Both as Personalizer wrote them:

```
{"_label_cost": -reward, "_label_probability": p, "_label_Action": 1-based, "_labelIndex": 0-based,
 "o": [{"v": reward, …}], "Timestamp": …, "Version": "1", "EventId": …, "a": [1-based, drawn first],
 "c": {"FromUrl": [context],
       "_multi": [{"_tag": id, "i": {"constant": 1, "id": id}, "j": [features]}]},
 "p": [of a, in its order], "VWState": {"m": "policy@snapshot"}, "_skipLearn": false}

{…, "c": {…, "_slots": [{"_id": slot, …features}]},
 "_outcomes": [{"_label_cost": …, "_id": slot, "_a": [0-based, drawn first], "_p": […], "_o": […]}]}
```
VW reads no text inside an array and takes names that begin with `_` for its own: `"tags": ["go"]`
is written `"tags=go": 1` (the feature it is for our policies, too), and `_x` as `._x`.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from bandit.errors import RecordError

_ENCODE = msgspec.json.Encoder().encode
_DECODER = msgspec.json.Decoder(dict[str, Any])
SUM_TOLERANCE = 1e-3
"""Written probabilities are rounded, by some writers to four digits."""


class LoggedSlot(msgspec.Struct, frozen=True, kw_only=True):
    """One slot of a line.

    Attributes:
        id: Empty for the one slot of a contextual-bandit line.
        order: Indices into the actions, the drawn one first.
        probabilities: Of `order`; may end after the drawn one below the top slot.
        propensity: With which the first of `order` was drawn.
        reward: None where the line has no label for it.
        observed: A reward came back; else the reward is the default.
    """

    id: str = ""
    features: dict[str, Any] = {}
    order: tuple[int, ...] = ()
    probabilities: tuple[float, ...] = ()
    propensity: float = 1.0
    reward: float | None = None
    observed: bool = False


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One decision with what it earned.

    Attributes:
        actions: (id, features) of the candidates that could be drawn.
        slots: At least one.
        model: `policy@snapshot`.
        skip_learn: What users saw was not what was drawn with these probabilities.
        dropped: Probability with which such a line was left out of the log (`pdrop`).
    """

    event_id: str
    ts_ms: int
    context: dict[str, Any]
    actions: tuple[tuple[str, dict[str, Any]], ...]
    slots: tuple[LoggedSlot, ...]
    model: str = ""
    skip_learn: bool = False
    dropped: float = 0.0


def written(line: Line) -> bytes:
    """A line, without its end."""
    fields: dict[str, Any] = {}
    if len(line.slots) == 1:
        fields |= _cb_label(line, line.slots[0])
    time = datetime.fromtimestamp(line.ts_ms / 1000, UTC).isoformat(timespec="milliseconds")
    context: dict[str, Any] = {
        "FromUrl": [_plain(line.context)],
        "_multi": [
            {"_tag": id_, "i": {"constant": 1, "id": id_}, "j": [_plain(features)]}
            for id_, features in line.actions
        ],
    }
    fields |= {
        "Timestamp": time.replace("+00:00", "Z"),
        "Version": "1",
        "EventId": line.event_id,
        "c": context,
    }
    if len(line.slots) == 1:
        fields["a"] = [index + 1 for index in line.slots[0].order]
        fields["p"] = line.slots[0].probabilities
    else:
        context["_slots"] = [{"_id": s.id, **_plain(s.features)} for s in line.slots]
        fields["_outcomes"] = [_outcome(slot) for slot in line.slots]
    fields |= {"VWState": {"m": line.model}, "_skipLearn": line.skip_learn}
    return _ENCODE(fields)


def read_line(raw: bytes) -> Line:
    """A line.

    Raises:
        RecordError: It is none, or does not say what a decision must.
    """
    try:
        fields = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise RecordError(f"line is no JSON object: {exc}") from exc
    try:
        return _line(fields)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
        if isinstance(exc, RecordError):
            raise
        reason = f"has no {exc.args[0]!r}" if isinstance(exc, KeyError) else str(exc)
        raise RecordError(f"line is no joined decision: {reason}") from exc


def merged(features: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One object out of several.

    Objects under one name are merged, texts under one name become a list (so that each stays a
    feature, as it was); of anything else the last wins.

    >>> merged([{"user": {"age": 3}, "tag": "a"}, {"user": {"vip": True}, "tag": "b"}])
    {'user': {'age': 3, 'vip': True}, 'tag': ['a', 'b']}
    """
    one: dict[str, Any] = {}
    for each in features:
        _merge(one, each)
    return one


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        was = into.get(name)
        if isinstance(was, dict) and isinstance(value, dict):
            into[name] = merged([was, value])
        elif isinstance(was, str) and isinstance(value, str) and was != value:
            into[name] = [was, value]
        elif isinstance(was, list) and isinstance(value, str):
            into[name] = [*was, value]
        else:
            into[name] = value


def _cb_label(line: Line, slot: LoggedSlot) -> dict[str, Any]:
    if slot.reward is None:
        return {}
    drawn = slot.order[0]
    seen = [{"v": slot.reward, "EventId": line.event_id, "ActionTaken": False}]
    return {
        "_label_cost": -slot.reward,
        "_label_probability": slot.propensity,
        "_label_Action": drawn + 1,
        "_labelIndex": drawn,
        "o": seen if slot.observed else [],
    }


def _outcome(slot: LoggedSlot) -> dict[str, Any]:
    if slot.reward is None:
        return {"_id": slot.id}
    return {
        "_label_cost": -slot.reward,
        "_id": slot.id,
        "_a": slot.order,
        "_p": slot.probabilities,
        "_o": [{"v": slot.reward, "EventId": slot.id}] if slot.observed else [],
    }


def _plain(members: dict[str, Any]) -> dict[str, Any]:
    """Features as VW can read them."""
    plain: dict[str, Any] = {}
    for given, value in members.items():
        name = f".{given}" if given.lstrip(".").startswith("_") else given
        if isinstance(value, dict):
            plain[name] = _plain(value)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                text = isinstance(item, str)
                plain[f"{name}={item}" if text else f"{name}.{index}"] = 1 if text else item
        elif value is not None:
            plain[name] = value
    return plain


def _line(fields: dict[str, Any]) -> Line:
    context = fields["c"]
    actions = tuple(_action(each, place) for place, each in enumerate(context["_multi"]))
    if len({id_ for id_, _ in actions}) < len(actions):  # only their places tell them apart
        actions = tuple((str(place + 1), each) for place, (_, each) in enumerate(actions))
    outcomes = fields.get("_outcomes")
    slots = [_cb_slot(fields)] if outcomes is None else _slots(outcomes, context.get("_slots"))
    skip_learn = bool(fields.get("_skipLearn"))
    for slot in slots:
        _check(slot, len(actions), skip_learn=skip_learn)
    if (
        slots[0].reward is not None
        and not skip_learn
        and abs(math.fsum(slots[0].probabilities) - 1) > SUM_TOLERANCE
    ):
        raise RecordError(
            f"probabilities sum to {math.fsum(slots[0].probabilities)!r}, must be 1 at the top slot"
        )
    time = datetime.fromisoformat(fields["Timestamp"])
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return Line(
        event_id=_text(fields.get("EventId") or slots[0].id, "EventId"),
        ts_ms=round(time.timestamp() * 1000),
        context=_context(context),
        actions=actions,
        slots=tuple(slots),
        model=str((fields.get("VWState") or {}).get("m", "")),
        skip_learn=skip_learn,
        dropped=_dropped(fields.get("pdrop")),
    )


def _dropped(value: object) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < 1.0:
        raise RecordError(f"pdrop is {value!r}, must be in [0, 1)")
    return float(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise RecordError(f"{name} is {value!r}, must be a text")
    return value


def _cb_slot(fields: dict[str, Any]) -> LoggedSlot:
    order = tuple(action - 1 for action in fields["a"])
    if "_label_cost" not in fields:
        return LoggedSlot(order=order, probabilities=tuple(fields["p"]))
    drawn = fields["_label_Action"] - 1
    if not order or order[0] != drawn:
        raise RecordError(f"_label_Action is {drawn + 1}, must be the first of 'a', {fields['a']}")
    return LoggedSlot(
        order=order,
        probabilities=tuple(map(float, fields["p"])),
        propensity=float(fields["_label_probability"]),
        reward=_reward(fields["_label_cost"]),
        observed=bool(fields.get("o")),
    )


def _slots(outcomes: Sequence[Any], features: Sequence[Any] | None) -> list[LoggedSlot]:
    given = features or [{}] * len(outcomes)
    slots = []
    for place, (outcome, of_slot) in enumerate(zip(outcomes, given, strict=True)):
        id_ = outcome.get("_id") or of_slot.get("_id") or str(place)
        slot = LoggedSlot(id=str(id_), features=_own(of_slot))
        if "_label_cost" not in outcome:
            slots.append(slot)
            continue
        slots.append(
            msgspec.structs.replace(
                slot,
                order=tuple(outcome["_a"]),
                probabilities=tuple(map(float, outcome["_p"])),
                propensity=float(outcome["_p"][0]),
                reward=_reward(outcome["_label_cost"]),
                observed=bool(outcome.get("_o")),
            )
        )
    if not slots:
        raise RecordError("_outcomes is empty, must hold one for every slot")
    return slots


def _reward(cost: object) -> float:
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        raise RecordError(f"_label_cost is {cost!r}, must be a number")
    return -float(cost) + 0.0  # no minus zero


def _check(slot: LoggedSlot, k: int, *, skip_learn: bool) -> None:
    order, n = slot.order, len(slot.probabilities)
    if len(order) != n or len(set(order)) < n or not all(0 <= index < k for index in order):
        raise RecordError(
            f"actions are {list(order)} with {n} probabilities, must be different ones of {k} "
            "with one each"
        )
    if not all(0.0 <= p <= 1.0 + SUM_TOLERANCE for p in slot.probabilities):
        raise RecordError(f"probabilities are {list(slot.probabilities)}, must be in [0, 1]")
    if slot.reward is None or skip_learn:
        return
    if not 0.0 < slot.propensity <= 1.0 or abs(slot.propensity - slot.probabilities[0]) > (
        SUM_TOLERANCE
    ):
        raise RecordError(
            f"propensity is {slot.propensity!r}, must be in (0, 1] and that of the drawn action, "
            f"{slot.probabilities[0]!r}"
        )


def _context(given: dict[str, Any]) -> dict[str, Any]:
    members = _own(given)
    shared = members.pop("FromUrl", None)
    parts = shared if isinstance(shared, list) else [shared] if isinstance(shared, dict) else []
    return merged([*(_own(part) for part in parts), members])


def _action(given: dict[str, Any], place: int) -> tuple[str, dict[str, Any]]:
    """Id and features; Personalizer put the features under `j` and the id under `i`."""
    members = _own(given)
    of_id = members.get("i")
    named = of_id.get("id") if isinstance(of_id, dict) else None
    if named is not None:
        del members["i"]
    features = members.pop("j", None)
    parts = features if isinstance(features, list) else [features] if features else []
    id_ = given.get("_tag") or named or place + 1
    return str(id_), merged([*(_own(part) for part in parts), members])


def _own(given: dict[str, Any]) -> dict[str, Any]:
    """Features without VW's own names, lists of objects merged, `._x` called `_x` again."""
    own: dict[str, Any] = {}
    for name, value in given.items():
        if name.startswith("_"):
            continue
        if name not in ("FromUrl", "j"):
            value = _inner(value)
        bare = name[1:] if name.startswith(".") and name.lstrip(".").startswith("_") else name
        own[bare] = value
    return own


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return _own(value)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return merged(_own(item) for item in value)
    return value
