import pytest

from dashboard.access import (
    FRESH_S,
    MOST_WRONG,
    MOST_WRONG_IN_ALL,
    USABLE_S,
    WINDOW_S,
    Attempts,
    KeyBook,
    is_allowed,
    is_password,
)
from dashboard.writing import Answer, Who

READER = Who(project="shop", client="web", scopes=frozenset({"read"}))


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Api:
    """Says of every key what it was told to say."""

    def __init__(self, who: Who | None, answer: Answer) -> None:
        self.told = who, answer
        self.asked: list[str] = []

    def __call__(self, key: str) -> tuple[Who | None, Answer]:
        self.asked.append(key)
        return self.told


def test_only_the_password_is_the_password():
    assert is_password("hush", "hush")
    for wrong in ("", "hus", "hush ", "Hush", "\ud800"):
        assert not is_password(wrong, "hush")


@pytest.mark.parametrize("email", [None, "", "mia", "@example.org.evil", "mia@evil.org", 3])
def test_nobody_comes_in_whom_no_rule_names(email: object):
    assert not is_allowed(email, "@example.org,ann@x.y")


def test_an_address_that_the_provider_never_checked_lets_nobody_in():
    assert is_allowed("mia@example.org", "@example.org")
    assert not is_allowed("mia@example.org", "@example.org", is_verified=False)


def test_after_a_few_wrong_guesses_an_address_waits():
    clock = Clock()
    attempts = Attempts(monotonic_s=clock)
    for _ in range(MOST_WRONG):
        assert attempts.wait_s("a") == 0
        clock.now_s += 1
        attempts.note_wrong("a")
    assert attempts.wait_s("a") == pytest.approx(WINDOW_S - MOST_WRONG + 1)
    assert attempts.wait_s("b") == 0
    clock.now_s += attempts.wait_s("a")
    assert attempts.wait_s("a") == 0


def test_guesses_from_many_addresses_are_limited_in_all():
    attempts = Attempts(monotonic_s=Clock())
    for n in range(MOST_WRONG_IN_ALL):
        attempts.note_wrong(f"a{n}")
    assert attempts.wait_s("another") == WINDOW_S


def test_a_key_is_asked_about_once_in_a_while():
    clock, api = Clock(), Api(READER, Answer(200))
    book = KeyBook(api, monotonic_s=clock)
    assert [book.who("k") for _ in range(3)] == [(READER, "")] * 3
    assert api.asked == ["k"]
    clock.now_s += FRESH_S
    api.told = None, Answer(401, problem="an API key that is good now must be brought")
    assert book.who("k") == (None, "an API key that is good now must be brought")


def test_while_the_api_is_away_a_key_counts_as_it_was_known_last_but_not_for_ever():
    clock, api = Clock(), Api(READER, Answer(200))
    book = KeyBook(api, monotonic_s=clock)
    book.who("k")
    api.told = None, Answer(0, problem="the API does not answer")
    clock.now_s += USABLE_S - 1
    assert book.who("k") == (READER, "")
    clock.now_s += FRESH_S
    assert book.who("k") == (None, "the API does not answer")
    assert book.who("never seen") == (None, "the API does not answer")
