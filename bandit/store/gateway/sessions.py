"""Handles that stay: temporary tables and settings of a `session_id`."""

import threading
from collections.abc import Callable, Iterable

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

    def discard(self, key: Key) -> None:
        """Close a borrowed session instead of giving it back."""
        with self._lock:
            self._sessions.pop(key).handle.close()

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


class Lease:
    """A session in the hands of one request, which may bring settings and a database of its own.

    A real server forgets those after the request; on a handle they would stay: a leaked
    `insert_deduplication_token` drops every later insert without a word.
    """

    def __init__(self, sessions: Sessions, key: Key, handle: Handle, timeout_s: float) -> None:
        self._sessions = sessions
        self._key = key
        self._handle = handle
        self._timeout_s = timeout_s
        self._names: tuple[str, ...] = ()
        self._changed: dict[str, str] = {}
        self._database = ""

    def remember(self, names: Iterable[str]) -> None:
        """Keep what the session says of these settings, and its database."""
        self._database = self._handle.text("SELECT currentDatabase()")
        found = self._handle.run(b"SHOW CHANGED SETTINGS LIKE '%'", "JSONCompactEachRow")
        for line in found.data.splitlines():
            name, _, value = msgspec.json.decode(line, type=tuple[str, str, str])
            self._changed[name] = value
        self._names = tuple(names)

    def end(self) -> None:
        """Put it back and give the session back; one that can not be put right is closed."""
        try:
            self._restore()
        except Exception:
            self._sessions.discard(self._key)
            raise
        self._sessions.give_back(self._key, self._timeout_s)

    def _restore(self) -> None:
        before = {name: self._changed[name] for name in self._names if name in self._changed}
        for name in self._names:
            if name not in before:
                self._handle.run(f"SET {name} = DEFAULT".encode(), "TSV")
        self._handle.set(before)
        if self._database:
            self._handle.use(self._database)
