from typing import cast

import pytest

from bandit.store.gateway.engine import Answer, Engine, Handle
from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.sessions import Lease, Sessions

KEY = ("default", "s")


class FakeHandle:
    def __init__(self) -> None:
        self.is_open = True
        self.ran: list[str] = []
        self.failure: Refusal | None = None

    def run(self, sql: bytes, fmt: str) -> Answer:
        if self.failure:
            raise self.failure
        self.ran.append(sql.decode())
        return Answer(b'["max_threads","UInt64","4"]\n', {})

    def text(self, sql: str) -> str:
        return "default"

    def set(self, settings: dict[str, str]) -> None:
        self.ran.append(str(settings))

    def use(self, database: str) -> None:
        self.ran.append(f"USE {database}")

    def close(self) -> None:
        self.is_open = False


class FakeEngine:
    def __init__(self) -> None:
        self.opened: list[FakeHandle] = []

    def open(self) -> Handle:
        self.opened.append(FakeHandle())
        return cast(Handle, self.opened[-1])


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def sessions(engine: FakeEngine, clock: Clock) -> Sessions:
    return Sessions(cast(Engine, engine), now_s=clock, limit=2)


def test_a_session_keeps_its_handle(sessions: Sessions) -> None:
    first = sessions.borrow(KEY, must_exist=False)
    sessions.give_back(KEY, 60)
    assert sessions.borrow(KEY, must_exist=True) is first


def test_sessions_of_two_users_are_two(sessions: Sessions) -> None:
    mine = sessions.borrow(("a", "s"), must_exist=False)
    assert sessions.borrow(("b", "s"), must_exist=False) is not mine


def test_a_session_is_locked_while_it_is_used(sessions: Sessions) -> None:
    sessions.borrow(KEY, must_exist=False)
    with pytest.raises(Refusal, match="SESSION_IS_LOCKED"):
        sessions.borrow(KEY, must_exist=False)


def test_an_idle_session_expires_and_is_closed(
    sessions: Sessions, engine: FakeEngine, clock: Clock
) -> None:
    sessions.borrow(KEY, must_exist=False)
    clock.now_s = 100.0  # used for long: no expiry meanwhile
    sessions.expire()
    sessions.give_back(KEY, 60)
    clock.now_s = 159.9
    sessions.expire()
    assert engine.opened[0].is_open
    clock.now_s = 160.0
    sessions.expire()
    assert not engine.opened[0].is_open
    with pytest.raises(Refusal, match="SESSION_NOT_FOUND"):
        sessions.borrow(KEY, must_exist=True)


def test_a_new_session_takes_the_place_of_the_idle_one_that_expires_first(
    sessions: Sessions, engine: FakeEngine
) -> None:
    for name, timeout_s in (("a", 60), ("b", 30)):
        sessions.borrow(("default", name), must_exist=False)
        sessions.give_back(("default", name), timeout_s)
    sessions.borrow(("default", "c"), must_exist=False)
    assert [handle.is_open for handle in engine.opened] == [True, False, True]


def test_the_number_of_busy_sessions_is_bounded(sessions: Sessions) -> None:
    for name in "ab":
        sessions.borrow(("default", name), must_exist=False)
    with pytest.raises(Refusal, match="all of 2 sessions are busy") as caught:
        sessions.borrow(("default", "c"), must_exist=False)
    assert caught.value.status == 503


def leased(sessions: Sessions, handle: Handle) -> Lease:
    lease = Lease(sessions, KEY, handle, 60)
    lease.remember(["max_threads", "insert_deduplication_token"])
    return lease


def test_a_requests_settings_and_database_are_put_back(
    sessions: Sessions, engine: FakeEngine
) -> None:
    leased(sessions, sessions.borrow(KEY, must_exist=False)).end()
    assert engine.opened[0].ran[-3:] == [
        "SET insert_deduplication_token = DEFAULT",
        "{'max_threads': '4'}",
        "USE default",
    ]
    assert sessions.borrow(KEY, must_exist=True)


def test_a_session_that_can_not_be_put_right_is_closed(
    sessions: Sessions, engine: FakeEngine
) -> None:
    lease = leased(sessions, sessions.borrow(KEY, must_exist=False))
    engine.opened[0].failure = Refusal(1, "X", "x")
    with pytest.raises(Refusal):
        lease.end()
    assert not engine.opened[0].is_open
    with pytest.raises(Refusal, match="SESSION_NOT_FOUND"):
        sessions.borrow(KEY, must_exist=True)


def test_closing_closes_every_handle(sessions: Sessions, engine: FakeEngine) -> None:
    for name in "ab":
        sessions.borrow(("default", name), must_exist=False)
    sessions.close()
    assert [handle.is_open for handle in engine.opened] == [False, False]
