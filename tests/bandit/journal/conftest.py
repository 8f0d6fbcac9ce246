import pytest

from tests.bandit.journal.fakes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
