"""What a key may do, said to whoever brings it."""

from litestar import get
from litestar.di import NamedDependency

from bandit.records import Record
from bandit.service.key_ring import Principal


class KeyAbilities(Record, frozen=True, kw_only=True):
    """What the request's key may do.

    Attributes:
        project: Whose definitions and log it sees; null: everybody's, for nobody is asked.
        key_id: The part of its text that names it; empty if nobody is asked.
        client: The program that holds it; empty if nobody is asked.
        scopes: What it may do.
    """

    project: str | None
    key_id: str
    client: str
    scopes: tuple[str, ...]


@get("/v1/keys/self", sync_to_thread=False, tags=["keys"])
def show_own_key(principal: NamedDependency[Principal]) -> KeyAbilities:
    """Show what the key of this request may do."""
    return KeyAbilities(
        project=principal.project,
        key_id=principal.key_id,
        client=principal.client,
        scopes=tuple(sorted(principal.scopes)),
    )
