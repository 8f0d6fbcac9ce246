"""What the capacity model predicts beside what this machine does, right after it was measured.

One API worker; rankings of 30 actions, a number that was not measured, so that the interpolation is
judged too. Throughput with a reward to every third ranking; latency and drain lag at a fifth of it:
at half, the client and all that comes after the worker would need more than a second processor.

The worker has a processor of its own, as the model's workers have; everything else shares the
others, this client first of all where that is allowed. Without, four processes on two processors
made requests wait that no queue of the service held up: 2,663/s were seen and 3,529/s predicted.
"""

import asyncio
import contextlib
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from bandit.cli.simulate_capacity import bench, machine
from bandit.settings import Settings
from bandit.wire import RankAnswer
from sims.capacity.calibration import Calibration
from sims.capacity.load import closed, open_loop, request_of
from sims.capacity.measuring import Bench, bodies, calibrate, rewards_of, watched
from sims.capacity.model import Deployment, Load, Model
from sims.capacity.processes import ROLES, place

ACTIONS_N = 30
REWARDS_EACH = 1 / 3
CONNECTIONS = 8
ONE = Deployment(hosts=1, workers=1, clickhouse_cores=1, learners=1)
TARGET = 0.2
LOAD = 0.2
"""Of the saturation, at which latencies are compared."""
CLIENT_NICE = -10


def capacity(*, rounds: int = 3, seconds: float = 5.0) -> None:
    """Print predicted, measured and their ratio; target: within 20 %."""
    with tempfile.TemporaryDirectory() as name:
        settings = Settings()
        with bench(settings, Path(name) / "service") as running:
            place_all()
            found = calibrate(
                running,
                machine=machine(),
                cores=os.cpu_count() or 1,
                python=platform.python_version(),
                drain_interval_s=settings.drain_interval_s,
            )
            print(f"load average {os.getloadavg()[0]:.1f}; target: within {TARGET:.0%}")
            for line in compared(running, found, rounds, seconds):
                print(line, flush=True)


def place_all() -> None:
    """One processor for the API worker, the others for everybody else."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        print("one processor: the worker has none of its own")
        return
    place(os.getpid(), {role: {first} if role == "api" else set(others) for role in ROLES})
    os.sched_setaffinity(0, others)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, CLIENT_NICE)


def compared(running: Bench, found: Calibration, rounds: int, seconds: float) -> Iterator[str]:
    """One line a figure."""
    rankings = [request_of("/v1/rank", body) for body in bodies(ACTIONS_N, seed=2)]
    events: list[str] = []

    def keep(answer: bytes) -> None:
        events.append(msgspec.json.decode(answer, type=RankAnswer).event_id)

    asyncio.run(closed(running.port, rankings, seconds=1.0, connections=1, every=keep))
    rewards = [request_of("/v1/rewards", body) for body in rewards_of(events)]
    mixed = [one for three in zip(*[iter(rankings)] * 3, rewards, strict=False) for one in three]
    rates = [
        (run.n / run.seconds)
        for run in (
            asyncio.run(closed(running.port, mixed, seconds=seconds, connections=CONNECTIONS))
            for _ in range(rounds)
        )
    ]
    rank_s = found.cost_of(ACTIONS_N).api_s
    mean_s = (rank_s + REWARDS_EACH * found.reward.api_s) / (1.0 + REWARDS_EACH)
    yield line("requests/s at saturation", 1.0 / mean_s, statistics.median(rates))
    rate = statistics.median(rates) * LOAD
    predicted = Model(found, ONE, Load(rankings=rate, rewards=0.0, actions_n=ACTIONS_N)).run(20.0)
    p50, p99, lags, asked_n = [], [], [], 0
    began_s, before = running.monotonic_s(), running.cpu_s()
    for number in range(rounds):
        with watched(running) as seen:
            run = asyncio.run(
                open_loop(running.port, rankings, rate=rate, seconds=seconds, seed=number)
            )
        asked_n += run.n
        p50.append(float(np.quantile(run.taken_ms, 0.5)))
        p99.append(float(np.quantile(run.taken_ms, 0.99)))
        lags.append(seen.lag_s)
    yield line(f"p50 in ms at {rate:,.0f} rankings/s", predicted.p50_ms, statistics.median(p50))
    yield line("p99 in ms there", predicted.p99_ms, statistics.median(p99))
    yield line("drain lag in s there", predicted.lag_s, statistics.median(lags))
    # Who works how long is told also where others keep the processors busy; latencies are not.
    elapsed_s, after = running.monotonic_s() - began_s, running.cpu_s()
    cost = found.cost_of(ACTIONS_N)
    for role, each_s in (
        ("api", cost.api_s),
        ("drain", cost.drain_s),
        ("gateway", cost.clickhouse_s),
        ("learn", cost.learn_s),
    ):
        busy_s = asked_n * each_s + elapsed_s * found.idle[role]
        yield line(
            f"cores of {role} there", busy_s / elapsed_s, (after[role] - before[role]) / elapsed_s
        )


def line(what: str, predicted: float | None, measured: float) -> str:
    """Predicted beside measured."""
    if predicted is None:
        return f"{what}: no prediction, measured {measured:,.3g}"
    return (
        f"{what}: predicted {predicted:,.4g}, measured {measured:,.4g}, "
        f"ratio {predicted / measured:.2f}"
    )
