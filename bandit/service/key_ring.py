"""Who asks: the key that a request brings, looked up without waiting for anybody.

A key's text is `bandit_<8 hex digits: its id>_<32 random bytes, base64url>`. Known of it is its
SHA-256 only; a slow hash would guard guessable secrets, and 256 random bits can not be guessed.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bandit.errors import StoreUnavailable
from bandit.store.keys import SCOPES, ApiKey

PREFIX = b"bandit_"
LENGTH = len(PREFIX) + 8 + 1 + 43
_NOBODY = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may do.

    Attributes:
        project: Whose definitions and log they see; None: all, for nobody was asked for a key.
        key_id: Of the key that was brought; empty without one.
        client: The program that holds it; empty without one.
        rate_limit: Requests a second and worker; None: as the settings say for all.
    """

    project: str | None
    key_id: str = ""
    client: str = ""
    scopes: frozenset[str] = field(default=frozenset(SCOPES))
    rate_limit: float | None = None

    def sees(self, project: str) -> bool:
        """Whether something of a project is there for them."""
        return self.project is None or self.project == project


ANYBODY = Principal(None)
"""Who asks where nobody is asked for a key."""


class _Held(NamedTuple):
    digest: bytes
    expires_ms: int | None
    principal: Principal


class KeyRing:
    """The keys that a worker knows; `swap` is one assignment, so readers need no lock."""

    def __init__(self) -> None:
        self._held: Mapping[bytes, _Held] | None = None
        self.used_ms: dict[str, int] = {}
        """When each key was last brought to this worker, by id."""

    @property
    def is_known(self) -> bool:
        """Whether any keys, or that there are none, were ever learned."""
        return self._held is not None

    def swap(self, keys: Iterable[ApiKey]) -> None:
        """Know these keys from now on, and no others."""
        self._held = {
            key.key_id.encode(): _Held(
                bytes.fromhex(key.digest),
                key.expires_ms,
                Principal(
                    key.project, key.key_id, key.client, frozenset(key.scopes), key.rate_limit
                ),
            )
            for key in keys
            if not key.revoked
        }

    def find(self, text: bytes, now_ms: int) -> Principal | None:
        """Who a key's text stands for; None if it is good for nothing, whatever the reason.

        Raises:
            StoreUnavailable: No keys were learned yet, so nobody can know.
        """
        if self._held is None:
            raise StoreUnavailable("keys are not loaded yet, ClickHouse must answer once")
        held = self._held.get(text[len(PREFIX) : len(PREFIX) + 8])
        digest = hashlib.sha256(text).digest()
        if not hmac.compare_digest(digest, _NOBODY if held is None else held.digest):
            return None
        assert held is not None  # no digest is all zeros
        if held.expires_ms is not None and now_ms >= held.expires_ms:
            return None
        principal = held.principal
        self.used_ms[principal.key_id] = now_ms
        return principal


def digest_of(text: str) -> str:
    """What is kept of a key's text."""
    return hashlib.sha256(text.encode()).hexdigest()
