"""What both clients record: rewards, exposures, outcomes; queued at once, delivered later."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bandit.client.answers import Ranking, Stats
from bandit.client.core import EXPOSURES, OUTCOMES, REWARDS, Core
from bandit.client.lanes import Outgoing
from bandit.client.questions import encode
from bandit.errors import RecordError
from bandit.records import LARGEST_OUTCOME, check_number
from bandit.wire import ExposureRequest, OutcomeRequest, RewardRequest

REWARD_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:bandit:reward")
"""As the service derives the id of a reward that came without one."""

Answer = Ranking | str
"""What `rank` answered, or the event id of it."""


class Recorder:
    """Methods that queue; none of them waits, and none raises unless the client is strict."""

    _core: Core

    def reward(
        self,
        answer: Answer,
        value: float,
        *,
        slot: int = 0,
        name: str = "reward",
        reward_id: str | None = None,
        surface: str | None = None,
        token: str | None = None,
    ) -> None:
        """Queue what came back for a slot; nothing is sent for a default answer.

        Args:
            answer: What `rank` answered, or its event id.
            value: Bigger is better.
            slot: 0 is the top.
            name: What was measured.
            reward_id: Rewards of one id count once; by default those of one event id, slot and
                name, as over HTTP. Give your own to reward a slot several times by one name.
            surface: Where it was asked; needed with a bare event id only.
            token: Of the answer; needed with a bare event id on a signed surface only.
        """

        def body() -> dict[str, Any]:
            check_number("value", value)
            event_id, where = _named(answer, surface)
            key = reward_id or str(uuid.uuid5(REWARD_IDS, f"{event_id}/{slot}/{name}"))
            return {
                "event_id": event_id,
                "value": value,
                "slot": slot,
                "name": name,
                "reward_id": key,
                "surface": where,
            } | _token(answer, token)

        self._record(REWARDS, answer, body, RewardRequest)

    def exposed(
        self,
        answer: Answer,
        slots: Sequence[int] | None = None,
        *,
        surface: str | None = None,
        token: str | None = None,
    ) -> None:
        """Queue that slots were really seen; by default all of the ranking."""

        def body() -> dict[str, Any]:
            event_id, where = _named(answer, surface)
            seen = slots
            if seen is None and isinstance(answer, Ranking):
                seen = range(len(answer.ids))
            if seen is None:
                raise RecordError("slots are missing, must be given with a bare event id")
            made = {"event_id": event_id, "slots": list(seen), "surface": where}
            return made | _token(answer, token)

        self._record(EXPOSURES, answer, body, ExposureRequest)

    def overridden(
        self,
        answer: Answer,
        slot: int,
        id: str,  # noqa: A002 (the glossary's word)
        *,
        surface: str | None = None,
        token: str | None = None,
    ) -> None:
        """Queue that a slot showed another item than the one ranked: nothing is learned there."""

        def body() -> dict[str, Any]:
            event_id, where = _named(answer, surface)
            shown = [{"slot": slot, "id": id}]
            made = {"event_id": event_id, "overridden": shown, "surface": where}
            return made | _token(answer, token)

        self._record(EXPOSURES, answer, body, ExposureRequest)

    def outcome(
        self, unit_id: str, name: str, value: float, *, outcome_id: str | None = None
    ) -> None:
        """Queue a number about a unit; outcomes of one id count once, by default each is new."""

        def body() -> dict[str, Any]:
            check_number("value", value, -LARGEST_OUTCOME, LARGEST_OUTCOME)
            key = outcome_id or self._core.new_id("")
            return {"unit_id": unit_id, "name": name, "value": value, "outcome_id": key}

        self._record(OUTCOMES, None, body, OutcomeRequest)

    def stats(self) -> Stats:
        """Counts of what was asked, answered, queued and delivered."""
        return self._core.stats()

    def _record(
        self,
        path: str,
        answer: Answer | None,
        body: Callable[[], Mapping[str, Any]],
        kind: type[msgspec.Struct],
    ) -> None:
        core = self._core
        try:
            if _earns_nothing(answer):
                core.count("withheld")
                return
            made = body()
            encoded = encode(made)
            # One bad record would have its whole batch refused.
            msgspec.json.decode(encoded, type=kind)
        except Exception as exc:
            core.count("bad_records")
            if core.options.strict:
                raise RecordError(f"POST {path}: {exc}") from exc
            core.saying.once(f"a record for {path} can not be sent: {exc}", path, type(exc))
            return
        core.sender.put(path, Outgoing(encoded, made.get("surface") or ""))


def _earns_nothing(answer: Answer | None) -> bool:
    if isinstance(answer, Ranking):
        return not answer.served
    return isinstance(answer, str) and answer == ""


def _named(answer: Answer, surface: str | None) -> tuple[str, str | None]:
    """Event id and surface."""
    if isinstance(answer, Ranking):
        return answer.event_id, surface or answer.surface
    if not isinstance(answer, str):
        raise RecordError(
            f"answer is a {type(answer).__name__}, must be what `rank` answered or its event id"
        )
    return answer, surface


def _token(answer: Answer, token: str | None) -> dict[str, str]:
    """The token of an answer, where it has one."""
    if token is None and isinstance(answer, Ranking):
        token = answer.token
    return {"token": token} if token else {}
