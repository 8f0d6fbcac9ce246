"""API keys made, listed, revoked and rotated; a key's text is told once, when it is made."""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from bandit.errors import NotFound, RecordError, VersionConflict
from bandit.service.key_ring import digest_of
from bandit.store.keys import ApiKey, Keys, Scope

MOST_LIVE = 2
"""Live keys of one client: the one it uses, and the one it is about to use."""
TRIES_N = 5


class MadeKey(NamedTuple):
    """A new key, and its text, which nobody can tell again."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        """Without the text."""
        return f"MadeKey({self.key!r})"


class ListedKey(NamedTuple):
    """A key, and when it was last used as far as is known."""

    key: ApiKey
    used_ms: int | None


class KeyService:
    """Makes and ends keys; every call may block."""

    def __init__(
        self,
        keys: Keys,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        author: str,
    ) -> None:
        """Make the service.

        Args:
            keys: The store's.
            now_ms: The clock.
            entropy: n → n unpredictable bytes.
            author: Who makes the changes.
        """
        self._keys = keys
        self._now_ms = now_ms
        self._entropy = entropy
        self._author = author

    def create(
        self,
        project: str,
        client: str,
        scopes: Iterable[Scope],
        *,
        expires_ms: int | None = None,
        rate_limit: float | None = None,
    ) -> MadeKey:
        """Make a key for a client of a project.

        Raises:
            RecordError: The client has two live keys, or the key would be good for nothing.
            StoreUnavailable: Perhaps it was made, but nobody was told its text: revoke it.
        """
        now_ms = self._now_ms()
        if expires_ms is not None and expires_ms <= now_ms:
            raise RecordError(f"the key would expire {now_ms - expires_ms} ms ago, must be later")
        known = self._keys.all()
        self._check_room(known, project, client)
        taken = {key.key_id for key in known}
        key_id = self._entropy(4).hex()
        while key_id in taken:
            key_id = self._entropy(4).hex()
        secret = base64.urlsafe_b64encode(self._entropy(32)).rstrip(b"=").decode()
        text = f"bandit_{key_id}_{secret}"
        key = ApiKey(
            key_id=key_id,
            version=1,
            project=project,
            client=client,
            digest=digest_of(text),
            scopes=tuple(scopes),
            rate_limit=rate_limit,
            expires_ms=expires_ms,
            created_ms=now_ms,
            author=self._author,
        )
        self._put(key)
        if len(self._live(self._keys.all(), project, client)) > MOST_LIVE:  # another came as well
            self.revoke(key_id)
            self._check_room(self._keys.all(), project, client)
            raise RecordError("another key of the client was made at the same time, make it again")
        return MadeKey(key, text)

    def rotate(self, key_id: str, *, grace_ms: int, expires_ms: int | None = None) -> MadeKey:
        """Make a key that may do what another may, which then ends.

        Args:
            key_id: Of the one that ends.
            grace_ms: How long both are good.
            expires_ms: When the new one ends; None: never.

        Raises:
            NotFound: There is no such key.
            RecordError: It is not live, or the client has another live key already.
            VersionConflict: Somebody else changes it at the same time; both are good now.
        """
        old = self._get(key_id)
        now_ms = self._now_ms()
        if not old.is_live(now_ms):
            raise RecordError(f"key {key_id} is not live any more, must be to be rotated")
        made = self.create(
            old.project, old.client, old.scopes, expires_ms=expires_ms, rate_limit=old.rate_limit
        )
        ends_ms = min(now_ms + grace_ms, old.expires_ms or now_ms + grace_ms)
        self._put(replace(old, version=old.version + 1, expires_ms=ends_ms))
        return made

    def revoke(self, key_id: str) -> ApiKey:
        """End a key for good; again, nothing happens.

        Raises:
            NotFound: There is no such key.
            VersionConflict: Others change it again and again: it may be good still.
        """
        for attempt in range(TRIES_N):
            key = self._get(key_id)
            if key.revoked:
                return key
            revoked = replace(key, version=key.version + 1, revoked=True)
            try:
                self._put(revoked)
            except VersionConflict:
                if attempt == TRIES_N - 1:
                    raise
            else:
                return revoked
        raise AssertionError("a try returns or raises")

    def all(self) -> list[ListedKey]:
        """Every key there ever was, by project, client and age."""
        used = self._keys.uses()
        found = sorted(self._keys.all(), key=lambda k: (k.project, k.client, k.created_ms))
        return [ListedKey(key, used.get(key.key_id)) for key in found]

    def _get(self, key_id: str) -> ApiKey:
        for key in self._keys.all():
            if key.key_id == key_id:
                return key
        raise NotFound(f"key {key_id[:20]!r} is not known, `bandit keys list` tells those that are")

    def _put(self, key: ApiKey) -> None:
        changed = replace(key, created_ms=self._now_ms(), author=self._author)
        self._keys.put(changed, change_id=self._entropy(8).hex())

    def _live(self, keys: Iterable[ApiKey], project: str, client: str) -> Sequence[ApiKey]:
        now_ms = self._now_ms()
        return [
            key
            for key in keys
            if (key.project, key.client) == (project, client) and key.is_live(now_ms)
        ]

    def _check_room(self, keys: Iterable[ApiKey], project: str, client: str) -> None:
        live = self._live(keys, project, client)
        if len(live) >= MOST_LIVE:
            ids = ", ".join(key.key_id for key in live)
            raise RecordError(
                f"client {client!r} of project {project!r} has {len(live)} live keys ({ids}), must "
                f"have at most {MOST_LIVE}: revoke one first"
            )
