"""Forward-only changes of the tables: `NNNN_name.sql`, applied in order, each once.

Every statement may run twice (`IF NOT EXISTS` and the like; a test holds it), so that two
processes that start at once, or one that died half-way, do no harm. What was applied is in the
`migrations` table with its digest; a file that changed afterwards is refused.
"""

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files

from bandit.errors import StoreRejected
from bandit.store.client import Store

_NUMBERED = re.compile(r"^\d{4}_\w+\.sql$")
_CLUSTER_ONLY = "-- on a cluster only"


def migrate(store: Store) -> list[str]:
    """Make the database, and apply what was not applied yet.

    Returns:
        Names of the migrations applied now.

    Raises:
        StoreUnavailable: Nobody knows how far it came; run it again.
        StoreRejected: A statement was refused, or a file differs from what was applied.
    """
    for statement in statements(_text("ledger.sql"), cluster=store.cluster is not None):
        store.apply(statement, in_database=False)
    applied = dict(store.rows("applied_migrations"))
    return [name for name in names() if _apply(store, name, applied.get(name))]


def names() -> list[str]:
    """Every migration, in order."""
    return sorted(f.name for f in files(__name__).iterdir() if _NUMBERED.match(f.name))


def digests() -> dict[str, str]:
    """Every migration, and the digest that it is applied under."""
    return {name: _digest(name) for name in names()}


def statements(text: str, *, cluster: bool) -> Iterator[str]:
    """Split a file into statements, comments left out.

    Args:
        text: Statements that end in `;` at the end of a line.
        cluster: Whether to keep those marked `-- on a cluster only`.
    """
    for part in re.split(r";[ \t]*(?:\n|$)", text):
        lines = part.strip().splitlines()
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
        if sql and (cluster or _CLUSTER_ONLY not in lines):
            yield sql


def _apply(store: Store, name: str, applied: str | None) -> bool:
    text, digest = _text(name), _digest(name)
    if applied is not None:
        if applied != digest:
            raise StoreRejected(
                f"migration {name} was applied with digest {applied[:12]}, is {digest[:12]} now, "
                "must not change any more: add a new one"
            )
        return False
    for statement in statements(text, cluster=store.cluster is not None):
        store.apply(statement)
    store.insert("migrations", {"name": [name], "digest": [digest]}, token=f"{name}/{digest}")
    return True


def _digest(name: str) -> str:
    return hashlib.sha256(_text(name).encode()).hexdigest()


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
