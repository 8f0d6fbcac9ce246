"""What a signed surface asks of what comes back: the token of that very decision, in time."""

from bandit.errors import BadToken, NotFound, RecordError
from bandit.event_id import EventId
from bandit.learning.totals import window_ms
from bandit.service.event_ids import AHEAD_MS
from bandit.service.serving_state import ServingState
from bandit.service.tokens import SKEW_MS, Tokens
from bandit.specs import Surface


def unit_of(
    tokens: Tokens | None,
    token: str | None,
    surface: Surface,
    event_id: str,
    read: EventId,
    *,
    now_ms: int,
) -> str:
    """What stands for the unit whose decision it was.

    Args:
        tokens: Reads them; None: nobody can, so none is accepted.
        token: As it came.
        surface: That the decision was made on.
        event_id: As it came.
        read: What it tells.
        now_ms: The time.

    Raises:
        BadToken: It is not the token of that decision, or no reward of it can be in time any more.
    """
    # The time in a client's own id may be that far from the decision's.
    slack_ms = SKEW_MS if read.surface_tag is not None else SKEW_MS + AHEAD_MS
    if tokens is None or now_ms - read.ts_ms >= window_ms(surface) + slack_ms:
        raise BadToken
    return tokens.read(token, event_id, surface.key, now_ms)


def require_derived(given: str | None, derived: str) -> None:
    """Refuse a reward id that would make one reward into several.

    Raises:
        RecordError: It is not the one made of event id, slot and name.
    """
    if given is not None and given != derived:
        raise RecordError(
            f"reward_id is {given!r} and the surface is signed, must be left out: it is made of "
            "event_id, slot and name - at `$.reward_id`"
        )


def require_surface(state: ServingState) -> None:
    """Refuse what says of no surface that it belongs there, where somebody is to be kept out.

    Learners of every surface look at what belongs to none, so nobody could be kept out there.

    Raises:
        NotFound: Keys are asked for, and this one's project has no such surface.
        RecordError: Any surface is signed.
    """
    if state.project is not None:
        raise NotFound(
            "surface is not given and event_id is of none that is declared, one of them must be "
            "- at `$.surface`"
        )
    if state.signed:
        raise RecordError(
            "surface is not given and can not be read from this event_id, must be given where any "
            "surface is signed - at `$.surface`"
        )
