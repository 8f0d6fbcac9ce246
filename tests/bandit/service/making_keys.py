"""Keys, and a stand-in for the store's."""

from collections.abc import Mapping

from bandit.errors import StoreUnavailable, VersionConflict
from bandit.service.keys import KeyService, MadeKey
from bandit.store.keys import ApiKey, Scope
from tests.bandit.service.making import NOW_MS, counting_entropy


class MemoryKeys:
    """`bandit.store.keys.Keys` in memory, which can go away."""

    def __init__(self) -> None:
        self.versions: list[ApiKey] = []
        self.noted: list[tuple[str, dict[str, int]]] = []
        self.away = False
        self.takes_uses = True

    def put(self, key: ApiKey, *, change_id: str) -> None:
        have = self._newest().get(key.key_id)
        if key.version != (have.version if have else 0) + 1:
            raise VersionConflict("key", key.key_id, have.version if have else 0, key.version - 1)
        self.versions.append(key)

    def all(self) -> list[ApiKey]:
        return list(self._newest().values())

    def revision(self) -> int:
        self._newest()
        return len(self.versions)

    def uses(self) -> dict[str, int]:
        return {key_id: ms for _, used in self.noted for key_id, ms in used.items()}

    def note_uses(self, host: str, used_ms: Mapping[str, int]) -> None:
        if not self.takes_uses:
            raise StoreUnavailable("read only")
        self.noted.append((host, dict(used_ms)))

    def _newest(self) -> dict[str, ApiKey]:
        if self.away:
            raise StoreUnavailable("connection refused")
        return {key.key_id: key for key in self.versions}


class Clock:
    """Now, as told."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def key_service(keys: MemoryKeys, clock: Clock | None = None) -> KeyService:
    return KeyService(
        keys,  # type: ignore[arg-type]
        now_ms=clock or Clock(),
        entropy=counting_entropy(),
        author="ann",
    )


def made(
    keys: MemoryKeys, project: str, *scopes: Scope, client: str = "web", **more: object
) -> MadeKey:
    """A new key; `keys` goes on from how many it holds, so that each is another."""
    service = KeyService(
        keys,  # type: ignore[arg-type]
        now_ms=Clock(),
        entropy=lambda n: (len(keys.versions) + 1).to_bytes(n, "big"),
        author="ann",
    )
    return service.create(project, client, scopes, **more)  # type: ignore[arg-type]
