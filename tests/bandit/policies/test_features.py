import contextlib
import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import RecordError
from bandit.policies import check_features
from bandit.policies.features import LARGEST, LONGEST, MOST, features_of
from bandit.records import Action

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


def flat(**members: object) -> dict[str, float]:
    features = features_of(json.dumps(members).encode())
    return dict(zip(features.names, features.values, strict=True))


@pytest.mark.parametrize(
    ("value", "features"),
    [
        (3, {"x": 3.0}),
        (-2.5, {"x": -2.5}),
        (0, {"x": 0.0}),
        (True, {"x": 1.0}),
        (False, {"x": 0.0}),
        (None, {}),
        ("go", {"x=go": 1.0}),
        ("", {"x=": 1.0}),
        (["a", "b"], {"x=a": 1.0, "x=b": 1.0}),
        ([0.5, 7], {"x.0": 0.5, "x.1": 7.0}),
        (["a", 2], {"x=a": 1.0, "x.1": 2.0}),
        ([], {}),
        ({}, {}),
        ({"y": {"z": {"w": 1}}, "v": "t"}, {"x.y.z.w": 1.0, "x.v=t": 1.0}),
        ("a|b c:1\n\t\x00", {"x=a|b c:1\n\t\x00": 1.0}),
        (LARGEST, {"x": 4e9}),
        (-4_000_000_000, {"x": -4e9}),
        ("x" * LONGEST, {"x=" + "x" * LONGEST: 1.0}),
    ],
)
def test_json_becomes_names_and_numbers(value, features):
    assert flat(x=value) == features


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"x":1e39}', "feature is 1e+39, must be in [-4e+09, 4e+09] - at `$.x`"),
        (b'{"x":4000000001}', "feature is 4e+09, must be in [-4e+09, 4e+09] - at `$.x`"),
        (b'{"x":-1e300}', "feature is -1e+300, must be in [-4e+09, 4e+09] - at `$.x`"),
        (b'{"x":1%s}' % (b"0" * 400), "feature is beyond 1e308, must be in [-4e+09, 4e+09]"),
        (b'{"x":[1,1e39]}', "feature is 1e+39, must be in [-4e+09, 4e+09] - at `$.x.1`"),
        (b'{"x":[true]}', "item is true, must be a string or a number - at `$.x[0]`"),
        (b'{"x":["a",null]}', "item is null, must be a string or a number - at `$.x[1]`"),
        (b'{"x":[[1]]}', "item is [1], must be a string or a number - at `$.x[0]`"),
        (b'{"a":{"b":{"c":{"d":{}}}}}', "object is 5 deep, must be at most 4 - at `$.a.b.c.d`"),
        (b'{"":1}', "name has 0 characters, must have 1 to 1000 - at `$.''`"),
        (b'{"a\\nb":1e39}', "must be in [-4e+09, 4e+09] - at `$.'a\\nb'`"),
        (b"[]", "features are not a JSON object: Expected `object`, got `array` - at `$`"),
        (b"null", "features are not a JSON object: Expected `object`, got `null` - at `$`"),
        (b"", "features are not a JSON object: Input data was truncated - at `$`"),
        (b'{"x":NaN}', "features are not a JSON object: JSON is malformed"),
        (b'{"x":1e999}', "features are not a JSON object: Number out of range - at `$`"),
        (b'{"x":1} 2', "features are not a JSON object: JSON is malformed"),
        (b'{"x":"\xff"}', "features are not a JSON object: 'utf-8' codec can't decode"),
        (b'{"x":"\\ud800"}', "features are not a JSON object"),
        (b'{"x":' * 100_000, "features are not a JSON object"),
    ],
)
def test_what_no_policy_may_see_is_refused_with_its_place(raw, message):
    with pytest.raises(RecordError) as caught:
        features_of(raw)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 250


def test_lengths_and_numbers_are_limited():
    assert len(flat(**{f"x{i}": i for i in range(MOST)})) == MOST
    with pytest.raises(RecordError, match="over 1000 features"):
        flat(**{f"x{i}": i for i in range(MOST + 1)})
    with pytest.raises(RecordError, match="over 1000 features"):
        flat(a={f"x{i}": i for i in range(600)}, b={f"x{i}": i for i in range(600)})
    with pytest.raises(RecordError, match="array has 1001 items"):
        flat(x=[0] * (MOST + 1))
    with pytest.raises(RecordError, match="text has 1001 characters"):
        flat(x="x" * (LONGEST + 1))
    with pytest.raises(RecordError, match="name has 1001 characters"):
        flat(**{"x" * (LONGEST + 1): 1})
    with pytest.raises(RecordError, match="name has 1003 characters"):
        flat(a={"b": {"x" * 999: 1}})


def test_the_last_member_of_a_name_wins():
    assert features_of(b'{"x":1,"x":2}').values == (2.0,)


def test_the_place_names_the_action_or_the_context():
    actions = [Action.of("a", x=1), Action.of("b", x=[None])]
    with pytest.raises(RecordError, match=r"at `\$.actions\[1\].features.x\[0\]`"):
        check_features(b"{}", actions)
    with pytest.raises(RecordError, match=r"at `\$.actions\['\{0\}'\].x`"):  # once a format string
        features_of(b'{"x":1e39}', "$.actions['{0}']")
    with pytest.raises(RecordError, match=r"at `\$.context.hour`"):
        check_features(b'{"hour":1e39}', actions[:1])


def test_features_seen_before_are_not_parsed_again():
    raw = b'{"seen":"before"}'
    assert features_of(raw) is features_of(bytes(bytearray(raw)))


def test_an_action_whose_features_change_is_checked_again():
    check_features(b"{}", [Action.of("changing", x=1)])
    with pytest.raises(RecordError, match="must be a string or a number"):
        check_features(b"{}", [Action.of("changing", x=[None])])
    check_features(b"{}", [Action.of("changing", x=2)])


def test_what_is_remembered_does_not_hold_on_to_the_request():
    body = bytearray(b'[{"id":"held","features":{"x":1}}]')
    actions = msgspec.json.decode(body, type=list[Action])
    check_features(b"{}", actions)
    del actions
    body.extend(b" " * 4096)  # raises BufferError while anything points into it


@given(JSON)
def test_any_json_is_taken_or_refused(value):
    raw = json.dumps(value).encode()
    try:
        features = features_of(raw)
    except RecordError:
        return
    assert isinstance(value, dict)
    assert len(features.names) == len(features.values)
    assert all(math.isfinite(number) and abs(number) <= LARGEST for number in features.values)
    assert all(isinstance(number, float) for number in features.values)


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(raw):
    with contextlib.suppress(RecordError):  # anything else fails
        features_of(raw)


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20)))
def test_every_character_of_names_and_texts_is_kept(members):
    features = features_of(json.dumps(members).encode())
    assert features.names == tuple(f"{name}={text}" for name, text in members.items())
