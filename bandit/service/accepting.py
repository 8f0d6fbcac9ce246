"""What came back: rewards, exposures and outcomes, checked whole, then journaled in one write."""

import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from bandit.errors import BadToken, RecordError
from bandit.event_id import EventId, make_event_id
from bandit.journal import Journal
from bandit.records import AnyLogRecord, Exposure, Outcome, Reward, check_number
from bandit.service.caps import Earning, RewardCaps
from bandit.service.event_ids import given_event_id
from bandit.service.serving_state import Serving, ServingState
from bandit.service.signing import require_derived, require_surface, unit_of
from bandit.service.tokens import Tokens
from bandit.specs import Surface
from bandit.wire import ExposureRequest, OutcomeRequest, RewardRequest

Q = TypeVar("Q", RewardRequest, ExposureRequest, OutcomeRequest)
R = TypeVar("R", bound=AnyLogRecord | None)

OLDEST_MS = 31 * 86_400_000
"""Older than the longest join window there can be: no such decision can still be waiting."""
REWARD_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:bandit:reward")
"""Namespace of reward ids that the service derives."""


class Place(NamedTuple):
    """Where in the log a record about a decision belongs.

    Attributes:
        surface: Empty where nobody can know it.
        spec: Of that surface; None where it is empty.
    """

    read: EventId
    surface: str
    spec: Surface | None


class AcceptingService:
    """Accepts what came back; one per worker, called from its event loop only.

    Each method takes what one request brought, refuses all of it or journals all of it, and
    returns how many records that were. What belongs to a decision that was answered and not logged
    is checked like any other, and not journaled: nothing could join it.
    """

    def __init__(
        self,
        serving: Serving,
        journal: Journal,
        *,
        salt: bytes,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        tokens: Tokens | None = None,
        count_unlogged: Callable[[str, int], None] = lambda kind, n: None,
    ) -> None:
        """Make the service.

        Args:
            serving: The worker's state.
            journal: Where records go.
            salt: The project's secret.
            now_ms: The clock.
            entropy: Random bytes.
            tokens: Reads tokens; without them every reward of a signed surface is refused.
            count_unlogged: Told how many of a kind came for decisions that were not logged.
        """
        self._tokens = tokens
        self._count_unlogged = count_unlogged
        self._caps = RewardCaps()
        self._serving = serving
        self._journal = journal
        self._salt = salt
        self._now_ms = now_ms
        self._entropy = entropy

    def rewards(
        self, given: RewardRequest | Sequence[RewardRequest], project: str | None = None
    ) -> int:
        """Journal rewards.

        Args:
            given: One, or a list of them.
            project: Whose surfaces there are; None: everybody's.

        Raises:
            NotDeclared: A surface that is named does not exist.
            RecordError: A number out of its surface's bounds or an impossible event id.
            BadToken: The surface is signed, and it is not the token of that decision.
            TooManyRewards: A unit has earned what its surface takes in an hour.
            JournalUnavailable: None of them is durable; `StorageFull` before it was tried, while
                the disk is full.
        """
        state, now_ms = self._serving.state.of(project), self._now_ms()
        earnings: list[Earning] = []
        made = _each(given, lambda one, at: self._reward(one, at, state, now_ms, earnings))
        if earnings:
            self._journal.require_room()
            self._caps.take(earnings, now_ms)
        return self._append("reward", made)

    def exposures(
        self, given: ExposureRequest | Sequence[ExposureRequest], project: str | None = None
    ) -> int:
        """Journal that slots were seen; takes and raises what `rewards` does."""
        state, now_ms = self._serving.state.of(project), self._now_ms()
        made = _each(given, lambda one, _: self._exposure(one, state, now_ms))
        return self._append("exposure", made)

    def outcomes(
        self, given: OutcomeRequest | Sequence[OutcomeRequest], project: str | None = None
    ) -> int:
        """Journal outcomes; takes and raises what `rewards` does.

        One without an `outcome_id` gets a new one: sent again, it counts again.
        """
        now_ms = self._now_ms()
        made = _each(given, lambda one, _: self._outcome(one, now_ms, project))
        return self._append("outcome", made)

    def _append(self, kind: str, made: Sequence[AnyLogRecord | None]) -> int:
        """Journal what was made; None stands for what belongs to a decision nobody logged."""
        records = [record for record in made if record is not None]
        if records:
            self._journal.require_room()
        if len(records) == 1:
            self._journal.append(records[0])
        elif records:
            self._journal.append_many(records)
        if len(records) < len(made):
            self._count_unlogged(kind, len(made) - len(records))
        return len(records)

    def _reward(
        self,
        request: RewardRequest,
        where: str,
        state: ServingState,
        now_ms: int,
        earnings: list[Earning],
    ) -> Reward | None:
        place = self._place(request.event_id, request.surface, state, now_ms)
        spec = place.spec
        _check_value(request.value, spec)
        if not place.read.logged:
            return None
        reward_id = request.reward_id
        if reward_id is None or (spec is not None and spec.signed):
            reward_id = derived_reward_id(request.event_id, request.name, request.slot)
        if spec is not None and spec.signed:
            require_derived(request.reward_id, reward_id)
            unit = self._unit(request, place, spec, now_ms)
            if spec.unit_rewards_per_hour is not None:
                cap = spec.unit_rewards_per_hour
                earnings.append(Earning(spec.key, unit, cap, f"{where}.token"))
        return Reward(
            ts_ms=now_ms,
            surface=place.surface,
            event_id=request.event_id,
            decision_ts_ms=place.read.ts_ms,
            slot=request.slot,
            name=request.name,
            value=request.value,
            reward_id=reward_id,
        )

    def _exposure(
        self, request: ExposureRequest, state: ServingState, now_ms: int
    ) -> Exposure | None:
        if not request.slots and not request.overridden:
            raise RecordError(
                "slots and overridden are empty, must name at least one slot - at `$.slots`"
            )
        overridden = _overridden(request)
        place = self._place(request.event_id, request.surface, state, now_ms)
        if not place.read.logged:
            return None
        if place.spec is not None and place.spec.signed:
            self._unit(request, place, place.spec, now_ms)
        return Exposure(
            ts_ms=now_ms,
            surface=place.surface,
            event_id=request.event_id,
            decision_ts_ms=place.read.ts_ms,
            slots=tuple(request.slots),
            overridden=overridden,
        )

    def _unit(
        self,
        request: RewardRequest | ExposureRequest,
        place: Place,
        spec: Surface,
        now_ms: int,
    ) -> str:
        """What stands for the unit in the token that the request brings; refuses any other."""
        return unit_of(
            self._tokens, request.token, spec, request.event_id, place.read, now_ms=now_ms
        )

    def _outcome(self, request: OutcomeRequest, now_ms: int, project: str | None) -> Outcome:
        _check_value(request.value, None)
        return Outcome(
            ts_ms=now_ms,
            unit_id=request.unit_id,
            name=request.name,
            value=request.value,
            outcome_id=request.outcome_id or make_event_id(now_ms, 0, self._entropy(6), self._salt),
            project=project or "",
        )

    def _place(self, event_id: str, surface: str | None, state: ServingState, now_ms: int) -> Place:
        """Time and surface of the decision; the surface is '' where nobody can know it."""
        read = given_event_id(event_id, self._salt, now_ms=now_ms, oldest_ms=OLDEST_MS)
        tag = read.surface_tag
        tagged = state.tags.get(tag) if tag is not None else None
        if surface is None:
            if tagged is None:
                require_surface(state)
                return Place(read, "", None)
            return Place(read, tagged, state.surfaces[tagged].spec)
        spec = state.surface(surface).spec
        if tag is not None and tagged is not None and tagged != surface:
            raise RecordError(
                f"event_id {event_id!r} belongs to surface {tagged!r}, "
                f"must be one of {surface!r} as the request says - at `$.event_id`"
            )
        return Place(read, surface, spec)


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


def _each(given: Q | Sequence[Q], make: Callable[[Q, str], R]) -> list[R]:
    """Make a record of each, told its place; an error tells which one of a list it was."""
    if not isinstance(given, Sequence):
        return [make(given, "$")]
    made = []
    for index, one in enumerate(given):
        try:
            made.append(make(one, f"$[{index}]"))
        except BadToken as exc:
            raise BadToken(f"$[{index}].token") from exc
        except RecordError as exc:
            text, _, where = str(exc).rpartition(" - at `$")
            raise RecordError(f"{text} - at `$[{index}]{where}") from exc
    return made


def derived_reward_id(event_id: str, name: str, slot: int) -> str:
    """The id of a reward that came without one: the same reward sent again gets the same id.

    >>> derived_reward_id("0192d0c4-5f6a-7abc-8def-0123456789ab", "click", 0)
    'ed280527-1081-5012-a897-4ab2195cb294'
    """
    return str(uuid.uuid5(REWARD_IDS, f"{event_id}/{slot}/{name}"))
