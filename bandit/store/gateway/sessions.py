"""Handles that stay: temporary tables and settings of a `session_id`."""

import threading
from collections.abc import Callable, Mapping

import msgspec

from bandit.store.gateway.engine import Engine, Handle
from bandit.store.gateway.refusal import Refusal

Key = tuple[str, str]
"""(user, session_id): nobody meets somebody else's session."""


class _Session(msgspec.Struct):
    handle: Handle
    expires_s: float
    busy: bool = True


class Sessions:
    """Named handles with an expiry; used from many threads."""

    def __init__(self, engine: Engine, *, now_s: Callable[[], float], limit: int) -> None:
        self._engine = engine
        self._now_s = now_s
        self._limit = limit
        self._lock = threading.Lock()
        self._sessions: dict[Key, _Session] = {}

    def borrow(self, key: Key, *, must_exist: bool) -> Handle:
        """The session's handle, for one request.

        Raises:
            Refusal: It is busy (373), does not exist (372), or all there may be are busy (202).
        """
        self.expire()
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                if must_exist:
                    raise Refusal(372, "SESSION_NOT_FOUND", f"Session {key[1]} not found")
                self._make_room()
                session = _Session(self._engine.open(), 0.0)
                self._sessions[key] = session
            elif session.busy:
                raise Refusal(
                    373, "SESSION_IS_LOCKED", f"Session {key[1]} is locked by a concurrent client"
                )
            session.busy = True
            return session.handle

    def give_back(self, key: Key, timeout_s: float) -> None:
        """End of the request: the session lives `timeout_s` from now."""
        with self._lock:
            session = self._sessions[key]
            session.busy = False
            session.expires_s = self._now_s() + timeout_s

    def expire(self) -> None:
        """Close the sessions whose time is over."""
        now_s = self._now_s()
        with self._lock:
            over = [k for k, s in self._sessions.items() if not s.busy and s.expires_s <= now_s]
            for key in over:
                self._sessions.pop(key).handle.close()

    def _make_room(self) -> None:
        """If there are too many, close the idle one that would expire first.

        clickhouse-connect makes a session for every client unless told otherwise, and has no way
        to end one.
        """
        if len(self._sessions) < self._limit:
            return
        idle = [(s.expires_s, key) for key, s in self._sessions.items() if not s.busy]
        if not idle:
            raise Refusal(
                202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"all of {self._limit} sessions are busy"
            )
        self._sessions.pop(min(idle)[1]).handle.close()

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for session in self._sessions.values():
                session.handle.close()
            self._sessions.clear()


class Remembered:
    """A session's settings and database before a request that brings its own.

    A real server forgets the URL's settings after the request; on a handle they would stay:
    a leaked `insert_deduplication_token` drops every later insert without a word.
    """

    def __init__(self, handle: Handle, settings: Mapping[str, str], database: str) -> None:
        self._handle = handle
        self._names = tuple(settings)
        self._changed: dict[str, str] = {}
        self._database = handle.text("SELECT currentDatabase()") if database else ""
        if settings:
            for line in handle.text("SHOW CHANGED SETTINGS LIKE '%'").splitlines():
                name, _, value = line.split("\t", 2)
                self._changed[name] = value

    def restore(self) -> None:
        """Put them back."""
        before = {name: self._changed[name] for name in self._names if name in self._changed}
        for name in self._names:
            if name not in before:
                self._handle.run(f"SET {name} = DEFAULT".encode(), "TSV")
        self._handle.set(before)
        if self._database:
            self._handle.use(self._database)
