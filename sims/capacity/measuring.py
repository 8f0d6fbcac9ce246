"""Measure what the service costs on this machine, in about a minute."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import httpx
import msgspec
import numpy as np

from bandit.specs import AnySpec, PolicySpec, Surface
from bandit.store.client import Store
from bandit.wire import RankAnswer
from sims.audit import learned
from sims.capacity.calibration import Calibration, Cost
from sims.capacity.load import closed, request_of
from sims.waiting import Waiting

SIZES = (10, 50, 200)
SURFACE, POLICY = "capacity", "capacity-vw"
BUSY_S, LIGHT_S, IDLE_S, WARM_S = 3.0, 2.0, 3.0, 1.0
SETTLE_S = 120.0
CONNECTIONS = 8
QUANTILES_N = 200
LOOK_S = 0.2
MOST_EVENTS = 20_000
MOST_IDLE = 0.5
"""Of what was worked: who has much to do looks less often whether there is something to do."""
DECLARED: tuple[tuple[str, AnySpec], ...] = (
    ("policies", PolicySpec(key="capacity-uniform", type="uniform")),
    ("policies", PolicySpec(key=POLICY, type="vw", surface=SURFACE, floor=0.001)),
    (
        "surfaces",
        Surface(
            key=SURFACE,
            policy=POLICY,
            shadows=["capacity-uniform"],
            join_window_s=1.0,
            reward_low=0.0,
            reward_high=1.0,
        ),
    ),
)


class Bench(NamedTuple):
    """A service with one API worker, and how to look at it.

    Attributes:
        port: Of its API.
        client: With its address.
        store: Its ClickHouse.
        journal: Folder of its journal.
        cpu_s: Processor time by role.
        rss_mb: Memory by role.
        monotonic_s, sleep: The clock.
    """

    port: int
    client: httpx.Client
    store: Store
    journal: Path
    cpu_s: Callable[[], dict[str, float]]
    rss_mb: Callable[[], dict[str, float]]
    monotonic_s: Callable[[], float]
    sleep: Callable[[float], None]

    @property
    def waiting(self) -> Waiting:
        """By its clock."""
        return Waiting(monotonic_s=self.monotonic_s, sleep=self.sleep)


class Watched(NamedTuple):
    """What was seen while something ran: lag of the drain, bytes that the journal took."""

    lags_s: list[float]
    grown: dict[str, tuple[int, int]]

    @property
    def lag_s(self) -> float:
        """Mean; 0 if the drain said nothing."""
        return float(np.mean(self.lags_s)) if self.lags_s else 0.0

    @property
    def journal_bytes(self) -> int:
        """By how much its files grew."""
        return sum(most - first for first, most in self.grown.values())


class Rest(NamedTuple):
    """What goes on when nobody asks.

    Attributes:
        idle: Processor time a second, by role.
        pass_s: Of the drain.
        drain_interval_s: Its setting.
    """

    idle: Mapping[str, float]
    pass_s: float
    drain_interval_s: float


def bodies(actions_n: int, n: int = 200, seed: int = 1) -> list[bytes]:
    """Rankings over a catalogue of 1,000 actions with 4 features; contexts with 4, too."""
    rng = random.Random(seed)
    catalogue = [
        {
            "id": f"item-{number}",
            "features": {
                "topic": f"topic{rng.randrange(20)}",
                "language": rng.choice(["en", "de", "pt"]),
                "age_days": rng.randrange(100),
                "quality": round(rng.random(), 3),
            },
        }
        for number in range(1000)
    ]
    return [
        msgspec.json.encode(
            {
                "surface": SURFACE,
                "unit_id": f"u-{rng.randrange(100_000)}",
                "context": {
                    "country": rng.choice(["US", "DE", "BR", "IN"]),
                    "device": rng.choice(["ios", "android", "web"]),
                    "hour": rng.randrange(24),
                    "tenure_days": rng.randrange(1000),
                },
                "actions": rng.sample(catalogue, actions_n),
            }
        )
        for _ in range(n)
    ]


def rewards_of(event_ids: Sequence[str]) -> list[bytes]:
    """One reward for each decision."""
    return [
        msgspec.json.encode({"event_id": event_id, "value": 1.0, "name": "click"})
        for event_id in event_ids
    ]


def declare(bench: Bench) -> None:
    """Declare what is measured, and wait until it serves."""
    for kind, spec in DECLARED:
        bench.client.put(
            f"/v1/{kind}/{spec.key}",
            content=msgspec.json.encode(spec),
            headers={"content-type": "application/json"},
        ).raise_for_status()
    body = bodies(2, 1)[0]

    def serves() -> bool | None:
        answer = bench.client.post(
            "/v1/rank", content=body, headers={"content-type": "application/json"}
        )
        return True if answer.status_code == httpx.codes.OK else None

    bench.waiting.until("the surface serves", SETTLE_S, serves)


def metric(bench: Bench, name: str) -> float | None:
    """The sum of a metric's samples; None if there is none."""
    text = bench.client.get("/metrics").text
    found = [
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    ]
    return sum(found) if found else None


@contextmanager
def watched(bench: Bench) -> Iterator[Watched]:
    """Look at drain and journal every now and then while the block runs."""
    found, ended = Watched([], _sizes(bench.journal)), Event()

    def look() -> None:
        while not ended.wait(LOOK_S):
            lag = metric(bench, "bandit_drain_lag_seconds")
            if lag is not None:
                found.lags_s.append(lag)
            for name, (size, _) in _sizes(bench.journal).items():
                first, most = found.grown.get(name, (0, 0))
                found.grown[name] = (first, max(most, size))

    thread = Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def settle(bench: Bench, decisions_n: float) -> None:
    """Wait until so many decisions are stored and learned."""

    def settled() -> bool | None:
        return True if learned(bench.store, POLICY).decisions_n >= decisions_n else None

    bench.waiting.until("everything is learned", SETTLE_S, settled)


def calibrate(
    bench: Bench, *, machine: str, cores: int, python: str, drain_interval_s: float
) -> Calibration:
    """Measure everything.

    Raises:
        Stuck: The service does not keep up with what was asked.
        BadAnswer: It refuses a request.
    """
    declare(bench)
    events: list[str] = []
    settle(bench, 1)
    with watched(bench) as at_rest:
        before = bench.cpu_s()
        bench.sleep(IDLE_S)
        idle = {role: (s - before[role]) / IDLE_S for role, s in bench.cpu_s().items()}
    rest = Rest(idle, at_rest.lag_s, drain_interval_s)
    rank = []
    for actions_n in SIZES:
        asked = [request_of("/v1/rank", body) for body in bodies(actions_n)]
        rank.append(_cost(bench, asked, actions_n, rest, events))
    asked = [request_of("/v1/rewards", body) for body in rewards_of(events[:MOST_EVENTS])]
    reward = _cost(bench, asked, 0, rest, [])
    return Calibration(
        machine=machine,
        cores=cores,
        python=python,
        rank=tuple(rank),
        reward=reward,
        idle=idle,
        rss_mb=bench.rss_mb(),
        pass_s=at_rest.lag_s,
        drain_interval_s=drain_interval_s,
    )


def _cost(
    bench: Bench,
    asked: Sequence[bytes],
    actions_n: int,
    rest: Rest,
    events: list[str],
) -> Cost:
    """Ask for a while with one connection, then with many; who worked how long for it?"""
    table = "decisions" if actions_n else "rewards"

    def keep(answer: bytes) -> None:
        if actions_n and len(events) < MOST_EVENTS:
            events.append(msgspec.json.decode(answer, type=RankAnswer).event_id)

    asyncio.run(closed(bench.port, asked, seconds=WARM_S, connections=1))
    light = asyncio.run(closed(bench.port, asked, seconds=LIGHT_S, connections=1, every=keep))
    known_n = _settled(bench, actions_n)
    bench.store.command("audit_merge")
    (bytes_before, rows_before), began_s = _stored(bench.store, table), bench.monotonic_s()
    before = bench.cpu_s()
    with watched(bench) as seen:
        busy = asyncio.run(closed(bench.port, asked, seconds=BUSY_S, connections=CONNECTIONS))
        api_s = (bench.cpu_s()["api"] - before["api"]) / busy.n
    if actions_n:
        settle(bench, known_n + busy.n)
    else:
        wanted = rows_before + busy.n
        bench.waiting.until(
            "rewards are stored",
            SETTLE_S,
            lambda: True if _stored(bench.store, table)[1] >= wanted else None,
        )
    elapsed_s, after = bench.monotonic_s() - began_s, bench.cpu_s()
    bench.store.command("audit_merge")
    bytes_after, rows_after = _stored(bench.store, table)

    def each(role: str) -> float:
        worked_s, idle_s = after[role] - before[role], rest.idle[role] * elapsed_s
        return max(worked_s - idle_s, MOST_IDLE * worked_s) / busy.n

    rows_a_pass = busy.n / busy.seconds * max(rest.drain_interval_s, seen.lag_s)
    quantiles = np.quantile(light.taken_ms, (np.arange(QUANTILES_N) + 0.5) / QUANTILES_N)
    return Cost(
        actions_n=actions_n,
        api_s=api_s,
        light_ms=tuple(np.round(quantiles, 4).tolist()),
        drain_s=each("drain"),
        clickhouse_s=each("gateway"),
        learn_s=each("learn"),
        request_bytes=float(np.mean([len(one.partition(b"\r\n\r\n")[2]) for one in asked])),
        response_bytes=float(len(busy.answer)),
        journal_bytes=seen.journal_bytes / busy.n,
        stored_bytes=max(bytes_after - bytes_before, 0.0) / max(rows_after - rows_before, 1.0),
        pass_row_s=max(seen.lag_s - rest.pass_s, 0.0) / rows_a_pass,
    )


def _settled(bench: Bench, actions_n: int) -> float:
    """Wait until nothing is under way; how many decisions there are."""
    if not actions_n:
        return 0.0
    answered = [-1.0]

    def steady() -> bool | None:
        found = _stored(bench.store, "decisions")[1]
        known = learned(bench.store, POLICY).decisions_n
        is_steady = found == answered[-1] == known
        answered.append(found)
        return True if is_steady else None

    bench.waiting.until("the log is still", SETTLE_S, steady)
    return answered[-1]


def _stored(store: Store, table: str) -> tuple[float, float]:
    """Bytes on disk and rows of a table."""
    [(size, rows)] = store.rows("audit_bytes", table=table)
    return float(size), float(rows)


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """First and greatest size of each file; both are what it is now."""
    found = {}
    for path in folder.rglob("*.seg"):
        try:
            size = path.stat().st_size
        except FileNotFoundError:  # delivered and removed
            continue
        found[str(path)] = (size, size)
    return found
