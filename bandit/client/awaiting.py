"""The asynchronous client."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from bandit.client.ambient import Ambient
from bandit.client.answers import Assignments, Ranking
from bandit.client.blocking import BanditClient
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
from bandit.client.lanes import Reply
from bandit.client.options import Options
from bandit.client.questions import A, Default, DefaultVariant, Offered, Question
from bandit.client.recording import Recorder


class AsyncBanditClient(Recorder):
    """`BanditClient` for an event loop: `rank` and `assign` are awaited, recording is not.

    Records are delivered by a thread, so that they outlive the loop. Connections belong to the
    loop they were made in; another loop gets its own.

    Args:
        url, options, api_key, headers, ambient: As for `BanditClient`.
        transport: Instead of the network, for questions.
        record_transport: The same for records.
    """

    def __init__(
        self,
        url: str,
        *,
        options: Options | None = None,
        api_key: str | None = None,
        headers: dict[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        record_transport: httpx.BaseTransport | None = None,
        ambient: Ambient | None = None,
    ) -> None:
        self._recording = BanditClient(
            url,
            options=options,
            api_key=api_key,
            headers=headers,
            transport=record_transport,
            ambient=ambient,
        )
        self._core = self._recording._core
        self._monotonic_s = self._core.ambient.monotonic_s
        self._made_with = (url, headers_with(headers, api_key), transport)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: httpx.AsyncClient | None = None
        self._old: list[httpx.AsyncClient] = []
        renew_after_fork(self)

    async def rank(
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
        """Ask what to show; the arguments are those of `BanditClient.rank`."""
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
        return question if isinstance(question, Ranking) else await self._ask(question)

    async def assign(
        self,
        unit_id: str,
        *,
        default: Mapping[str, DefaultVariant],
        experiments: Sequence[str] | None = None,
        context: Mapping[str, Any] | None = None,
        log: bool = True,
        deadline_s: float | None = None,
    ) -> Assignments:
        """Ask which variants a unit is in; the arguments are those of `BanditClient.assign`."""
        asked = {"experiments": experiments, "context": context, "log": log}
        question = self._core.assign_question(unit_id, default, deadline_s, asked)
        return question if isinstance(question, Assignments) else await self._ask(question)

    async def warm(self) -> bool:
        """Open a connection before the first question needs it; True if the service is live."""
        try:
            async with asyncio.timeout(self._core.options.record_timeout_s):
                return (await self._client().get("/health/live")).status_code == 200
        except Exception:
            return False

    async def flush(self, within_s: float = 2.0) -> bool:
        """Wait until what was queued is delivered; False if it was not in time."""
        return await asyncio.to_thread(self._recording.flush, within_s)

    async def aclose(self) -> None:
        """Deliver what is queued, for at most `options.flush_s`; from then on only defaults."""
        await asyncio.to_thread(self._recording.close)
        if self._http is not None and self._loop is asyncio.get_running_loop():
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        await self.warm()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _ask(self, question: Question[A]) -> A:
        core, reached = self._core, False
        deadline = Deadline(question.within_s, self._monotonic_s)
        for tries in range(1, TRIES + 1):
            try:
                async with asyncio.timeout(deadline.left_s):
                    reply = await self._post(question, deadline)
            except TimeoutError:
                return core.unanswered(question, "deadline", reached=True)
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

    async def _post(self, question: Question[A], deadline: Deadline) -> Reply:
        client = self._client()
        request = client.build_request(
            "POST", question.path, content=question.body, extensions={"timeout": deadline}
        )
        response = await client.send(request)
        return reply_of(response, response.content)

    def _client(self) -> httpx.AsyncClient:
        """The connections of this loop."""
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            url, headers, transport = self._made_with
            if self._http is not None:
                self._old.append(self._http)  # its loop may be closed, and so can it be no more
            self._loop = loop
            self._http = httpx.AsyncClient(
                base_url=url,
                headers=headers,
                timeout=self._core.options.record_timeout_s,
                limits=LIMITS,
                transport=transport,
                trust_env=False,
            )
        return self._http

    def _after_fork(self) -> None:
        if self._http is not None:
            self._old.append(self._http)
        self._http = None
