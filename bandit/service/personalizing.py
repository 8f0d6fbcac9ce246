"""Personalizer's events as decisions: events under any name, slots by id, nobody who is randomised.

An application that was written for Personalizer does three things otherwise than `/v1`: it names
its events as it likes (`bandit.service.aliases`), it tells slots by their ids, and it has no units,
so each event is one, called by the event's name.

What a worker decided itself it remembers. Else it looks for it in the log; and what is not there
(another worker decided it a moment ago, or the store is away) is told of under every event id that
its name can stand for: the decision is one of them, and the others are counted as orphans.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from bandit.errors import NotOffered, RecordError, StoreUnavailable
from bandit.event_id import make_event_id
from bandit.learning.totals import window_ms
from bandit.policies.cache import Generations
from bandit.records import Action, LoggedDecision
from bandit.service.accepting import AcceptingService
from bandit.service.aliases import alias_of, candidates_of, is_ours
from bandit.service.deciding import DecisionService
from bandit.service.repeats import PastDecisions
from bandit.service.serving_state import Serving, ServingSurface
from bandit.wire import ExposureRequest, RankRequest, RewardRequest

SLOT = "slot"
"""Feature of a slot that holds its id."""
LOOKING = 4
"""Names that are looked for in the log at once; beyond, ranking goes on without looking."""
_ENCODE = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """What a client asks for.

    Attributes:
        slots: Their features by their id, top first; empty: one slot without a name.
    """

    context: msgspec.Raw
    actions: Sequence[Action]
    exclude: Sequence[str] = ()
    defer: bool = False
    slots: Sequence[tuple[str, dict[str, object]]] = ()


class Ranked(NamedTuple):
    """What was decided.

    Attributes:
        name: What the client calls the event.
        event_id: What we call it.
        probabilities: Of every offered action, by id, at the top slot.
        drawn: Ids in slot order.
        slot_ids: As asked; empty for one slot without a name.
        logged: The log holds it; else what comes back for it counts nowhere.
    """

    name: str
    event_id: str
    probabilities: tuple[tuple[str, float], ...]
    drawn: tuple[str, ...]
    slot_ids: tuple[str, ...]
    logged: bool = True


def personalizing(
    serving: Serving,
    deciding: DecisionService,
    accepting: AcceptingService,
    find_newest: Callable[[Sequence[str]], LoggedDecision],
    *,
    salt: bytes,
    now_ms: Callable[[], int],
    entropy: Callable[[int], bytes],
    monotonic_s: Callable[[], float],
) -> "PersonalizingService":
    """The service over a worker's state, with a look-up of its own.

    Args:
        serving: The worker's state.
        deciding: The worker's.
        accepting: The worker's.
        find_newest: The store's, blocking; raises `NotFound` or `StoreError`.
        salt: The project's secret.
        now_ms: The clock.
        entropy: Random bytes.
        monotonic_s: A clock that never goes back.
    """
    past = PastDecisions(lambda ids: find_newest(ids.split(",")), monotonic_s=monotonic_s)
    return PersonalizingService(
        serving, deciding, accepting, past, salt=salt, now_ms=now_ms, entropy=entropy
    )


class PersonalizingService:
    """Ranks, rewards and activates; one per worker, called from its event loop only."""

    def __init__(
        self,
        serving: Serving,
        deciding: DecisionService,
        accepting: AcceptingService,
        past: PastDecisions,
        *,
        salt: bytes,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        remembered: int = 2_000,
    ) -> None:
        """Make the service.

        Args:
            serving: The worker's state.
            deciding: The worker's.
            accepting: The worker's.
            past: Looks in the log for the newest of several event ids, joined by commas.
            salt: The project's secret.
            now_ms: The clock.
            entropy: Random bytes.
            remembered: Events whose answers are kept at least.
        """
        self._serving = serving
        self._deciding = deciding
        self._accepting = accepting
        self._past = past
        self._salt = salt
        self._now_ms = now_ms
        self._entropy = entropy
        self._events: Generations[tuple[str, str], Ranked] = Generations(remembered)
        self._looking = 0

    def close(self) -> None:
        """Stop looking."""
        self._past.close()

    async def rank(self, surface_key: str, name: str | None, asked: Asked) -> Ranked:
        """Decide; the same name again gets the same answer.

        Args:
            surface_key: Where.
            name: What the client calls the event; None: it takes our event id.
            asked: What it asks for.

        Raises:
            NotDeclared: No such surface.
            NotOffered: The surface is signed.
            RecordError: The request breaks a rule; nothing was journaled.
        """
        surface = self._surface(surface_key)
        if name is None:
            event_id = make_event_id(self._now_ms(), surface.tag, self._entropy(6), self._salt)
            return self._decide(surface, None, event_id, asked)
        known = self._events.get((surface_key, name))
        if known is not None:
            return known
        event_id = name
        if not is_ours(name, surface.tag, self._salt):
            event_id = alias_of(name, surface.tag, self._now_ms(), self._salt)
        if self._looking < LOOKING:
            found = await self._find([event_id])
            if found is not None:
                return self._remember(surface_key, _ranked(name, found, found.pmf))
            known = self._events.get((surface_key, name))  # decided while this one was looking
        return known or self._decide(surface, name, event_id, asked)

    async def reward(self, surface_key: str, name: str, value: float) -> int:
        """Journal a reward of an event's top slot; each call counts.

        Returns:
            How many records that were.

        Raises:
            NotDeclared: No such surface.
            NotOffered: The surface is signed.
            RecordError: A number out of the surface's bounds.
            JournalUnavailable: It is not durable.
        """
        surface = self._surface(surface_key)
        event_ids, _ = await self._place(surface, name, slots=False)
        return self._reward(surface, event_ids, {0: value})

    async def reward_slots(self, surface_key: str, name: str, values: Mapping[str, float]) -> int:
        """Journal rewards of an event's slots by their ids; raises what `reward` raises.

        Raises:
            StoreUnavailable: Nobody here can tell which slots the event had: ask again.
        """
        surface = self._surface(surface_key)
        event_ids, slot_ids = await self._place(surface, name, slots=True)
        for slot_id in values:
            if slot_id not in slot_ids:
                raise RecordError(
                    f"slotId is {slot_id!r}, must be one of {list(slot_ids)} - at `$.reward`"
                )
        of_slots = {slot_ids.index(slot_id): value for slot_id, value in values.items()}
        return self._reward(surface, event_ids, of_slots)

    async def activate(self, surface_key: str, name: str, *, slots: bool = False) -> int:
        """Journal that an event was seen: its top slot, or all of its `slots`.

        Raises:
            NotDeclared: No such surface.
            NotOffered: The surface is signed.
            StoreUnavailable: As for `reward_slots`.
            JournalUnavailable: It is not durable.
        """
        surface = self._surface(surface_key)
        event_ids, slot_ids = await self._place(surface, name, slots=slots)
        seen = list(range(len(slot_ids))) if slots else [0]
        return self._accepting.exposures(
            [
                ExposureRequest(event_id=event_id, slots=seen, surface=surface.spec.key)
                for event_id in event_ids
            ]
        )

    def _surface(self, key: str) -> ServingSurface:
        """The surface, if this protocol can serve it."""
        surface = self._serving.state.surface(key)
        if surface.spec.signed:
            raise NotOffered(
                f"surface {key!r} is signed, and Personalizer's protocol has no place for event "
                "tokens: rank and reward there under /v1, or declare another surface"
            )
        return surface

    def _reward(
        self, surface: ServingSurface, event_ids: Sequence[str], values: Mapping[int, float]
    ) -> int:
        reward_id = make_event_id(self._now_ms(), 0, self._entropy(6), self._salt)
        requests = [
            RewardRequest(
                event_id=event_id,
                value=value,
                slot=slot,
                reward_id=f"{reward_id}/{slot}",
                surface=surface.spec.key,
            )
            for event_id in event_ids
            for slot, value in values.items()
        ]
        return self._accepting.rewards(requests if len(requests) > 1 else requests[0])

    def _decide(
        self, surface: ServingSurface, name: str | None, event_id: str, asked: Asked
    ) -> Ranked:
        request = RankRequest(
            surface=surface.spec.key,
            unit_id=name or event_id,
            event_id=event_id,
            context=asked.context,
            actions=list(asked.actions),
            exclude=list(asked.exclude),
            slots=max(1, len(asked.slots)),
            slot_features=[
                msgspec.Raw(_ENCODE({**features, SLOT: slot_id}))
                for slot_id, features in asked.slots
            ],
            defer=asked.defer,
        )
        decision, answer = self._deciding.decide(request, _ENCODE(request))
        pmf = struct.unpack(f"<{len(asked.actions)}f", decision.pmf)
        ids = [action.id for action in asked.actions]
        ranked = Ranked(
            name=answer.event_id if name is None else name,
            event_id=answer.event_id,
            probabilities=tuple(zip(ids, pmf, strict=True)),
            drawn=tuple(ids[index] for index in decision.ranking),
            slot_ids=tuple(slot_id for slot_id, _ in asked.slots),
            logged=answer.logged,
        )
        return self._remember(surface.spec.key, ranked)

    def _remember(self, surface_key: str, ranked: Ranked) -> Ranked:
        self._events.put((surface_key, ranked.name), ranked)
        return ranked

    async def _find(self, event_ids: Sequence[str]) -> LoggedDecision | None:
        self._looking += 1
        try:
            return await self._past.find(",".join(event_ids))
        finally:
            self._looking -= 1

    async def _place(
        self, surface: ServingSurface, name: str, *, slots: bool
    ) -> tuple[Sequence[str], tuple[str, ...]]:
        """The event ids that a name stands for, and the ids of its slots if they matter."""
        known = self._events.get((surface.spec.key, name))
        if known is not None:
            return [known.event_id], known.slot_ids
        window = window_ms(surface.spec)
        event_ids = candidates_of(name, surface.tag, self._now_ms(), window, self._salt)
        if len(event_ids) == 1 and not slots:
            return event_ids, ()
        found = await self._find(event_ids)
        if found is not None:
            ranked = self._remember(surface.spec.key, _ranked(name, found, found.pmf))
            return [ranked.event_id], ranked.slot_ids
        if slots:
            raise StoreUnavailable(
                f"event {name[:64]!r} is not in the log (yet), so nobody can tell its slots: "
                "it must be told of again in a second"
            )
        return event_ids, ()


def _ranked(name: str, decision: LoggedDecision, pmf: Sequence[float]) -> Ranked:
    ids = [action.id for action in decision.actions]
    return Ranked(
        name=name,
        event_id=decision.event_id,
        probabilities=tuple(zip(ids, pmf, strict=True)),
        drawn=tuple(ids[index] for index in decision.ranking),
        slot_ids=tuple(
            str(msgspec.json.decode(features).get(SLOT, "")) for features in decision.slot_features
        ),
    )
