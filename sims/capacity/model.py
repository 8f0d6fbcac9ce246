"""The whole service as queues: what a deployment does under a load, second by second.

```
arrivals ─▶ API worker (a queue of its own) ─▶ journal of its host ─▶ drain pass ─▶ ClickHouse
                                                                        learners ◀─┘ (queries)
```

A worker serves one request at a time. How long it takes comes from the measured latencies of a
lonely client: their spread around the median is the worker's own (pauses of the interpreter and of
the machine), and the mean is the processor time that a saturated worker needs. What is left of the
median is the way there and back, which nobody queues for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.records import Record
from sims.capacity.calibration import Calibration, Cost
from sims.capacity.events import Clock, Station

LEARN_EVERY_S = 0.1
WARM_S = 3.0
"""Nothing that comes before counts."""
PIECE_S = 0.005
MOST_SPREAD = 0.5
REFRESH_EVERY_S = 10.0


class Deployment(Record, frozen=True, kw_only=True):
    """What there is.

    Attributes:
        hosts: That answer; each has a drain of its own.
        workers: API processes of each host, with a core each.
        clickhouse_cores: Of all shards together.
        learners: Processes over which the policies are spread.
    """

    hosts: int = 1
    workers: int = 2
    clickhouse_cores: int = 1
    learners: int = 1


class Background(Record, frozen=True, kw_only=True):
    """What ClickHouse does besides.

    Attributes:
        merges: Times the work for a row that was measured.
        refresher_cores: Busy with the numbers of reports.
    """

    merges: float = 1.0
    refresher_cores: float = 0.0


NOTHING_ELSE = Background()


class Load(Record, frozen=True, kw_only=True):
    """What is asked, a second."""

    rankings: float
    rewards: float
    actions_n: int


class Outcome(Record, frozen=True, kw_only=True):
    """What a deployment did with a load.

    Attributes:
        answered_per_s: Requests; less than was asked if it is too much.
        p50_ms, p99_ms: Latency of rankings, from the moment they were sent; None of none.
        lag_s, lag_p99_s: What was accepted before a pass of a drain began is stored after so long;
            None if no pass ended.
        utilisation: Share of the time that each part is busy.
        queued_n: Requests that wait in the end.
    """

    answered_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    lag_s: float | None
    lag_p99_s: float | None
    utilisation: dict[str, float]
    queued_n: int


class Times(NamedTuple):
    """Even quantiles of what a request takes, in seconds: of the worker, and besides."""

    worker: NDArray[np.float64]
    way: NDArray[np.float64]


def times_of(cost: Cost) -> Times:
    """A worker's times for one request, whose mean is `api_s`, and the rest of its latency.

    A request that nobody is before takes what it took in the measurement.
    """
    if not cost.light_ms:
        return Times(np.array([cost.api_s]), np.zeros(1))
    light = np.array(cost.light_ms) / 1000.0
    spread = np.maximum(light - np.median(light), 0.0)
    # More spread than the mean has room for is the client's, or of others on the machine.
    most_s = MOST_SPREAD * cost.api_s
    if spread.mean() > most_s:
        spread = spread * (most_s / spread.mean())
    worker = cost.api_s - spread.mean() + spread
    return Times(worker, np.maximum(light - worker, 0.0))


@dataclass
class _Host:
    """One host: its workers and the records that wait for its drain."""

    workers: list[Station]
    drain: Station
    rankings: int = 0
    rewards: int = 0
    lags_s: list[float] = field(default_factory=list)


class Model:
    """A deployment under a load.

    Args:
        calibration: What things cost.
        deployment: What there is.
        load: What is asked.
        background: What ClickHouse does besides.
        seed: Equal seeds give equal outcomes.
    """

    def __init__(
        self,
        calibration: Calibration,
        deployment: Deployment,
        load: Load,
        *,
        background: Background = NOTHING_ELSE,
        seed: int = 1,
    ) -> None:
        self._background = background
        self._calibration = calibration
        self._deployment = deployment
        self._load = load
        self._rng = np.random.default_rng(seed)
        self._clock = Clock()
        self._rank, self._reward = calibration.cost_of(load.actions_n), calibration.reward
        self._times = {False: times_of(self._rank), True: times_of(self._reward)}
        self._hosts = [
            _Host([Station(self._clock) for _ in range(deployment.workers)], Station(self._clock))
            for _ in range(deployment.hosts)
        ]
        self._clickhouse = Station(self._clock, deployment.clickhouse_cores)
        self._learners = [Station(self._clock) for _ in range(deployment.learners)]
        self._unlearned = [0.0] * deployment.learners
        self._taken_s: list[float] = []
        self._answered_n = 0

    def run(self, seconds: float) -> Outcome:
        """Simulate so many seconds, after a moment to get going."""
        for is_reward, rate in ((False, self._load.rankings), (True, self._load.rewards)):
            if rate > 0.0:
                self._next(is_reward, rate)
        for number, host in enumerate(self._hosts):
            # Hosts were not started at the same moment.
            self._clock.after(
                number / len(self._hosts) * self._calibration.drain_interval_s,
                lambda host=host: self._pass(host),  # type: ignore[misc]
            )
        for number in range(len(self._learners)):
            self._clock.after(LEARN_EVERY_S, lambda n=number: self._learn(n))  # type: ignore[misc]
        if self._background.refresher_cores:
            self._refresh()
        self._clock.run(WARM_S + seconds)
        return self._outcome(seconds)

    def _next(self, is_reward: bool, rate: float) -> None:
        """Plan the next request of a Poisson stream."""

        def arrive() -> None:
            self._arrive(is_reward)
            self._next(is_reward, rate)

        self._clock.after(float(self._rng.exponential(1.0 / rate)), arrive)

    def _arrive(self, is_reward: bool) -> None:
        rng, clock = self._rng, self._clock
        host = self._hosts[int(rng.integers(len(self._hosts)))]
        worker = host.workers[int(rng.integers(len(host.workers)))]
        times = self._times[is_reward]
        which, sent_s = int(rng.integers(len(times.worker))), clock.now_s

        def answered() -> None:
            if sent_s >= WARM_S:
                self._answered_n += 1
                if not is_reward:
                    self._taken_s.append(clock.now_s - sent_s + float(times.way[which]))
            if is_reward:
                host.rewards += 1
            else:
                host.rankings += 1

        worker.enter(float(times.worker[which]), answered)

    def _pass(self, host: _Host) -> None:
        """One pass of a drain: deliver what is there, wait for ClickHouse, rest, begin again."""
        clock, calibration = self._clock, self._calibration
        began_s, rankings, rewards = clock.now_s, host.rankings, host.rewards
        host.rankings = host.rewards = 0
        work = rankings * self._rank.clickhouse_s + rewards * self._reward.clickhouse_s
        own = rankings * self._rank.drain_s + rewards * self._reward.drain_s
        longer = rankings * self._rank.pass_row_s + rewards * self._reward.pass_row_s
        whole = max(calibration.pass_s + longer, own)
        # The drain waits for part of ClickHouse's work only; merges and readers come later. What
        # a pass takes by the clock besides is round trips and commits.
        inserting = min(work, whole - own)
        rest = whole - own - inserting

        def stored() -> None:
            taken_s = clock.now_s - began_s
            if began_s >= WARM_S:
                host.lags_s.append(taken_s)
            self._later(self._background.merges * work - inserting)
            for number in range(len(self._learners)):
                self._unlearned[number] += rankings / len(self._learners)
            clock.after(max(calibration.drain_interval_s - taken_s, 0.0), lambda: self._pass(host))

        def sent() -> None:
            clock.after(rest, lambda: self._clickhouse.enter(inserting, stored))

        host.drain.enter(own, sent)

    def _later(self, work_s: float) -> None:
        """Work of ClickHouse that nobody waits for, piece by piece, so that inserts get between."""
        if work_s > 0.0:
            piece = min(work_s, PIECE_S)
            self._clickhouse.enter(piece, lambda: self._later(work_s - piece))

    def _refresh(self) -> None:
        """The refresher's work, every now and then."""
        self._later(self._background.refresher_cores * REFRESH_EVERY_S)
        self._clock.after(REFRESH_EVERY_S, self._refresh)

    def _learn(self, number: int) -> None:
        """A learner learns what is there, then looks again."""
        lessons, self._unlearned[number] = self._unlearned[number], 0.0
        self._learners[number].enter(
            lessons * self._rank.learn_s,
            lambda: self._clock.after(LEARN_EVERY_S, lambda: self._learn(number)),
        )

    def _outcome(self, seconds: float) -> Outcome:
        taken_ms = [taken_s * 1000.0 for taken_s in self._taken_s]
        lags = [lag for host in self._hosts for lag in host.lags_s]
        all_s = WARM_S + seconds
        workers = [worker for host in self._hosts for worker in host.workers]
        return Outcome(
            answered_per_s=self._answered_n / seconds,
            p50_ms=_quantile(taken_ms, 0.5),
            p99_ms=_quantile(taken_ms, 0.99),
            lag_s=math.fsum(lags) / len(lags) if lags else None,
            lag_p99_s=_quantile(lags, 0.99),
            utilisation={
                "API workers": _mean(workers, all_s),
                "drain": _mean([host.drain for host in self._hosts], all_s),
                "ClickHouse": self._clickhouse.utilisation(all_s),
                "learners": _mean(self._learners, all_s),
            },
            queued_n=sum(worker.waiting_n for worker in workers),
        )


def _mean(stations: Sequence[Station], elapsed_s: float) -> float:
    return min(1.0, math.fsum(s.utilisation(elapsed_s) for s in stations) / len(stations))


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
