"""What both clients do besides waiting for the network: ask, judge what came back, fall back.

A default that is shown where the service may have decided, too late to be heard, is told to it as
an override (`POST /v1/exposures`): it would else learn that what it drew earned nothing, though
nobody saw it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any

import msgspec

from bandit.client.ambient import Ambient
from bandit.client.answers import Assignments, Ranking, Reason, Stats
from bandit.client.breaker import Breaker
from bandit.client.lanes import Outgoing, Reply, problem_of
from bandit.client.options import Options
from bandit.client.questions import (
    A,
    Default,
    DefaultVariant,
    Question,
    check_default,
    check_variants,
    default_assignments,
    default_ids,
    encode,
    offered_ids,
    served_assignments,
    served_ranking,
)
from bandit.client.saying import Saying
from bandit.client.sending import Post, Sender
from bandit.errors import RecordError
from bandit.event_id import make_event_id, surface_tag

REWARDS, EXPOSURES, OUTCOMES = "/v1/rewards", "/v1/exposures", "/v1/outcomes"
SKEW_MS = 2_000
"""How far the clocks may differ before ours is corrected; the `Date` header tells seconds only."""
_BUSY = frozenset({429, 503})
_UNDECIDED = frozenset({501, 503, 505})


class Core:
    """The client without its connections.

    Attributes:
        sender: Delivers records in the background.
        counts: Of questions and of calls that queued nothing.
    """

    def __init__(self, options: Options, ambient: Ambient, post: Post) -> None:
        self.options = options
        self.ambient = ambient
        self.saying = Saying()
        self.sender = Sender(post, (REWARDS, EXPOSURES, OUTCOMES), options, ambient, self.saying)
        self._salt = ambient.entropy(16)
        self.reset()

    def reset(self) -> None:
        """Start from nothing, in a process that was forked off."""
        self.saying.reset()
        self.sender.reset()
        self.counts: Counter[str] = Counter()
        self.defaults: Counter[str] = Counter()
        self.closed = False
        self._lock = Lock()
        self._date, self._offset_ms = "", 0
        self.breaker = Breaker(
            failures=self.options.breaker_failures,
            pause_s=self.options.breaker_pause_s,
            monotonic_s=self.ambient.monotonic_s,
        )

    def rank_question(
        self,
        surface: object,
        unit_id: object,
        default: Default,
        deadline_s: float | None,
        asked: Mapping[str, Any],
    ) -> Question[Ranking] | Ranking:
        """The question, or the default if it can not be asked.

        Raises:
            RecordError: Arguments that can not be sent, and the client is strict.
        """
        offered = offered_ids(asked["actions"], asked["action_ids"])

        def answer(reason: Reason) -> Ranking:
            ids = default_ids(default, offered, asked["slots"], asked["exclude"])
            where = surface if isinstance(surface, str) else ""
            return Ranking(ids=ids, source="default", reason=reason, surface=where)

        def question() -> Question[Ranking]:
            where = _checked("surface", surface)
            _checked("unit_id", unit_id)
            if not isinstance(asked["slots"], int) or asked["slots"] < 1:
                raise RecordError(f"slots is {asked['slots']!r}, must be a number from 1 up")
            check_default(default, offered)
            event_id = asked["event_id"] or self.new_id(where)
            body = {name: value for name, value in asked.items() if value}
            body |= {"surface": surface, "unit_id": unit_id, "event_id": event_id}
            shown = () if asked["defer"] else answer("").ids
            return Question(
                "/v1/rank",
                encode(body),
                self._within_s(deadline_s),
                lambda content: served_ranking(content, where),
                answer,
                lambda: overridden_body(event_id, where, shown, asked["slots"]),
                where,
            )

        return self._question(question, answer)

    def assign_question(
        self,
        unit_id: str,
        default: Mapping[str, DefaultVariant],
        deadline_s: float | None,
        asked: Mapping[str, Any],
    ) -> Question[Assignments] | Assignments:
        """The question, or the defaults if it can not be asked; raises as above."""

        def answer(reason: Reason) -> Assignments:
            return default_assignments(unit_id, default, reason)

        def question() -> Question[Assignments]:
            _checked("unit_id", unit_id)
            check_variants(default)
            body = {name: value for name, value in asked.items() if value is not None}
            return Question(
                "/v1/assignments",
                encode(body | {"unit_id": unit_id}),
                self._within_s(deadline_s),
                lambda content: served_assignments(content, unit_id, default),
                answer,
            )

        return self._question(question, answer)

    def answered(self, question: Question[A], reply: Reply, *, reached: bool = False) -> A:
        """The answer to a question that got a reply.

        Args:
            question: What was asked.
            reply: What came back.
            reached: An earlier try may have been decided on.

        Raises:
            RecordError: The service refused it, and the client is strict.
        """
        self._look_at_clock(reply.date)
        status = reply.status
        if status == 200:
            try:
                answer = question.read(reply.content)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return self.unanswered(question, "unreadable", reached=True)
            self.breaker.succeeded()
            self.count("served")
            return answer
        if status in _BUSY or status >= 500:
            reason: Reason = "busy" if status in _BUSY else "failed"
            reached = reached or (status not in _UNDECIDED and status != 429)
            return self.unanswered(question, reason, reached=reached)
        self.breaker.succeeded()  # it is there, and will say the same again
        problem = problem_of(reply)
        where = f" - at `{problem.place}`" if problem.place else ""
        text = f"POST {question.path} was refused with {status}: {problem.detail}{where}"
        if self.options.strict:
            raise RecordError(text)
        self.saying.once(text, question.path, status, problem.type)
        return self._default(question.default, "refused")

    def unanswered(self, question: Question[A], reason: Reason, *, reached: bool) -> A:
        """The default for a question that got no answer of use.

        Args:
            question: What was asked.
            reason: Why.
            reached: The service may have decided all the same.
        """
        self.breaker.failed()
        if reached and question.overrides is not None:
            body = question.overrides()
            if body:
                self.count("overrides")
                self.sender.put(EXPOSURES, Outgoing(body, question.surface))
        return self._default(question.default, reason)

    def stumbled(self, question: Question[A], exc: Exception) -> A:
        """The default after something nobody thought of."""
        self.saying.once(f"asking failed: {exc!r}", "error", type(exc))
        return self.unanswered(question, "error", reached=True)

    def new_id(self, surface: str) -> str:
        """A UUIDv7 of the service's time, as far as it is known.

        It carries the surface's true tag: should the service take it for one of its own, which
        happens once in 16,384, it reads nothing wrong out of it.
        """
        now_ms = self.ambient.now_ms() + self._offset_ms
        return make_event_id(now_ms, surface_tag(surface), self.ambient.entropy(6), self._salt)

    def count(self, what: str) -> None:
        """Count one more."""
        with self._lock:
            self.counts[what] += 1

    def stats(self) -> Stats:
        """All counts now."""
        sent = self.sender.counts
        return Stats(
            served=self.counts["served"],
            defaults=dict(self.defaults),
            queued=sent["queued"],
            delivered=sent["delivered"],
            dropped=sent["dropped"],
            refused=sent["refused"],
            lost=sent["lost"],
            waiting=self.sender.waiting,
            retries=sent["retries"],
            withheld=self.counts["withheld"],
            overrides=self.counts["overrides"],
            bad_records=self.counts["bad_records"],
        )

    def _question(
        self, question: Callable[[], Question[A]], answer: Callable[[Reason], A]
    ) -> Question[A] | A:
        if self.closed:
            return self._default(answer, "closed")
        if not self.breaker.allows():
            return self._default(answer, "breaker")
        try:
            return question()
        except Exception as exc:
            if self.options.strict:
                raise RecordError(f"arguments can not be sent: {exc}") from exc
            self.saying.once(f"arguments can not be sent: {exc}", "arguments", type(exc))
            return self._default(answer, "arguments")

    def _default(self, answer: Callable[[Reason], A], reason: Reason) -> A:
        with self._lock:
            self.defaults[reason] += 1
        return answer(reason)

    def _within_s(self, deadline_s: float | None) -> float:
        within_s = self.options.deadline_s if deadline_s is None else deadline_s
        if not within_s > 0:
            raise RecordError(f"deadline_s is {within_s!r}, must be above 0")
        return within_s

    def _look_at_clock(self, date: str) -> None:
        """Correct our time by the service's if they are seconds apart.

        An event id that is an hour off is refused, and one that is a second old is looked for in
        the log, which costs milliseconds.
        """
        if date == self._date:
            return
        self._date = date
        try:
            theirs_ms = parsedate_to_datetime(date).timestamp() * 1000
        except (ValueError, OverflowError):
            return
        apart_ms = int(theirs_ms) - self.ambient.now_ms()
        self._offset_ms = apart_ms if abs(apart_ms) > SKEW_MS else 0


def _checked(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise RecordError(f"{name} is {value!r}, must be a text that is not empty")
    return value


NOTHING = "-"
"""What an override names where a default was shorter than the ranking would have been."""


def overridden_body(event_id: str, surface: str, shown: Sequence[str], slots: object) -> bytes:
    """The exposure that says: what was drawn was not what was shown; empty if nothing was."""
    if not shown:
        return b""
    most = min(slots, 1000) if isinstance(slots, int) else len(shown)
    named = [*shown, *[NOTHING] * (most - len(shown))]
    overridden = [{"slot": slot, "id": id_[:256] or NOTHING} for slot, id_ in enumerate(named)]
    return encode({"event_id": event_id, "surface": surface, "overridden": overridden})
