"""A client of a closed loop: open-loop arrivals, late, lost and doubled rewards, repeated requests.

Latencies count from the moment at which a request was planned, so that a stall of the service, or
of this process, hides behind nobody.
"""

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import NamedTuple

import aiohttp
import msgspec
import numpy as np

from bandit.wire import RankAnswer, RankRequest, RewardRequest
from sims.closed.books import Books, Sent, Story
from sims.closed.plan import LATE, ON_TIME, REWARD, Plan
from sims.closed.population import Population

TIMEOUT_S = 10.0
PATIENCE_S = 30.0
PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
TRY_LATER = frozenset({404, 429, 502, 503, 504})
"""404: a worker that does not know the surface yet."""
REFUSED_MOST = 20
"""A client that was refused so often ends: the service does not take what it sends."""


class Assignment(NamedTuple):
    """What one client process does; everything in it can be pickled.

    Attributes:
        number: Of the client.
        url, key: Where the service is, and the API key, or None.
        population: Who asks.
        now_ns: A clock, for event ids of the client's own.
    """

    number: int
    url: str
    key: str | None
    plan: Plan
    population: Population
    now_ns: Callable[[], int]


class Refused(RuntimeError):
    """The service did not accept a request, however often it was sent."""


def play(given: Assignment) -> Books:
    """Play one client's share of the plan, and give its books.

    Raises:
        Refused: Far too many requests were.
    """
    return asyncio.run(_play(given))


async def _play(given: Assignment) -> Books:
    headers = {"content-type": "application/json"}
    if given.key is not None:
        headers["authorization"] = f"Bearer {given.key}"
    async with aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        connector=aiohttp.TCPConnector(limit=256),
    ) as session:
        return await Client(session, given).run()


class Client:
    """Plays rounds and keeps books of them."""

    def __init__(self, session: aiohttp.ClientSession, given: Assignment) -> None:
        self._session = session
        self._given = given
        self._plan = given.plan
        self._population = given.population
        self._surfaces = given.plan.surfaces
        self._rng = random.Random(f"{given.plan.seed}-{given.number}")
        self._books = Books([], [], [], [], 0, 0, 0, 0)
        self._counts = {"retries_n": 0, "unknown_n": 0, "unlike_n": 0, "repeated_n": 0}
        self._start_s = 0.0

    async def run(self) -> Books:
        """Begin rounds at random moments for as long as the plan says; finish what was begun."""
        plan, loop, rng = self._plan, asyncio.get_running_loop(), self._rng
        rate = plan.rounds_per_s(self._population.mean_reward(plan)) / plan.clients
        bounds = np.cumsum(plan.chances()).tolist()
        last, rounds_n = len(bounds) - 1, len(self._population.rounds)
        self._start_s = loop.time()
        at_s = rng.expovariate(rate)
        tasks: set[asyncio.Task[None]] = set()
        while at_s < plan.seconds and len(self._books.refused) < REFUSED_MOST:
            await asyncio.sleep(self._start_s + at_s - loop.time())
            surface = min(int(np.searchsorted(bounds, rng.random())), last)
            # Each story has luck of its own, so that what is sent depends on nobody's speed.
            luck = random.Random(rng.getrandbits(64))
            task = asyncio.create_task(self._story(surface, rng.randrange(rounds_n), at_s, luck))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            at_s += rng.expovariate(rate)
        await asyncio.gather(*tasks)
        if len(self._books.refused) >= REFUSED_MOST:
            raise Refused(f"{REFUSED_MOST} requests were refused: {self._books.refused[0]}")
        books, counts = self._books, self._counts
        return books._replace(
            retries_n=counts["retries_n"],
            unknown_n=counts["unknown_n"],
            unlike_n=counts["unlike_n"],
            repeated_n=counts["repeated_n"],
        )

    async def _story(self, surface: int, number: int, at_s: float, rng: random.Random) -> None:
        """One round from its request to its last reward."""
        try:
            await self._tell(surface, number, at_s, rng)
        except Refused as exc:
            self._books.refused.append(str(exc))

    async def _tell(self, surface: int, number: int, at_s: float, rng: random.Random) -> None:
        loop, this = asyncio.get_running_loop(), self._population.rounds[number]
        own = self._own_id(rng) if rng.random() < self._plan.repeated else None
        request = RankRequest(
            surface=self._surfaces[surface],
            unit_id=this.unit_id,
            context=msgspec.Raw(this.context),
            actions=list(this.actions),
            event_id=own,
        )
        body, sent_s = msgspec.json.encode(request), loop.time()
        planned_s = self._start_s + at_s
        answer = msgspec.json.decode(
            await self._post("/v1/rank", body, 200, planned_s, self._books.rank_ms, is_own=own),
            type=RankAnswer,
        )
        answered_s = loop.time()
        if own is not None:
            await self._ask_again(body, answer)
        top = answer.ranking[0]
        drawn = [action.id for action in this.actions].index(top.id)
        sent, sent_n = await self._reward(
            answer.event_id, this.reward(drawn), self._surfaces[surface], (sent_s, answered_s), rng
        )
        variant = answer.experiment.variant if answer.experiment else ""
        self._books.stories.append(
            Story(
                surface,
                variant,
                answer.event_id,
                number,
                drawn,
                at_s,
                this.reward(drawn),
                sent,
                sent_n,
            )
        )

    async def _ask_again(self, body: bytes, answer: RankAnswer) -> None:
        now_s = asyncio.get_running_loop().time()
        again = await self._post("/v1/rank", body, 200, now_s, self._books.rank_ms, is_own="yes")
        self._counts["repeated_n"] += 1
        ranking = msgspec.json.decode(again, type=RankAnswer).ranking
        self._counts["unlike_n"] += ranking != answer.ranking

    async def _reward(
        self,
        event_id: str,
        value: float,
        surface: str,
        asked_s: tuple[float, float],
        rng: random.Random,
    ) -> tuple[Sent, int]:
        """Send a reward as the plan has it; what became of it, and how often it was accepted."""
        plan, loop = self._plan, asyncio.get_running_loop()
        if not value:
            return "nothing", 0
        if rng.random() < plan.lost:
            return "lost", 0
        share = rng.uniform(*LATE)
        if rng.random() >= plan.late:
            share = ON_TIME[1]
            while share >= ON_TIME[1]:
                share = rng.expovariate(1.0 / plan.delay)
        times_n = 1 + (rng.random() < plan.doubled)
        sent_s, answered_s = asked_s
        due_s = answered_s + share * plan.window_s
        body = msgspec.json.encode(
            RewardRequest(
                event_id=event_id,
                value=value,
                name=REWARD,
                reward_id=f"{REWARD}-{event_id}",
                surface=surface,
            )
        )
        await asyncio.sleep(due_s - loop.time())
        first_s = loop.time()
        await self._post("/v1/rewards", body, 202, due_s, self._books.reward_ms)
        oldest_s, youngest_s = loop.time() - sent_s, first_s - answered_s
        if times_n > 1:
            await asyncio.sleep(rng.random() * 0.1 * plan.window_s)
            await self._post("/v1/rewards", body, 202, loop.time(), self._books.reward_ms)
        if oldest_s < plan.window_s:
            return "on_time", times_n
        return ("late" if youngest_s >= plan.window_s else "either"), times_n

    async def _post(
        self,
        path: str,
        body: bytes,
        status: int,
        planned_s: float,
        taken_ms: list[float],
        is_own: str | None = None,
    ) -> bytes:
        """Post until it is accepted.

        Raises:
            Refused: It never was.
        """
        loop = asyncio.get_running_loop()
        give_up_s, tries = loop.time() + PATIENCE_S, 0
        while True:
            try:
                async with self._session.post(self._given.url + path, data=body) as answer:
                    content = await answer.read()
            except (aiohttp.ClientError, TimeoutError) as exc:
                trouble, may_try = repr(exc), True
                if path == "/v1/rank" and is_own is None and not _was_not_sent(exc):
                    self._counts["unknown_n"] += 1
            else:
                if answer.status == status:
                    taken_ms.append((loop.time() - planned_s) * 1000.0)
                    return content
                trouble = f"{answer.status} {content[:300].decode(errors='replace')}"
                may_try = answer.status in TRY_LATER
            if not may_try or loop.time() > give_up_s:
                raise Refused(f"POST {path}: {trouble}")
            self._counts["retries_n"] += 1
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1

    def _own_id(self, rng: random.Random) -> str:
        """A UUIDv7 of now."""
        bits = self._given.now_ns() // 1_000_000 << 80 | 0x7 << 76 | 0b10 << 62
        return str(uuid.UUID(int=bits | rng.getrandbits(12) << 64 | rng.getrandbits(62)))


def _was_not_sent(exc: BaseException) -> bool:
    """Whether the service can not have seen the request."""
    return isinstance(exc, aiohttp.ClientConnectorError)
