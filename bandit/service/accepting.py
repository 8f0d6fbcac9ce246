"""What came back: rewards, exposures and outcomes, checked whole, then journaled in one write."""

import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from bandit.errors import RecordError
from bandit.event_id import make_event_id
from bandit.journal import Journal
from bandit.records import AnyLogRecord, Exposure, Outcome, Reward, check_number
from bandit.service.event_ids import given_event_id
from bandit.service.serving_state import Serving, ServingState
from bandit.specs import Surface
from bandit.wire import ExposureRequest, OutcomeRequest, RewardRequest

Q = TypeVar("Q", RewardRequest, ExposureRequest, OutcomeRequest)
R = TypeVar("R", bound=AnyLogRecord)

OLDEST_MS = 31 * 86_400_000
"""Older than the longest join window there can be: no such decision can still be waiting."""
REWARD_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:bandit:reward")
"""Namespace of reward ids that the service derives."""


class Place(NamedTuple):
    """Where in the log a record about a decision belongs."""

    decision_ts_ms: int
    surface: str


class AcceptingService:
    """Accepts what came back; one per worker, called from its event loop only.

    Each method takes what one request brought, refuses all of it or journals all of it, and
    returns how many records that were.
    """

    def __init__(
        self,
        serving: Serving,
        journal: Journal,
        *,
        salt: bytes,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._serving = serving
        self._journal = journal
        self._salt = salt
        self._now_ms = now_ms
        self._entropy = entropy

    def rewards(self, given: RewardRequest | Sequence[RewardRequest]) -> int:
        """Journal rewards.

        Raises:
            NotDeclared: A surface that is named does not exist.
            RecordError: A number out of its surface's bounds or an impossible event id.
            JournalUnavailable: None of them is durable.
        """
        state, now_ms = self._serving.state, self._now_ms()
        return self._append(_each(given, lambda one: self._reward(one, state, now_ms)))

    def exposures(self, given: ExposureRequest | Sequence[ExposureRequest]) -> int:
        """Journal that slots were seen; raises what `rewards` raises."""
        state, now_ms = self._serving.state, self._now_ms()
        return self._append(_each(given, lambda one: self._exposure(one, state, now_ms)))

    def outcomes(self, given: OutcomeRequest | Sequence[OutcomeRequest]) -> int:
        """Journal outcomes; raises what `rewards` raises.

        One without an `outcome_id` gets a new one: sent again, it counts again.
        """
        now_ms = self._now_ms()
        return self._append(_each(given, lambda one: self._outcome(one, now_ms)))

    def _append(self, records: Sequence[AnyLogRecord]) -> int:
        if len(records) == 1:
            self._journal.append(records[0])
        elif records:
            self._journal.append_many(records)
        return len(records)

    def _reward(self, request: RewardRequest, state: ServingState, now_ms: int) -> Reward:
        place = self._place(request.event_id, request.surface, state, now_ms)
        surface = state.surfaces.get(place.surface)
        _check_value(request.value, surface.spec if surface else None)
        return Reward(
            ts_ms=now_ms,
            surface=place.surface,
            event_id=request.event_id,
            decision_ts_ms=place.decision_ts_ms,
            slot=request.slot,
            name=request.name,
            value=request.value,
            reward_id=request.reward_id
            or derived_reward_id(request.event_id, request.name, request.slot),
        )

    def _exposure(self, request: ExposureRequest, state: ServingState, now_ms: int) -> Exposure:
        if not request.slots and not request.overridden:
            raise RecordError(
                "slots and overridden are empty, must name at least one slot - at `$.slots`"
            )
        place = self._place(request.event_id, request.surface, state, now_ms)
        return Exposure(
            ts_ms=now_ms,
            surface=place.surface,
            event_id=request.event_id,
            decision_ts_ms=place.decision_ts_ms,
            slots=tuple(request.slots),
            overridden=_overridden(request),
        )

    def _outcome(self, request: OutcomeRequest, now_ms: int) -> Outcome:
        _check_value(request.value, None)
        return Outcome(
            ts_ms=now_ms,
            unit_id=request.unit_id,
            name=request.name,
            value=request.value,
            outcome_id=request.outcome_id or make_event_id(now_ms, 0, self._entropy(6), self._salt),
        )

    def _place(self, event_id: str, surface: str | None, state: ServingState, now_ms: int) -> Place:
        """Time and surface of the decision; the surface is '' where nobody can know it."""
        ts_ms, tag = given_event_id(event_id, self._salt, now_ms=now_ms, oldest_ms=OLDEST_MS)
        tagged = state.tags.get(tag) if tag is not None else None
        if surface is None:
            return Place(ts_ms, tagged or "")
        state.surface(surface)
        if tag is not None and tagged is not None and tagged != surface:
            raise RecordError(
                f"event_id {event_id!r} belongs to surface {tagged!r}, "
                f"must be one of {surface!r} as the request says - at `$.event_id`"
            )
        return Place(ts_ms, surface)


def _overridden(request: ExposureRequest) -> tuple[tuple[int, str], ...]:
    """Slots that showed another item, and which; each once, and not also seen as ranked."""
    taken = set(request.slots)
    for place, pin in enumerate(request.overridden):
        if pin.slot in taken:
            raise RecordError(
                f"slot {pin.slot} is named twice, must be once: seen as ranked or overridden "
                f"- at `$.overridden[{place}].slot`"
            )
        taken.add(pin.slot)
    return tuple((pin.slot, pin.id) for pin in request.overridden)


def _check_value(value: float, surface: Surface | None) -> None:
    try:
        if surface is None:
            check_number("value", value)
        else:
            check_number("value", value, surface.reward_low, surface.reward_high)
    except RecordError as exc:
        raise RecordError(f"{exc} - at `$.value`") from exc


def _each(given: Q | Sequence[Q], make: Callable[[Q], R]) -> list[R]:
    """Make a record of each; an error tells which one of a list it was."""
    if not isinstance(given, Sequence):
        return [make(given)]
    made = []
    for place, one in enumerate(given):
        try:
            made.append(make(one))
        except RecordError as exc:
            text, _, where = str(exc).rpartition(" - at `$")
            raise RecordError(f"{text} - at `$[{place}]{where}") from exc
    return made


def derived_reward_id(event_id: str, name: str, slot: int) -> str:
    """The id of a reward that came without one: the same reward sent again gets the same id.

    >>> derived_reward_id("0192d0c4-5f6a-7abc-8def-0123456789ab", "click", 0)
    'ed280527-1081-5012-a897-4ab2195cb294'
    """
    return str(uuid.uuid5(REWARD_IDS, f"{event_id}/{slot}/{name}"))
