"""Event tokens: golden values, what they are bound to, and how keys are replaced."""

import hashlib
import hmac
from base64 import urlsafe_b64encode

import pytest

from bandit.errors import BadToken
from bandit.event_id import make_event_id, surface_tag
from bandit.service.tokens import ACCEPTED_MS, TokenKey, Tokens, check_keys
from tests.bandit.service.making import NOW_MS, SALT

OLD = TokenKey(kid="k-01", secret="01" * 32, signs_from_ms=0)
NEW = TokenKey(kid="k-02", secret="02" * 32, signs_from_ms=NOW_MS)
NEXT = TokenKey(kid="k-03", secret="03" * 32, signs_from_ms=NOW_MS + 60_000)
EVENT = make_event_id(NOW_MS, surface_tag("home.feed"), b"123456", SALT)
OTHER = make_event_id(NOW_MS, surface_tag("home.feed"), b"123457", SALT)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([OLD], salt=SALT)


def test_token_is_what_the_published_formula_says(tokens: Tokens) -> None:
    unit = urlsafe_b64encode(
        hashlib.blake2b(b"user-0", digest_size=9, key=SALT, person=b"token-unit").digest()
    ).decode()
    text = f"k-01{unit}{EVENT}home.feed".encode()
    mac = urlsafe_b64encode(hmac.digest(b"\x01" * 32, text, "sha256")[:18]).decode()
    assert tokens.sign(EVENT, "home.feed", "user-0", NOW_MS) == f"k-01{unit}{mac}"


def test_token_tells_the_same_unit_as_another_of_it(tokens: Tokens) -> None:
    first = tokens.sign(EVENT, "home.feed", "user-0", NOW_MS)
    second = tokens.sign(OTHER, "home.feed", "user-0", NOW_MS)
    assert first != second
    assert tokens.read(first, EVENT, "home.feed", NOW_MS) == tokens.unit("user-0")
    assert tokens.read(second, OTHER, "home.feed", NOW_MS) == tokens.unit("user-0")
    assert tokens.unit("user-0") != tokens.unit("user-1")
    assert "user-0" not in first


@pytest.mark.parametrize(
    ("event_id", "surface"), [(OTHER, "home.feed"), (EVENT, "home.hero"), (EVENT, "home.fee")]
)
def test_token_of_another_decision_is_refused(tokens: Tokens, event_id: str, surface: str) -> None:
    token = tokens.sign(EVENT, "home.feed", "user-0", NOW_MS)
    with pytest.raises(BadToken):
        tokens.read(token, event_id, surface, NOW_MS)


def test_no_character_of_a_token_can_be_another(tokens: Tokens) -> None:
    token = tokens.sign(EVENT, "home.feed", "user-0", NOW_MS)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= .é\n\0"
    for place, there in enumerate(token):
        for other in alphabet:
            if other != there:
                altered = token[:place] + other + token[place + 1 :]
                with pytest.raises(BadToken):
                    tokens.read(altered, EVENT, "home.feed", NOW_MS)


@pytest.mark.parametrize("token", [None, "", "k-01", "k-01" * 10, "é" * 40, "x" * 2_000_000])
def test_rubbish_is_refused(tokens: Tokens, token: str | None) -> None:
    with pytest.raises(BadToken):
        tokens.read(token, EVENT, "home.feed", NOW_MS)


def test_token_of_another_project_is_refused(tokens: Tokens) -> None:
    other = Tokens([TokenKey(kid="k-01", secret="ff" * 32, signs_from_ms=0)], salt=b"salt")
    with pytest.raises(BadToken):
        tokens.read(other.sign(EVENT, "home.feed", "user-0", NOW_MS), EVENT, "home.feed", NOW_MS)


def test_key_is_accepted_before_it_signs_and_after_it_signed_until_no_window_is_open() -> None:
    before, after = Tokens([OLD], salt=SALT), Tokens([OLD, NEW, NEXT], salt=SALT)
    ahead = Tokens([NEXT], salt=SALT).sign(EVENT, "home.feed", "u", NOW_MS)
    assert after.read(ahead, EVENT, "home.feed", NOW_MS)  # from a host whose clock is ahead
    old = before.sign(EVENT, "home.feed", "u", NOW_MS)
    assert after.read(old, EVENT, "home.feed", NOW_MS + ACCEPTED_MS - 1)
    with pytest.raises(BadToken):
        after.read(old, EVENT, "home.feed", NOW_MS + ACCEPTED_MS)


def test_keys_sign_one_after_the_other() -> None:
    tokens = Tokens([OLD, NEW, NEXT], salt=SALT)
    times = (NOW_MS - 1, NOW_MS, NOW_MS + 59_999, NOW_MS + 60_000, NOW_MS + 10**9)
    kids = [tokens.sign(EVENT, "home.feed", "u", now_ms)[:4] for now_ms in times]
    assert kids == ["k-01", "k-02", "k-02", "k-03", "k-03"]


def test_key_that_was_taken_away_is_refused_at_once() -> None:
    tokens = Tokens([OLD], salt=SALT)
    token = tokens.sign(EVENT, "home.feed", "u", NOW_MS)
    tokens.use([NEW])
    with pytest.raises(BadToken):
        tokens.read(token, EVENT, "home.feed", NOW_MS)


def test_secret_is_in_no_repr() -> None:
    assert "01" * 32 not in repr([OLD]) + str(OLD)


@pytest.mark.parametrize(
    ("keys", "says"),
    [([], "at least one"), ([OLD, OLD], "different"), ([NEW, OLD], "must ascend")],
)
def test_keys_that_can_not_be_used_are_refused(keys: list[TokenKey], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_keys(keys)
