"""Open-loop load from a process of its own, with its own journal of what was acknowledged.

`python -m tests.chaos.load --port P --journal FILE` sends at its pace whatever the answers do,
until SIGTERM; then it waits for what is under way and ends. The journal has one JSON line per
attempt, so that the oracle knows what was acknowledged, what was only tried, and when rankings
were served.
"""

import argparse
import asyncio
import heapq
import itertools
import json
import os
import random
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

ACTIONS = [{"id": f"a{n}", "features": {"topic": f"t{n % 3}"}} for n in range(8)]
TIMEOUT_S = 10.0
SPENT_AFTER_N = 40
"""A connection is given up after so many requests: new ones reach workers that came back."""
REQUESTS_PER_STORY = 3.2
"""What a decision brings with it on average; `--rate` counts requests."""


class Answer(NamedTuple):
    """What came back; status 0 if nothing did."""

    status: int
    body: Any
    error: str = ""


class Http:
    """Just enough of an HTTP/1.1 client: keep-alive, and no retries of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, int]] = []

    async def post(self, path: str, body: object) -> Answer:
        """Ask once."""
        writer = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer, used = await self._connection()
                payload = json.dumps(body).encode()
                writer.write(
                    b"POST %b HTTP/1.1\r\nhost: chaos\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n%b" % (path.encode(), len(payload), payload)
                )
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                answer = await reader.readexactly(length)
        except (OSError, EOFError, TimeoutError, IndexError, ValueError) as exc:
            if writer is not None:
                writer.close()
            return Answer(0, None, type(exc).__name__)
        if used >= SPENT_AFTER_N or b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer, used + 1))
        return Answer(int(head.split(b" ", 2)[1]), json.loads(answer or b"null"))

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        while self._idle:
            reader, writer, used = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer, used
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        return reader, writer, 0


class Journal:
    """Lines in the order in which answers came; each is with the kernel before we go on."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, **line: Any) -> None:
        """One attempt."""
        os.write(self._fd, json.dumps(line, separators=(",", ":")).encode() + b"\n")


class Load:
    """Stories: a decision, and what comes back for it in every wrong order."""

    def __init__(
        self, http: Http, journal: Journal, rng: random.Random, *, surface: str, window_s: float
    ) -> None:
        self._http = http
        self._journal = journal
        self._rng = rng
        self._surface = surface
        self._window_s = window_s
        self._due: list[tuple[float, int, Callable[[], Awaitable[None]]]] = []
        self._count = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.ending = asyncio.Event()

    async def run(self, stories_per_s: float) -> None:
        """Begin stories at an even pace until told to end, then finish what was begun."""
        next_s = time.monotonic()
        number = 0
        while not self.ending.is_set() or self._tasks:
            now_s = time.monotonic()
            while next_s <= now_s and not self.ending.is_set():
                self._later(next_s, self._story(number, next_s))
                number += 1
                next_s += 1.0 / stories_per_s
            while self._due and self._due[0][0] <= now_s and not self.ending.is_set():
                task = asyncio.ensure_future(heapq.heappop(self._due)[2]())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0.002)

    def _later(self, at_s: float, what: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._due, (at_s, next(self._count), what))

    def _story(self, number: int, planned_s: float) -> Callable[[], Awaitable[None]]:
        async def told() -> None:
            await self._tell(number, planned_s)

        return told

    async def _tell(self, number: int, planned_s: float) -> None:
        """One decision; one in five under an id of the client's own, which may be asked twice."""
        rng = self._rng
        own = _uuid7(rng) if rng.random() < 0.2 else None
        body = {
            "surface": self._surface,
            "unit_id": f"u{number % 997}",
            "context": {"hour": number % 24},
            "actions": ACTIONS,
            "slots": 3,
            "defer": number % 10 == 0,
        }
        if own is not None:
            body["event_id"] = own
            if rng.random() < 0.5:  # its reward comes first
                await self._reward(own, f"{own}-early", planned_s, own=True)
        answer = await self._ask("rank", "/v1/rank", body, planned_s)
        if own is not None and rng.random() < 0.5:
            await self._ask("rank", "/v1/rank", body, time.monotonic())
        event_id = answer.body["event_id"] if answer.status == 200 else own
        if event_id is not None:
            self._plan_rewards(event_id, own=own is not None, deferred=bool(body["defer"]))
        if number % 20 == 0:
            outcome = {"unit_id": body["unit_id"], "name": "revenue", "value": 1.5}
            outcome["outcome_id"] = f"o-{uuid.UUID(int=rng.getrandbits(128))}"
            await self._post("outcome", "/v1/outcomes", outcome, outcome["outcome_id"])

    def _plan_rewards(self, event_id: str, *, own: bool, deferred: bool) -> None:
        """Up to two rewards, each sent one to five times, some of them after the window."""
        rng, now_s = self._rng, time.monotonic()
        if deferred and rng.random() < 0.5:
            exposure = {"event_id": event_id, "slots": [0]} | self._whose(own)
            self._later(
                now_s + rng.random() * 2,
                lambda: self._post("exposure", "/v1/exposures", exposure, event_id),
            )
        for n in range(rng.choice((0, 1, 1, 2))):
            is_late = rng.random() < 0.05
            delay_s = self._window_s * (1.1 if is_late else rng.random() ** 2 * 0.5)
            times_n = rng.choice((1, 1, 1, 2, 5))
            for _ in range(times_n):
                at_s = now_s + delay_s + rng.random() * 0.5
                self._later(at_s, self._rewarding(event_id, f"{event_id}-{n}", at_s, own))

    def _rewarding(
        self, event_id: str, reward_id: str, at_s: float, own: bool
    ) -> Callable[[], Awaitable[None]]:
        return lambda: self._reward(event_id, reward_id, at_s, own=own)

    async def _reward(self, event_id: str, reward_id: str, planned_s: float, *, own: bool) -> None:
        body = {"event_id": event_id, "value": 1.0, "name": "click", "reward_id": reward_id}
        await self._post("reward", "/v1/rewards", body | self._whose(own), reward_id, planned_s)

    def _whose(self, own: bool) -> dict[str, str]:
        return {"surface": self._surface} if own else {}

    async def _post(
        self, kind: str, path: str, body: object, id_: str, planned_s: float | None = None
    ) -> None:
        await self._ask(kind, path, body, planned_s or time.monotonic(), id_)

    async def _ask(
        self, kind: str, path: str, body: Any, planned_s: float, id_: str | None = None
    ) -> Answer:
        sent_s = time.monotonic()
        answer = await self._http.post(path, body)
        line: dict[str, Any] = {
            "kind": kind,
            "planned": planned_s,
            "sent": sent_s,
            "done": time.monotonic(),
            "status": answer.status,
        }
        if answer.error:
            line["error"] = answer.error
        if kind == "rank":
            line["own"] = "event_id" in body
            line["id"] = body.get("event_id")
            if answer.status == 200:
                line["id"] = answer.body["event_id"]
                line["logged"] = answer.body.get("logged", True)
                line["snapshot"] = answer.body["snapshot"]
                line["ranking"] = [(a["id"], a["propensity"]) for a in answer.body["ranking"]]
        else:
            line["id"] = id_
            if answer.status == 202:
                line["accepted"] = answer.body["accepted"]
        if answer.status >= 300:
            line["type"] = answer.body.get("type") if isinstance(answer.body, dict) else None
        self._journal.write(**line)
        return answer


def _uuid7(rng: random.Random) -> str:
    """A client's own event id, of now."""
    bits = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | 0b10 << 62
    return str(uuid.UUID(int=bits | rng.getrandbits(12) << 64 | rng.getrandbits(62)))


async def main() -> None:
    """Send until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--surface", default="home.feed")
    parser.add_argument("--rate", type=float, default=100.0, help="Requests per second.")
    parser.add_argument("--window-s", type=float, default=10.0, help="The surface's join window.")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    load = Load(
        Http(given.port),
        Journal(given.journal),
        random.Random(given.seed),
        surface=given.surface,
        window_s=given.window_s,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.ending.set)
    await load.run(given.rate / REQUESTS_PER_STORY)


if __name__ == "__main__":
    asyncio.run(main())
