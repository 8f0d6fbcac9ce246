import msgspec
import pytest

from bandit.errors import RecordError
from bandit.wire import RankRequest, check_unique


def test_features_are_kept_as_the_clients_own_bytes() -> None:
    features = b'{ "x" : 1.0, "y":"\\u00fc"}'
    body = b'{"surface":"s","unit_id":"u","actions":[{"id":"a","features":' + features + b"}]}"
    request = msgspec.json.decode(body, type=RankRequest)
    assert bytes(request.actions[0].features) == features


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"surface":"s","unit_id":"u","actions":[{"id":""}]}', r"at `\$.actions\[0\].id`"),
        (b'{"surface":"s","unit_id":"","actions":[{"id":"a"}]}', r"at `\$.unit_id`"),
        (b'{"surface":"s","unit_id":"u","actions":[{"id":"a"}],"slots":0}', r"at `\$.slots`"),
        (b'{"surface":"s","unit_id":"u","actions":[{"id":"a"}],"color":0}', "unknown field"),
        (b'{"surface":"S","unit_id":"u","actions":[{"id":"a"}]}', r"at `\$.surface`"),
        (b'{"unit_id":"u","actions":[{"id":"a"}]}', "missing required field `surface`"),
    ],
)
def test_a_bad_request_is_told_its_place(body: bytes, reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.json.decode(body, type=RankRequest)


def test_a_repeated_action_is_told_its_place() -> None:
    check_unique(["a", "b"])
    with pytest.raises(RecordError, match=r"action id 'a' is repeated.*\$.actions\[2\].id"):
        check_unique(["a", "b", "a"])
