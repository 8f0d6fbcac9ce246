"""The last good definitions, snapshots, catalogues and keys on disk, to start without the store.

Each file is the SHA-256 of its payload and the payload; it is written under another name, synced
and renamed, so that a reader finds the old one or the new one. A file that fails its digest is as
good as none. Every worker of a host writes the same content, so they need no lock.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bandit.records import Action, Record
from bandit.service.serving_catalogue import ServingCatalogue
from bandit.specs import SPECS
from bandit.store.definitions import Definition
from bandit.store.keys import ApiKey
from bandit.store.snapshots import Snapshot

SNAPSHOTS_KEPT = 2


class _Definition(Record, frozen=True, kw_only=True):
    kind: str
    key: str
    version: int
    created_ms: int
    author: str
    change_id: str
    spec: msgspec.Raw


class _Definitions(Record, frozen=True, kw_only=True):
    revision: int
    definitions: list[_Definition]


class _Catalogue(Record, frozen=True, kw_only=True):
    version: int
    ids: list[str]
    features: list[bytes]


class LastGood:
    """The cache under one folder."""

    def __init__(self, root: Path, *, writer: str) -> None:
        """Use a folder; it is made when something is saved.

        Args:
            root: The folder.
            writer: Name of this process, for files that are not yet whole.
        """
        self._root = root
        self._writer = writer

    def save_definitions(self, revision: int, definitions: Sequence[Definition]) -> None:
        """Keep the newest definitions. Raises `OSError` if the disk does not want them."""
        kept = _Definitions(
            revision=revision,
            definitions=[
                _Definition(
                    kind=d.kind,
                    key=d.key,
                    version=d.version,
                    created_ms=d.created_ms,
                    author=d.author,
                    change_id=d.change_id,
                    spec=msgspec.Raw(msgspec.json.encode(d.spec)),
                )
                for d in definitions
            ],
        )
        self._write(self._root / "definitions", msgspec.json.encode(kept))

    def definitions(self) -> tuple[int, list[Definition]] | None:
        """Revision and definitions that were kept last; None if there are none, or none good."""
        payload = self._read(self._root / "definitions")
        if payload is None:
            return None
        try:
            kept = msgspec.json.decode(payload, type=_Definitions)
            return kept.revision, [_definition(d) for d in kept.definitions]
        except (msgspec.DecodeError, KeyError):  # written by another version of this program
            return None

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot and forget older ones, and all before an erasure. Raises `OSError`."""
        path = self._root / "snapshots" / f"{snapshot.policy}@{snapshot.number:012d}"
        if not path.exists():
            self._write(path, msgspec.msgpack.encode(snapshot))
        for old in self._snapshots(snapshot.policy)[SNAPSHOTS_KEPT:]:
            old.unlink(missing_ok=True)
        if snapshot.erasures:
            self.drop_snapshots(snapshot.policy, snapshot.erasures)

    def drop_snapshots(self, policy: str, erasures: int, *, parts: bool = False) -> int:
        """Forget a policy's snapshots from before its `erasures`-th erasure; how many there were.

        Args:
            policy: Whose.
            erasures: How many it underwent.
            parts: Also files that are not yet whole; whoever is writing one will do it again.

        Raises:
            OSError: Some are left.
        """
        dropped_n = 0
        for path in sorted((self._root / "snapshots").glob(f"{policy}@*")):
            if path.suffix == ".part" and not parts:
                continue
            snapshot = self._decoded(path)
            if snapshot is None or snapshot.erasures < erasures:
                path.unlink(missing_ok=True)
                dropped_n += 1
        return dropped_n

    def snapshot(self, policy: str) -> Snapshot | None:
        """The newest good snapshot of a policy that was kept, if any."""
        found = (self._decoded(path) for path in self._snapshots(policy))
        return next((snapshot for snapshot in found if snapshot is not None), None)

    def save_catalogue(self, surface: str, catalogue: ServingCatalogue) -> None:
        """Keep a surface's catalogue. Raises `OSError`."""
        kept = _Catalogue(
            version=catalogue.version,
            ids=list(catalogue.actions),
            features=[bytes(action.features) for action in catalogue.actions.values()],
        )
        self._write(self._root / "catalogues" / f"{surface}@", msgspec.msgpack.encode(kept))

    def catalogues(self) -> dict[str, ServingCatalogue]:
        """Every good catalogue that was kept, by surface."""
        found: dict[str, ServingCatalogue] = {}
        for path in (self._root / "catalogues").glob("*@"):
            payload = self._read(path)
            if payload is None:
                continue
            try:
                kept = msgspec.msgpack.decode(payload, type=_Catalogue)
            except msgspec.DecodeError:
                continue
            pairs = zip(kept.ids, kept.features, strict=True)
            actions = [Action(id=id_, features=msgspec.Raw(raw)) for id_, raw in pairs]
            found[path.name[:-1]] = ServingCatalogue(kept.version, {one.id: one for one in actions})
        return found

    def save_keys(self, keys: Sequence[ApiKey]) -> None:
        """Keep the newest API keys, which are digests. Raises `OSError`."""
        self._write(self._root / "keys", msgspec.json.encode(keys))

    def keys(self) -> list[ApiKey] | None:
        """The keys that were kept last; None if there are none, or none good."""
        payload = self._read(self._root / "keys")
        try:
            return None if payload is None else msgspec.json.decode(payload, type=list[ApiKey])
        except msgspec.DecodeError:
            return None

    def _decoded(self, path: Path) -> Snapshot | None:
        payload = self._read(path)
        try:
            return None if payload is None else msgspec.msgpack.decode(payload, type=Snapshot)
        except msgspec.DecodeError:
            return None

    def _snapshots(self, policy: str) -> list[Path]:
        found = (self._root / "snapshots").glob(f"{policy}@*")
        return sorted((path for path in found if path.suffix != ".part"), reverse=True)

    def _write(self, path: Path, payload: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{self._writer}.part")
        with part.open("wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self, path: Path) -> bytes | None:
        try:
            data = path.read_bytes()
        except OSError:
            return None
        digest, payload = data[:32], data[32:]
        return payload if hashlib.sha256(payload).digest() == digest else None


def _definition(kept: _Definition) -> Definition:
    return Definition(
        kind=kept.kind,
        key=kept.key,
        version=kept.version,
        created_ms=kept.created_ms,
        author=kept.author,
        change_id=kept.change_id,
        spec=msgspec.json.decode(kept.spec, type=SPECS[kept.kind]),
    )
