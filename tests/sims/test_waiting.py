from itertools import count

import pytest

from bandit.errors import StoreUnavailable
from sims.waiting import Stuck, Waiting


@pytest.fixture
def waiting() -> Waiting:
    """Its clock goes on by one second whenever it is read."""
    ticks = count()
    return Waiting(monotonic_s=lambda: float(next(ticks)), sleep=lambda s: None)


def test_until_returns_the_first_answer(waiting: Waiting) -> None:
    answers = iter([None, None, 7, 8])
    assert waiting.until("number", 10, lambda: next(answers)) == 7


def test_until_asks_again_while_the_store_is_away(waiting: Waiting) -> None:
    answers = iter([StoreUnavailable("away"), 7])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert waiting.until("number", 10, ask) == 7


def test_until_ends_and_says_what_it_waited_for(waiting: Waiting) -> None:
    with pytest.raises(Stuck, match="number: not yet so after 3 s"):
        waiting.until("number", 3, lambda: None)
