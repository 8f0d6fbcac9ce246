"""Who may come in, and what they may do there: passwords, addresses, keys; without Streamlit."""

import hashlib
import hmac
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from dashboard.writing import Answer, Who

MOST_WRONG = 5
"""So many wrong guesses of one address in a minute, and the next ones are not looked at."""
MOST_WRONG_IN_ALL = 100
WINDOW_S = 60.0
FRESH_S = 5.0
"""How long it takes until a revoked key ends here, too."""
USABLE_S = 600.0
"""So long a key counts as it was known last, while the API is away."""
KEPT = 1000


def is_password(given: str, right: str) -> bool:
    """Whether two passwords are one; how long it takes tells nothing about how near it was."""
    return hmac.compare_digest(_digest(given), _digest(right))


def is_allowed(email: object, allowed: str, *, is_verified: bool = True) -> bool:
    """Whether somebody whom the provider knows may come in.

    Args:
        email: As the provider says it.
        allowed: Addresses, `@example.org` for all of a domain, `*` for everybody; with commas.
        is_verified: False if the provider says that it never checked the address.

    >>> [is_allowed("Mia@Example.org", a) for a in ("@example.org", "x@y.z, mia@example.org", "")]
    [True, True, False]
    >>> is_allowed("mia@example.org.evil.com", "@example.org")
    False
    """
    rules = {rule.strip().lower() for rule in allowed.split(",")} - {""}
    if "*" in rules:
        return True
    if not isinstance(email, str) or not is_verified:
        return False
    _, at, domain = email.lower().rpartition("@")
    return bool(at) and (email.lower() in rules or f"@{domain}" in rules)


class Attempts:
    """Wrong guesses of the last minute; threads share it."""

    def __init__(self, *, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._wrong: deque[tuple[float, str]] = deque()
        self._guard = threading.Lock()

    def wait_s(self, address: str) -> float:
        """How long an address must wait before it may guess again; 0: it may now."""
        now_s = self._monotonic_s()
        with self._guard:
            while self._wrong and self._wrong[0][0] <= now_s - WINDOW_S:
                self._wrong.popleft()
            mine = [at_s for at_s, who in self._wrong if who == address]
            every = [at_s for at_s, _ in self._wrong]
        waits = [
            found[-most] + WINDOW_S - now_s
            for found, most in ((mine, MOST_WRONG), (every, MOST_WRONG_IN_ALL))
            if len(found) >= most
        ]
        return max(waits, default=0.0)

    def note_wrong(self, address: str) -> None:
        """Remember that an address guessed wrong."""
        with self._guard:
            self._wrong.append((self._monotonic_s(), address))


class _Known(NamedTuple):
    who: Who | None
    problem: str
    asked_s: float
    told_s: float
    """When the API itself said so."""


class KeyBook:
    """What keys may do, as the API said a moment ago; threads share it."""

    def __init__(
        self,
        ask: Callable[[str], tuple[Who | None, Answer]],
        *,
        monotonic_s: Callable[[], float],
    ) -> None:
        """Know nothing yet.

        Args:
            ask: The API, about a key; the empty one stands for none.
            monotonic_s: A clock that never goes back.
        """
        self._ask = ask
        self._monotonic_s = monotonic_s
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._guard = threading.Lock()

    def who(self, key: str) -> tuple[Who | None, str]:
        """What a key may do; None and why, if it is good for nothing or nobody can know."""
        name = _digest(key)
        with self._guard:
            known = self._known.get(name)
        if known is None or self._monotonic_s() >= known.asked_s + FRESH_S:
            known = self._learn(key, known)
            with self._guard:
                self._known[name] = known
                self._known.move_to_end(name)
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
        return known.who, known.problem

    def _learn(self, key: str, before: _Known | None) -> _Known:
        who, answer = self._ask(key)
        now_s = self._monotonic_s()
        if who is not None or answer.status in (401, 403, 404):
            return _Known(who, "" if who else answer.in_words, now_s, now_s)
        if before is not None and before.who and now_s < before.told_s + USABLE_S:
            return before._replace(asked_s=now_s)
        return _Known(None, answer.in_words, now_s, now_s)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
