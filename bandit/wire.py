"""What clients send and get, in the shapes of the public HTTP interface.

Limits sit in `Meta`, which msgspec checks while decoding (in C, so that 200 actions cost nothing)
and not in constructors; rules that need code are in `__post_init__`, which both run.
"""

from typing import Annotated, Any

import msgspec

from bandit.errors import RecordError
from bandit.records import Action, Id, JsonObject, Record, no_members

# In Python `$` also matches before a final newline; the look-ahead closes that door.
Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$(?!\n)")]
"""Name of a surface, policy, experiment, variant or metric."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Slot = Annotated[int, msgspec.Meta(ge=0, le=999)]


class Pin(Record, frozen=True, kw_only=True):
    """An action that has a slot of its own."""

    id: Id
    slot: Slot


class RankRequest(Record, frozen=True, kw_only=True):
    """`POST /v1/rank`.

    Attributes:
        actions: Candidates with their features; empty: those of the surface's catalogue.
        action_ids: Candidates out of the catalogue; empty: all of it. Not together with `actions`.
        slots: How many actions to rank.
        slot_features: Features of the slots, top first; for policies with `slot_model: ccb`.
        exclude: Ids that must not be drawn.
        seen: Ids that the unit has seen: not drawn while there are others.
        pins: Actions that get a slot without a draw.
        defer: Nothing counts as seen until an exposure says so.
    """

    surface: Key
    unit_id: Id
    context: JsonObject = msgspec.field(default_factory=no_members)
    actions: Annotated[list[Action], msgspec.Meta(max_length=10_000)] = []
    action_ids: Annotated[list[Id], msgspec.Meta(max_length=10_000)] = []
    slots: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    slot_features: Annotated[list[JsonObject], msgspec.Meta(max_length=1000)] = []
    event_id: str | None = None
    exclude: list[str] = []
    seen: Annotated[list[str], msgspec.Meta(max_length=10_000)] = []
    pins: Annotated[list[Pin], msgspec.Meta(max_length=1000)] = []
    defer: bool = False


class RankedAction(Record, frozen=True, kw_only=True):
    """One slot of an answer."""

    id: str
    slot: int
    propensity: float


class AssignedVariant(Record, frozen=True, kw_only=True):
    """The variant a unit is in."""

    key: str
    variant: str


class RankAnswer(Record, frozen=True, kw_only=True):
    """Answer of `POST /v1/rank`.

    Attributes:
        logged: False: the log does not hold the decision (the disk is full, or load is shed), so
            that what comes back under its `event_id` is answered and counts nowhere.
        token: On a signed surface: what rewards and exposures of this decision must bring.
    """

    event_id: str
    ranking: list[RankedAction]
    experiment: AssignedVariant | None
    policy: str
    snapshot: str
    logged: bool = True
    token: str | None = None


class RewardRequest(Record, frozen=True, kw_only=True):
    """`POST /v1/rewards`, one or a list of them.

    Attributes:
        reward_id: Rewards of one id count once; on a signed surface it is always made of event id,
            slot and name.
        surface: Needed for an `event_id` that the client made itself.
        token: Needed on a signed surface: as the decision was answered with.
    """

    event_id: str
    value: float
    slot: Slot = 0
    name: Name = "reward"
    reward_id: Id | None = None
    surface: Key | None = None
    token: str | None = None


class ExposureRequest(Record, frozen=True, kw_only=True):
    """`POST /v1/exposures`, one or a list of them.

    Attributes:
        slots: Slots that were seen as ranked.
        overridden: Slots that showed another item than the one ranked, and which. One of the two
            names at least one slot.
        token: As for a reward.
    """

    event_id: str
    slots: Annotated[list[Slot], msgspec.Meta(max_length=1000)] = []
    overridden: Annotated[list[Pin], msgspec.Meta(max_length=1000)] = []
    surface: Key | None = None
    token: str | None = None


class OutcomeRequest(Record, frozen=True, kw_only=True):
    """`POST /v1/outcomes`, one or a list of them."""

    unit_id: Id
    name: Name
    value: float
    outcome_id: Id | None = None


class AssignmentRequest(Record, frozen=True, kw_only=True):
    """`POST /v1/assignments`: the unit's variant of every running experiment, or of those named.

    Attributes:
        context: What targeting looks at.
        log: Whether the unit counts as assigned from now on (once a day in the log).
    """

    unit_id: Id
    context: JsonObject = msgspec.field(default_factory=no_members)
    experiments: list[Key] | None = None
    log: bool = True


class Assignment(Record, frozen=True, kw_only=True):
    """The variant a unit is in, and what it is given there.

    Attributes:
        reason: `split` = by the unit's hash, `override` = set by hand.
    """

    key: str
    variant: str
    payload: Any
    reason: str


class AssignmentAnswer(Record, frozen=True, kw_only=True):
    """Answer of `POST /v1/assignments`."""

    unit_id: str
    assignments: list[Assignment]


class Accepted(Record, frozen=True, kw_only=True):
    """Answer of every route that only records: so many records are durable now.

    Those that belong to a decision that was answered `logged: false` are not among them.
    """

    accepted: int


def check_unique(ids: list[str]) -> None:
    """Refuse a candidate set that names an action twice.

    Raises:
        RecordError: Naming the first repeated id.
    """
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    for place, id_ in enumerate(ids):
        if id_ in seen:
            raise RecordError(
                f"action id {id_!r} is repeated, must be unique - at `$.actions[{place}].id`"
            )
        seen.add(id_)
