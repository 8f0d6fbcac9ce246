"""The synchronous client."""

import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from bandit.client.ambient import Ambient
from bandit.client.answers import Assignments, Ranking
from bandit.client.connecting import (
    LIMITS,
    NOT_SENT,
    TRIES,
    Deadline,
    headers_with,
    reason_of,
    renew_after_fork,
    reply_of,
)
from bandit.client.core import Core
from bandit.client.lanes import Reply
from bandit.client.options import Options
from bandit.client.questions import A, Default, DefaultVariant, Offered, Question
from bandit.client.recording import Recorder


class Connection:
    """One pool of connections for questions, one for records; both anew after a fork."""

    def __init__(
        self,
        url: str,
        options: Options,
        headers: dict[str, str],
        transport: httpx.BaseTransport | None,
    ) -> None:
        self._made_with = (url, options, headers, transport)
        self._old: list[httpx.Client] = []  # the parent's: to close them would end its connections
        self.renew()

    def renew(self) -> None:
        """Leave the connections to the process that made them."""
        url, options, headers, transport = self._made_with
        self.asking, self.recording = (
            httpx.Client(
                base_url=url,
                headers=headers,
                timeout=options.record_timeout_s,
                limits=LIMITS,
                transport=transport,
                trust_env=False,
            )
            for _ in range(2)
        )
        self._old += [self.asking, self.recording]

    def post(self, path: str, body: bytes) -> Reply:
        """Deliver records; status 0 if nothing came back."""
        try:
            response = self.recording.post(path, content=body)
        except Exception:
            return Reply(0)
        return reply_of(response, response.content)

    def close(self) -> None:
        """Close what this process opened."""
        self.asking.close()
        self.recording.close()


class BanditClient(Recorder):
    """Asks the service, and answers by the caller's default when it can not.

    Nothing here raises into the caller (unless `options.strict`): a service that is away, late or
    wrong, and arguments that can not be sent, give the default, marked as such. For many threads;
    processes forked off get connections and a queue of their own.

    Args:
        url: Where the service is, `http://127.0.0.1:8080`.
        options: How long to wait, how much to keep.
        api_key: As `bandit keys create` showed it, for a service that asks for one.
        headers: Sent with every request.
        transport: Instead of the network; httpx takes proxies from here too, as the environment
            is not looked at.
        ambient: Clock and entropy.
    """

    def __init__(
        self,
        url: str,
        *,
        options: Options | None = None,
        api_key: str | None = None,
        headers: dict[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        ambient: Ambient | None = None,
    ) -> None:
        options = options or Options()
        self._ambient = ambient or Ambient()
        self._connection = Connection(url, options, headers_with(headers, api_key), transport)
        self._core = Core(options, self._ambient, self._connection.post)
        self._finish = weakref.finalize(self, _finish, self._core, self._connection)
        renew_after_fork(self)

    def rank(
        self,
        surface: str,
        unit_id: str,
        *,
        default: Default,
        context: Mapping[str, Any] | None = None,
        actions: Sequence[Offered] = (),
        action_ids: Sequence[str] = (),
        slots: int = 1,
        slot_features: Sequence[Mapping[str, Any]] = (),
        exclude: Sequence[str] = (),
        seen: Sequence[str] = (),
        pins: Sequence[Mapping[str, Any]] = (),
        defer: bool = False,
        event_id: str | None = None,
        deadline_s: float | None = None,
    ) -> Ranking:
        """Ask what to show.

        Args:
            surface: Where it will be shown.
            unit_id: Who will see it.
            default: What to show otherwise: ids, or `"offered order"`. Excluded ids are left out,
                and no more than `slots` are taken.
            context: Features of the request.
            actions: Candidates with features.
            action_ids: Candidates of the surface's catalogue; all of it without either.
            slots, slot_features, exclude, seen, pins, defer: As in `POST /v1/rank`.
            event_id: A UUIDv7 of your own; one is made otherwise.
            deadline_s: Instead of the client's.
        """
        # More arguments than our functions have: they are the fields of the request.
        asked = {
            "context": context,
            "actions": actions,
            "action_ids": action_ids,
            "slots": slots,
            "slot_features": slot_features,
            "exclude": exclude,
            "seen": seen,
            "pins": pins,
            "defer": defer,
            "event_id": event_id,
        }
        question = self._core.rank_question(surface, unit_id, default, deadline_s, asked)
        return question if isinstance(question, Ranking) else self._ask(question)

    def assign(
        self,
        unit_id: str,
        *,
        default: Mapping[str, DefaultVariant],
        experiments: Sequence[str] | None = None,
        context: Mapping[str, Any] | None = None,
        log: bool = True,
        deadline_s: float | None = None,
    ) -> Assignments:
        """Ask which variants a unit is in.

        Args:
            unit_id: Who.
            default: Experiment → variant, or (variant, payload), for what the service does not say.
            experiments: Keys of those to ask about; None for all that run.
            context: What targeting looks at.
            log: Whether the unit counts as assigned from now on.
            deadline_s: Instead of the client's.
        """
        asked = {"experiments": experiments, "context": context, "log": log}
        question = self._core.assign_question(unit_id, default, deadline_s, asked)
        return question if isinstance(question, Assignments) else self._ask(question)

    def warm(self) -> bool:
        """Open a connection before the first question needs it; True if the service is live."""
        try:
            deadline = Deadline(self._core.options.record_timeout_s, self._ambient.monotonic_s)
            return self._send("GET", "/health/live", None, deadline).status == 200
        except Exception:
            return False

    def flush(self, within_s: float = 2.0) -> bool:
        """Wait until what was queued is delivered; False if it was not in time."""
        return self._core.sender.flush(within_s)

    def close(self) -> None:
        """Deliver what is queued, for at most `options.flush_s`; from then on only defaults."""
        self._finish()

    def __enter__(self) -> Self:
        self.warm()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, question: Question[A]) -> A:
        core, reached = self._core, False
        deadline = Deadline(question.within_s, self._ambient.monotonic_s)
        for tries in range(1, TRIES + 1):
            try:
                reply = self._send("POST", question.path, question.body, deadline)
            except httpx.HTTPError as exc:
                reached = reached or not isinstance(exc, NOT_SENT)
                late = isinstance(exc, httpx.TimeoutException) or deadline.over
                if late or tries == TRIES:
                    return core.unanswered(question, reason_of(exc), reached=reached)
            except Exception as exc:
                return core.stumbled(question, exc)
            else:
                return core.answered(question, reply, reached=reached)
        raise AssertionError("the last try returns")

    def _send(self, method: str, path: str, body: bytes | None, deadline: Deadline) -> Reply:
        client = self._connection.asking
        request = client.build_request(method, path, content=body, extensions={"timeout": deadline})
        response = client.send(request, stream=True)
        try:
            content = b""
            for chunk in response.iter_bytes():
                content += chunk
                if deadline.over:
                    break
            else:
                return reply_of(response, content)
        finally:
            response.close()
        raise httpx.ReadTimeout("the answer took too long", request=request)

    def _after_fork(self) -> None:
        self._connection.renew()
        self._core.reset()


def _finish(core: Core, connection: Connection) -> None:
    """Deliver what is left, and close; called once: by `close`, or at the end of client or process.

    A client that is forgotten must not keep its thread for ever, so that no part of this may hold
    the client itself.
    """
    core.closed = True
    core.sender.close(core.options.flush_s)
    connection.close()
