"""API keys as digests, in versions that are only ever added; and when each was last used."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from bandit.errors import RecordError, StoreUnavailable, VersionConflict
from bandit.records import Record
from bandit.store.client import ONE_ORDER, Store
from bandit.wire import Key

KIND = "key"
"""What errors call it."""
Scope = Literal["rank", "reward", "read", "admin"]
SCOPES: tuple[Scope, ...] = ("rank", "reward", "read", "admin")
KeyId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}$(?!\n)")]


class ApiKey(Record, frozen=True, kw_only=True):
    """What is known of a key; its text is not.

    Attributes:
        key_id: The part of its text that names it.
        version: Counts its changes: 1, 2, 3 …
        project: Whose definitions and log it sees.
        client: The program that holds it.
        digest: SHA-256 of its text, hex; `repr` leaves it out.
        scopes: What it may do.
        rate_limit: Requests a second and worker; None: as the settings say for all.
        expires_ms: From then on it is good for nothing; None: never.
        created_ms: When this version was made.
        author: Who made this version.
    """

    key_id: KeyId
    version: int
    project: Key
    client: Key
    digest: str
    scopes: tuple[Scope, ...]
    rate_limit: float | None = None
    expires_ms: int | None = None
    revoked: bool = False
    created_ms: int
    author: str

    def __post_init__(self) -> None:
        if not self.scopes or len(set(self.scopes)) < len(self.scopes):
            raise RecordError(f"scopes are {list(self.scopes)}, must be at least one of {SCOPES}")
        if self.rate_limit is not None and not self.rate_limit > 0:
            raise RecordError(f"rate_limit is {self.rate_limit!r}, must be above 0")

    def __repr__(self) -> str:
        """Without the digest: what is not there can not end in a log."""
        return f"ApiKey({self.key_id!r}, project={self.project!r}, client={self.client!r})"

    def is_live(self, now_ms: int) -> bool:
        """Whether it is good for anything."""
        return not self.revoked and (self.expires_ms is None or now_ms < self.expires_ms)


class Keys:
    """All keys."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, key: ApiKey, *, change_id: str) -> None:
        """Store a new version of a key.

        Args:
            key: Its version is the newest there is, plus one.
            change_id: Of this change and no other.

        Raises:
            VersionConflict: Somebody else changed it first.
            StoreUnavailable: The outcome is unknown: `all` tells.
        """
        [(have,)] = self._store.rows("key_newest_version", key_id=key.key_id)
        if have + 1 != key.version:
            raise VersionConflict(KIND, key.key_id, have=have, given=key.version - 1)
        self._insert(key, change_id)
        winner = self._store.rows("key_winner", key_id=key.key_id, version=key.version)
        if not winner:
            raise StoreUnavailable(f"key {key.key_id} was not stored")
        if winner != [(change_id,)]:
            raise VersionConflict(KIND, key.key_id, have=key.version, given=key.version - 1)

    def all(self) -> list[ApiKey]:
        """The newest version of every key, by id.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        names = (
            "key_id",
            "version",
            "project",
            "client",
            "digest",
            "scopes",
            "rate_limit",
            "expires_ms",
            "revoked",
            "created_ms",
            "author",
        )
        rows = self._store.rows("keys_newest")
        return [msgspec.convert(dict(zip(names, row, strict=True)), ApiKey) for row in rows]

    def revision(self) -> int:
        """A number that changes when any key does; cheap enough to ask all the time.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        [(count,)] = self._store.rows("keys_count")
        return int(count)

    def uses(self) -> dict[str, int]:
        """When each key was last used, by id, as far as any host has said.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return dict(self._store.rows("key_uses_newest"))

    def note_uses(self, host: str, used_ms: Mapping[str, int]) -> None:
        """Say when keys were last used on a host.

        Raises:
            StoreUnavailable: Perhaps it was not noted.
        """
        self._store.insert(
            "key_uses",
            {
                "key_id": list(used_ms),
                "host": [host] * len(used_ms),
                "used_at": list(used_ms.values()),
            },
            settings={"insert_deduplicate": 0},
        )

    def _insert(self, key: ApiKey, change_id: str) -> None:
        self._store.insert(
            "keys",
            {
                "key_id": [key.key_id],
                "version": [key.version],
                "change_id": [change_id],
                "project": [key.project],
                "client": [key.client],
                "digest": [key.digest],
                "scopes": [list(key.scopes)],
                "rate_limit": [key.rate_limit],
                "expires_at": [key.expires_ms],
                "revoked": [key.revoked],
                "created_at": [key.created_ms],
                "author": [key.author],
            },
            # A repeated row does no harm here; a remembered token whose row was lost would.
            settings={**ONE_ORDER, "insert_deduplicate": 0},
        )
