"""What happened: the records of the log.

Records are frozen, keyword-only, closed and check themselves when built. Times are milliseconds
since 1970 UTC (`…_ms`), because that is what an event id carries and what ClickHouse keeps.
"""

import math
from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec

from bandit.errors import BadPropensity, RecordError

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
"""A client's own name of a thing; the limits hold while decoding."""


JsonObject = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
"""A JSON object kept as the client sent it."""


def no_members() -> msgspec.Raw:
    """`{}`, what an object that was left out means; a factory, for msgspec can't describe `Raw`."""
    return _NO_MEMBERS


_NO_MEMBERS = msgspec.Raw(b"{}")


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every record and spec."""


class Action(Record, frozen=True, kw_only=True):
    """One candidate item.

    Attributes:
        id: The client's own name of the item, 1 to 256 characters.
        features: A JSON object as the client sent it; `bandit.policies.features` says what it
            may hold.
    """

    id: Id
    features: JsonObject = msgspec.field(default_factory=no_members)

    @classmethod
    def of(cls, id: str, **features: object) -> "Action":  # noqa: A002 (the glossary's word)
        """Build an action from plain Python values.

        >>> bytes(Action.of("a1", topic="go", age_days=3).features)
        b'{"topic":"go","age_days":3}'
        """
        return cls(id=id, features=msgspec.Raw(msgspec.json.encode(features)))


class LogRecord(Record, frozen=True, kw_only=True, tag_field="kind"):
    """A record that goes through the journal into a table of its own.

    Attributes:
        ts_ms: When this service accepted it.
        surface: The surface it belongs to; empty where that can not be known.
    """

    table: ClassVar[str]

    ts_ms: int
    surface: str = ""


class Decision(LogRecord, frozen=True, kw_only=True, tag="decision"):
    """The record of one ranking: who, where, offered, drawn, propensities, snapshot, seed.

    Attributes:
        event_id: A UUIDv7 in its canonical lower-case text.
        unit_id: Who was randomised.
        experiment: Key of the experiment that chose the policy; empty outside any.
        experiment_version: Its version; 0 outside any.
        variant: The unit's variant; empty outside any.
        policy: Key of the policy that drew.
        snapshot: Number of its snapshot; 0 is the policy as declared, untrained.
        request: The `bandit.wire.RankRequest` as JSON, the client's own bytes where there are any.
        pmf: Little-endian float32 over the offered actions in their order, after eligibility,
            floor and normalisation; 0 for an action that was not eligible.
        ranking: Indices into the offered actions, slot order.
        propensities: Probability of each drawn action given the slots above, in (0, 1].
        floor: The floor that was mixed in.
        seed: What the draw was made with, an unsigned 64-bit number.
        deferred: True if nothing counts as seen until an exposure says so.
        shadows: Per shadow policy, its probability of each drawn action given the slots above.
        shadow_tops: Per shadow policy, the index of its likeliest action.
        surface_version: Of the surface whose rules held; 0: not noted.
        excluded: Reason → indices of the offered actions that were not eligible for it: `request`,
            `denied`, `seen`.
        blocked: Per slot, indices of eligible actions that could not be drawn there besides those
            drawn above (a pin's action anywhere else, too much alike); empty: none at any slot.
        pinned: Slots that were not drawn but given; their propensity is 1.
        catalogue: Version of the catalogue whose features hold; 0: the request brought them.
        offered: JSON array of the offered ids, if the request named no actions.
        forced: The unit's variant was set by hand: no report counts it.
        keep_share: Probability with which a decision was logged when this one was, (0, 1]: below 1
            while load is shed.
    """

    table: ClassVar[str] = "decisions"

    event_id: str
    unit_id: str
    experiment: str = ""
    experiment_version: int = 0
    variant: str = ""
    policy: str
    snapshot: int
    request: bytes
    pmf: bytes
    ranking: tuple[int, ...]
    propensities: tuple[float, ...]
    floor: float
    seed: int
    deferred: bool = False
    shadows: dict[str, tuple[float, ...]] = {}
    shadow_tops: dict[str, int] = {}
    surface_version: int = 0
    excluded: dict[str, tuple[int, ...]] = {}
    blocked: tuple[tuple[int, ...], ...] = ()
    pinned: tuple[int, ...] = ()
    catalogue: int = 0
    offered: bytes = b""
    forced: bool = False
    keep_share: float = 1.0

    def __post_init__(self) -> None:
        if len(self.ranking) != len(self.propensities) or not self.ranking:
            raise RecordError(
                f"decision has {len(self.ranking)} drawn actions and {len(self.propensities)} "
                "propensities, must have the same number and at least one"
            )
        for propensity in self.propensities:
            if not 0.0 < propensity <= 1.0:
                raise BadPropensity(propensity)
        if not 0.0 < self.keep_share <= 1.0:
            raise RecordError(f"keep_share is {self.keep_share!r}, must be in (0, 1]")


class Reward(LogRecord, frozen=True, kw_only=True, tag="reward"):
    """The number that came back for a decision's slot; bigger is better.

    Attributes:
        event_id: The decision's.
        decision_ts_ms: The time in the event id.
        slot: The slot that earned it, 0 is the top.
        name: What was measured (`click`, `watch_s`).
        value: Finite, at most 1e6 in size.
        reward_id: The caller's idempotency key, or derived from event id, name and slot.
    """

    table: ClassVar[str] = "rewards"

    event_id: str
    decision_ts_ms: int
    slot: int = 0
    name: str = "reward"
    value: float
    reward_id: str

    def __post_init__(self) -> None:
        check_number("reward", self.value)


class Exposure(LogRecord, frozen=True, kw_only=True, tag="exposure"):
    """The record that slots of a decision were really seen.

    Attributes:
        slots: Seen as ranked.
        overridden: (slot, id) of slots that showed another item than the one ranked: nothing is
            learned from them, and no importance weight holds there.
    """

    table: ClassVar[str] = "exposures"

    event_id: str
    decision_ts_ms: int
    slots: tuple[int, ...]
    overridden: tuple[tuple[int, str], ...] = ()


LARGEST_OUTCOME = 1e15
"""As of what metrics compare outcomes with; sums of squares of a billion of them are finite."""


class Outcome(LogRecord, frozen=True, kw_only=True, tag="outcome"):
    """A named number about a unit, not tied to a decision; it feeds metrics.

    Attributes:
        value: Finite, at most `LARGEST_OUTCOME` in size: times in ms fit, no model sees it.
        outcome_id: The caller's idempotency key, or made by the service.
        project: Of the key that brought it; empty: of every project, for no key was asked for.
    """

    table: ClassVar[str] = "outcomes"

    unit_id: str
    name: str
    value: float
    outcome_id: str
    project: str = ""

    def __post_init__(self) -> None:
        check_number("outcome", self.value, -LARGEST_OUTCOME, LARGEST_OUTCOME)


class Assigned(LogRecord, frozen=True, kw_only=True, tag="assigned"):
    """The record that a unit was told its variant; at least once a day for a unit that asks.

    Attributes:
        forced: The variant was set by hand: no report counts it.
    """

    table: ClassVar[str] = "assignments"

    unit_id: str
    experiment: str
    experiment_version: int
    variant: str
    forced: bool = False


AnyLogRecord = Decision | Reward | Exposure | Outcome | Assigned
TABLES: tuple[str, ...] = tuple(
    kind.table for kind in (Decision, Reward, Exposure, Outcome, Assigned)
)


class LoggedDecision(Record, frozen=True, kw_only=True):
    """A decision as the log gives it back; the fields mean what they mean in `Decision`.

    Attributes:
        context: The request's context, JSON as sent.
        actions: The offered actions in their order, features as sent or as the catalogue had them.
        excluded: Indices of the actions that were not eligible.
        excluded_reasons: Why, one for each of `excluded`.
        slot_features: As sent, JSON each; empty where none were.
        pmf: Probabilities over `actions`, `(k,)`.
    """

    event_id: str
    ts_ms: int
    surface: str
    unit_id: str
    experiment: str
    experiment_version: int
    variant: str
    policy: str
    snapshot: int
    context: bytes
    actions: tuple[Action, ...]
    excluded: tuple[int, ...]
    pmf: tuple[float, ...]
    ranking: tuple[int, ...]
    propensities: tuple[float, ...]
    floor: float
    seed: int
    deferred: bool
    shadows: dict[str, tuple[float, ...]]
    writer: str
    seq: int
    shadow_tops: dict[str, int] = {}
    surface_version: int = 0
    excluded_reasons: tuple[str, ...] = ()
    blocked: tuple[tuple[int, ...], ...] = ()
    pinned: tuple[int, ...] = ()
    slot_features: tuple[bytes, ...] = ()
    catalogue: int = 0
    forced: bool = False
    keep_share: float = 1.0


def check_number(what: str, value: float, low: float = -1e6, high: float = 1e6) -> None:
    """Refuse a number that could harm a model or a sum.

    Raises:
        RecordError: `value` is not finite or not in `[low, high]`. (A reward of 1e39 is finite
            here and infinite in VW's float32, where it would corrupt the model for ever.)
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise RecordError(f"{what} is {value!r}, must be in [{low:g}, {high:g}]")


DEEPEST = 32
"""Of JSON that is kept: what one thread reads, another with less stack left must read, too."""


def check_depth(what: str, value: object) -> None:
    """Refuse JSON that is nested too deeply.

    Raises:
        RecordError: `value` is more than `DEEPEST` lists and objects deep.
    """
    level = _containers([value])
    for _ in range(DEEPEST):
        level = _containers(
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        )
        if not level:
            return
    raise RecordError(f"{what} is over {DEEPEST} deep, must be at most {DEEPEST}")


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, (dict, list))]
