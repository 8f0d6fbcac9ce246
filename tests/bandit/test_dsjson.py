"""Vowpal Wabbit's joined log."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.dsjson import Line, LoggedSlot, read_line, written
from bandit.errors import RecordError

CB = Line(
    event_id="e-1",
    ts_ms=1_790_000_000_123,
    context={"country": "US", "user": {"age": 3}},
    actions=(("a1", {"topic": "go"}), ("a2", {}), ("a3", {"new": True})),
    slots=(
        LoggedSlot(
            order=(1, 0, 2),
            probabilities=(0.5, 0.3, 0.2),
            propensity=0.5,
            reward=1.0,
            observed=True,
        ),
    ),
    model="feed@41",
)
CCB = msgspec.structs.replace(
    CB,
    slots=(
        LoggedSlot(
            id="0",
            features={"size": "big"},
            order=(1, 0, 2),
            probabilities=(0.5, 0.3, 0.2),
            propensity=0.5,
            reward=-0.5,
            observed=True,
        ),
        LoggedSlot(id="1", order=(2,), probabilities=(0.4,), propensity=0.4, reward=0.0),
        LoggedSlot(id="2"),
    ),
)
# As Personalizer wrote it, from its documents.
PERSONALIZER = (
    b'{"_label_cost":-0.0,"_label_probability":0.9,"_label_Action":1,"_labelIndex":0,"o":[],'
    b'"Timestamp":"2019-11-08T01:08:27.9460000Z","Version":"1","EventId":"75d6-1",'
    b'"a":[1,2],"c":{"FromUrl":[{"time":"Night"},{"device":{"os":"Mac"}}],"_multi":'
    b'[{"_tag":"pasta","i":{"constant":1,"id":"pasta"},"j":[{"taste":"salty"},{"level":5}]},'
    b'{"_tag":"soup","i":{"constant":1,"id":"soup"},"j":[{"taste":"bland"}]}]},'
    b'"p":[0.9,0.1],"VWState":{"m":"680344/1"},"DeferredAction":false}'
)


@pytest.mark.parametrize("line", [CB, CCB], ids=["cb", "ccb"])
def test_line_comes_back(line: Line) -> None:
    assert read_line(written(line)) == line


def test_line_has_the_fields_that_vw_looks_for() -> None:
    fields = msgspec.json.decode(written(CB))
    assert fields["_label_cost"] == -1.0
    assert (fields["_label_Action"], fields["_labelIndex"]) == (2, 1)
    assert (fields["a"], fields["p"]) == ([2, 1, 3], [0.5, 0.3, 0.2])
    assert fields["Timestamp"] == "2026-09-21T14:13:20.123Z"
    assert fields["c"]["_multi"][0] == {
        "_tag": "a1",
        "i": {"constant": 1, "id": "a1"},
        "j": [{"topic": "go"}],
    }


def test_line_of_personalizer_is_read() -> None:
    line = read_line(PERSONALIZER)
    assert line.context == {"time": "Night", "device": {"os": "Mac"}}
    assert line.actions == (
        ("pasta", {"taste": "salty", "level": 5}),
        ("soup", {"taste": "bland"}),
    )
    assert line.ts_ms == 1_573_175_307_946
    [slot] = line.slots
    assert (slot.order, slot.propensity, slot.reward, slot.observed) == ((0, 1), 0.9, 0.0, False)


def test_actions_without_ids_are_called_by_their_places() -> None:
    fields = msgspec.json.decode(PERSONALIZER)
    fields["c"]["_multi"] = [{"TAction": {"a1": "f1"}}, {"TAction": {"a2": "f2"}}]
    line = read_line(msgspec.json.encode(fields))
    assert line.actions == (("1", {"TAction": {"a1": "f1"}}), ("2", {"TAction": {"a2": "f2"}}))


def test_texts_in_lists_are_the_features_that_they_are_for_our_policies() -> None:
    line = msgspec.structs.replace(CB, context={"tags": ["go", 3], "_own": 1, "._x": 2})
    shared = msgspec.json.decode(written(line))["c"]["FromUrl"][0]
    assert shared == {"tags=go": 1, "tags.1": 3, "._own": 1, ".._x": 2}
    assert read_line(written(line)).context == {"tags=go": 1, "tags.1": 3, "_own": 1, "._x": 2}


def changed(**changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(PERSONALIZER) | changes)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{}", "has no 'c'"),
        (changed(pdrop=1), "pdrop is 1, must be in [0, 1)"),
        (changed(p=[0.9]), "must be different ones of 2"),
        (changed(a=[1, 3]), "must be different ones of 2"),
        (changed(a=[2, 1]), "must be the first of 'a'"),
        (changed(p=[0.9, 0.9]), "sum to 1.8"),
        (changed(p=[0.7, 0.3]), "propensity is 0.9"),
        (changed(_label_probability=0, p=[0, 1]), "propensity is 0.0"),
        (changed(_label_cost="1"), "_label_cost is '1'"),
        (changed(_label_cost=None), "_label_cost is None"),
        (changed(Timestamp="yesterday"), "Invalid isoformat"),
        (changed(EventId=7), "EventId is 7"),
        (changed(c={"_multi": []}), "must be different ones of 0"),
        (changed(_outcomes=[]), "_outcomes is empty"),
    ],
)
def test_what_is_no_joined_decision_is_refused_with_the_reason(raw: bytes, says: str) -> None:
    with pytest.raises(RecordError) as refused:
        read_line(raw)
    assert says in str(refused.value)


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(field=st.sampled_from(sorted(msgspec.json.decode(PERSONALIZER))), value=values)
@settings(deadline=None, max_examples=300)
def test_any_value_of_any_field_is_read_or_refused(field: str, value: object) -> None:
    try:
        raw = changed(**{field: value})
    except (UnicodeEncodeError, OverflowError):
        return
    try:
        line = read_line(raw)
    except RecordError:
        return
    assert line.slots
