"""A product's client under load: asks for rankings, sends rewards back, keeps a ledger."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import httpx
import msgspec

from bandit.wire import RankAnswer, RankRequest, RewardRequest
from sims.ledger import Ledger, Shown
from sims.worlds.base import Round

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures that leave no doubt: the service never saw the request."""
TRY_LATER = frozenset({429, 503})
PAUSES_S = (0.05, 0.1, 0.2, 0.4)


class Refused(RuntimeError):
    """The service answered with something that asking again can not change, or never answered."""


class Driver:
    """Plays rounds against a service.

    Args:
        client: With the service's address as its base URL.
        surface: Where to ask.
        reward_name: What a reward is called.
        patience_s: How long to go on trying one request.
        pauses_s: How long to wait before each further try; the last one repeats.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        surface: str,
        reward_name: str,
        *,
        patience_s: float = 30.0,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._client = client
        self._surface = surface
        self._reward_name = reward_name
        self._patience_s = patience_s
        self._pauses_s = pauses_s
        self.ledger = Ledger()

    async def play(
        self,
        rounds: Iterator[Round],
        n: int,
        *,
        rate_per_s: float,
        concurrency: int = 16,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        """Play `n` rounds, each started at its own time whether or not the last one is answered.

        Args:
            rounds: Requests with the truth about their rewards.
            n: How many of them.
            rate_per_s: Rounds started per second; fewer while `concurrency` are unanswered.
            concurrency: The most rounds under way.
            watch: Called after each round.

        Raises:
            Refused: A request was refused for good, or not answered in `patience_s`.
        """
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        places = asyncio.Semaphore(concurrency)

        async def one(this: Round) -> None:
            try:
                await self.play_one(this)
            finally:
                places.release()
            watch()

        try:
            async with asyncio.TaskGroup() as group:
                for number, this in enumerate(islice(rounds, n)):
                    await asyncio.sleep(start_s + number / rate_per_s - loop.time())
                    await places.acquire()
                    group.create_task(one(this))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # the others were cancelled because of it

    async def play_one(self, this: Round) -> None:
        """Ask for a ranking, and send the reward of the action on top if it earned one."""
        request = RankRequest(
            surface=self._surface,
            unit_id=this.unit_id,
            context=msgspec.Raw(this.context),
            actions=list(this.actions),
        )
        answer = msgspec.json.decode(
            await self._post("/v1/rank", msgspec.json.encode(request), 200, self._count_unknown),
            type=RankAnswer,
        )
        top = answer.ranking[0]
        reward = this.reward([action.id for action in this.actions].index(top.id))
        self.ledger.show(
            Shown(
                event_id=answer.event_id,
                variant=answer.experiment.variant if answer.experiment else "",
                policy=answer.policy,
                snapshot=int(answer.snapshot.rpartition("@")[2]),
                propensity=top.propensity,
                reward=reward,
            )
        )
        if reward:
            await self._reward(answer.event_id, reward)

    async def _reward(self, event_id: str, value: float) -> None:
        reward_id = f"{self._reward_name}-{event_id}"
        request = RewardRequest(
            event_id=event_id, value=value, name=self._reward_name, reward_id=reward_id
        )
        await self._post("/v1/rewards", msgspec.json.encode(request), 202)
        self.ledger.reward_ids.add(reward_id)

    def _count_unknown(self) -> None:
        self.ledger.unknown_n += 1

    async def _post(
        self, path: str, body: bytes, status: int, unknown: Callable[[], None] = lambda: None
    ) -> bytes:
        """Post until it is accepted; `unknown` is called for each try that may have been."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + self._patience_s
        tries = 0
        while True:
            try:
                answer = await self._client.post(
                    path, content=body, headers={"content-type": "application/json"}
                )
            except httpx.TransportError as exc:
                trouble = repr(exc)
                if not isinstance(exc, NOT_SENT):
                    unknown()
            else:
                if answer.status_code == status:
                    return answer.content
                trouble = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in TRY_LATER:
                    raise Refused(f"POST {path}: {trouble}")
            if loop.time() > give_up_s:
                raise Refused(f"POST {path}: no success in {self._patience_s:g} s, last: {trouble}")
            self.ledger.retries_n += 1
            await asyncio.sleep(self._pauses_s[min(tries, len(self._pauses_s) - 1)])
            tries += 1
