"""Parameters of the policies that are our own: a dictionary in the spec, a frozen struct here."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from bandit.errors import BadSpec
from bandit.records import Record

P = TypeVar("P", bound="Parameters")
PLACE = "$.parameters"

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Ids = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Parameters(Record, frozen=True, kw_only=True):
    """Base of every type's parameters."""

    @property
    def text(self) -> str:
        """All of them, defaults too, in their canonical spelling."""
        return msgspec.json.encode(self).decode()


def read_parameters(kind: type[P], given: Mapping[str, Any], place: str = PLACE) -> P:
    """Read a spec's parameters, strictly.

    Args:
        kind: The policy's own struct.
        given: As declared; what is left out has its default.
        place: What an error calls them.

    Raises:
        BadSpec: A parameter that is unknown, of another type or out of range.
    """
    try:
        return msgspec.convert(dict(given), kind)
    except msgspec.ValidationError as exc:
        reason, found, where = str(exc).rpartition(" - at `$")
        if not found:
            raise BadSpec(f"{exc} - at `{place}`") from exc
        raise BadSpec(f"{reason} - at `{place}{where}") from exc
