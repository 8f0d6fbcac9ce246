"""What a demand needs, and what saturates first as it grows."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from bandit.records import Record
from sims.capacity.calibration import Calibration
from sims.capacity.demand import Demand
from sims.capacity.model import Background, Deployment, Load

MOST_BUSY = 0.6
"""Of every part at the busiest moment: what is left is for a host that is away, and for bursts."""
CORES_PER_HOST = 16
OTHER_CORES = 2
"""Of a host: its drain, and the machine."""
SPARE_HOSTS = 1
MERGES = 2.0
"""Times what was measured of ClickHouse: parts of a long log are merged oftener than a minute's."""
REFRESHER_CORES = 0.5
"""The refresher uses at most half of one processor."""
REPLICAS = 2
KEPT_DAYS = 90
HEADERS_BYTES = 300.0
"""Of HTTP and TCP, a request and its answer together, beside the bodies."""
SATURATED = 1.0


class Part(Record, frozen=True, kw_only=True):
    """One part of the service under a demand.

    Attributes:
        name: What it is.
        utilisation: At the busiest moment, of what the deployment has.
        users: A day, with which it would be busy all of the busiest moment.
    """

    name: str
    utilisation: float
    users: float


class Needs(Record, frozen=True, kw_only=True):
    """What a demand needs.

    Attributes:
        peak_per_s: Rankings a second at the busiest moment.
        deployment: Hosts and processes of the service, the spare host too.
        cores_per_host, memory_gb_per_host: Of hosts that answer.
        api_cores, drain_cores, learner_cores, clickhouse_cores: Busy at the busiest moment.
        journal_mb_per_s: What a host writes.
        clickhouse_gb_per_day: Merged, one replica.
        clickhouse_tb: All replicas, of `KEPT_DAYS`.
        network_in_mb_per_s, network_out_mb_per_s: Of clients, at the busiest moment.
        parts: What is nearest to its end first.
    """

    demand: Demand
    peak_per_s: float
    deployment: Deployment
    cores_per_host: int
    memory_gb_per_host: float
    api_cores: float
    drain_cores: float
    learner_cores: float
    clickhouse_cores: float
    journal_mb_per_s: float
    clickhouse_gb_per_day: float
    clickhouse_tb: float
    network_in_mb_per_s: float
    network_out_mb_per_s: float
    parts: tuple[Part, ...]


def assumptions(calibration: Calibration) -> list[str]:
    """What the numbers rest on, for whoever reads them."""
    sizes = ", ".join(str(cost.actions_n) for cost in calibration.rank)
    return [
        f"costs are of {calibration.machine}, {calibration.cores} cores, Python "
        f"{calibration.python}; rankings of {sizes} actions were measured, others are interpolated",
        "every API worker, drain and learner has a core when it wants one; requests are spread "
        "evenly over workers, surfaces over learners; one policy learns in one process; a drain "
        "waits for each pass",
        f"nothing is busier than {MOST_BUSY:.0%} at the peak, and {SPARE_HOSTS} host is spare",
        f"hosts have {CORES_PER_HOST} cores at most, {OTHER_CORES} of them for drain and machine",
        f"ClickHouse works {MERGES:g} times as long for a row as measured (merges of a long log), "
        f"and {REFRESHER_CORES:g} cores for reports; its work is spread over shards",
        f"{REPLICAS} replicas, {KEPT_DAYS} days kept; {HEADERS_BYTES:g} B of headers a request",
        "the day is a cosine with one peak; arrivals are Poisson; no client repeats itself",
    ]


def load_of(demand: Demand, rankings: float) -> Load:
    """Requests a second that come with so many rankings."""
    return Load(
        rankings=rankings, rewards=rankings * demand.rewards_each, actions_n=demand.actions_n
    )


def background_of(demand: Demand) -> Background:
    """What ClickHouse does besides."""
    return Background(merges=MERGES, refresher_cores=REFRESHER_CORES if demand.experiments else 0.0)


def cores_of(calibration: Calibration, demand: Demand, rankings: float) -> dict[str, float]:
    """Cores that are busy with so many rankings a second: by part, and of the busiest policy."""
    rank, reward = calibration.cost_of(demand.actions_n), calibration.reward
    rewards = rankings * demand.rewards_each
    learning = rankings * rank.learn_s + rewards * reward.learn_s
    background = background_of(demand)
    return {
        "API workers": rankings * rank.api_s + rewards * reward.api_s,
        # One pass at a time, whatever it waits for: by the clock, not by the processor.
        "drain": rankings * max(rank.drain_s, rank.pass_row_s)
        + rewards * max(reward.drain_s, reward.pass_row_s),
        "ClickHouse": background.merges
        * (rankings * rank.clickhouse_s + rewards * reward.clickhouse_s)
        + background.refresher_cores,
        "learners": learning,
        "learner of one policy": learning / demand.surfaces,
    }


def capacity_of(deployment: Deployment) -> dict[str, float]:
    """Cores that each part has."""
    return {
        "API workers": float(deployment.hosts * deployment.workers),
        "drain": float(deployment.hosts),
        "ClickHouse": float(deployment.clickhouse_cores),
        "learners": float(deployment.learners),
        "learner of one policy": 1.0,
    }


def deployment_for(calibration: Calibration, demand: Demand) -> Deployment:
    """The smallest deployment in which nothing is busier than `MOST_BUSY` at the peak."""
    busy = {
        name: cores / MOST_BUSY
        for name, cores in cores_of(calibration, demand, demand.peak_rate).items()
    }
    most = CORES_PER_HOST - OTHER_CORES
    # A host has one drain: where that is what is short, more hosts with fewer workers are needed.
    hosts = max(math.ceil(busy["API workers"] / most), math.ceil(busy["drain"]), 1)
    workers = max(math.ceil(busy["API workers"] / hosts), 1)
    return Deployment(
        hosts=hosts + SPARE_HOSTS,
        workers=workers,
        clickhouse_cores=max(math.ceil(busy["ClickHouse"]), 1),
        learners=min(max(math.ceil(busy["learners"]), 1), demand.surfaces),
    )


def parts_of(calibration: Calibration, demand: Demand, deployment: Deployment) -> tuple[Part, ...]:
    """Every part at the busiest moment, the one that saturates first on top."""
    has = capacity_of(deployment)

    def utilisation(name: str, users: float) -> float:
        grown = _grown(demand, users)
        return cores_of(calibration, grown, grown.peak_rate)[name] / has[name]

    parts = [
        Part(
            name=name,
            utilisation=utilisation(name, demand.users),
            users=_solve(lambda users, name=name: utilisation(name, users), demand.users),  # type: ignore[misc]
        )
        for name in has
    ]
    return tuple(sorted(parts, key=lambda part: part.users))


def needs_of(
    calibration: Calibration, demand: Demand, deployment: Deployment | None = None
) -> Needs:
    """What a demand needs; of a given deployment, how it fares."""
    deployment = deployment or deployment_for(calibration, demand)
    rank, reward = calibration.cost_of(demand.actions_n), calibration.reward
    peak, each = demand.peak_rate, demand.rewards_each
    busy = cores_of(calibration, demand, peak)
    rss = calibration.rss_mb
    memory = deployment.workers * rss.get("api", 0.0) + rss.get("drain", 0.0)
    per_day = demand.decisions * (rank.stored_bytes + each * reward.stored_bytes)

    def a_second(of_rank: float, of_reward: float) -> float:
        return peak * (of_rank + each * of_reward) / 1e6

    return Needs(
        demand=demand,
        peak_per_s=peak,
        deployment=deployment,
        cores_per_host=deployment.workers + OTHER_CORES,
        memory_gb_per_host=memory / 1024.0,
        api_cores=busy["API workers"],
        drain_cores=busy["drain"],
        learner_cores=busy["learners"],
        clickhouse_cores=busy["ClickHouse"],
        journal_mb_per_s=a_second(rank.journal_bytes, reward.journal_bytes) / deployment.hosts,
        clickhouse_gb_per_day=per_day / 1e9,
        clickhouse_tb=per_day * KEPT_DAYS * REPLICAS / 1e12,
        network_in_mb_per_s=a_second(
            rank.request_bytes + HEADERS_BYTES, reward.request_bytes + HEADERS_BYTES
        ),
        network_out_mb_per_s=a_second(
            rank.response_bytes + HEADERS_BYTES, reward.response_bytes + HEADERS_BYTES
        ),
        parts=parts_of(calibration, demand, deployment),
    )


def by_load(
    calibration: Calibration, demand: Demand, deployment: Deployment, users: Sequence[float]
) -> dict[str, list[float]]:
    """Utilisation of every part at the peak, by users a day; above 1 it does not keep up."""
    has = capacity_of(deployment)
    found: dict[str, list[float]] = {name: [] for name in has}
    for each in users:
        grown = _grown(demand, each)
        for name, cores in cores_of(calibration, grown, grown.peak_rate).items():
            found[name].append(cores / has[name])
    return found


def hours(
    calibration: Calibration, demand: Demand, deployment: Deployment
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Utilisation of the API workers at each hour of the day."""
    has = capacity_of(deployment)["API workers"]
    return np.array(
        [cores_of(calibration, demand, demand.rate_at(h))["API workers"] / has for h in range(24)]
    )


def _grown(demand: Demand, users: float) -> Demand:
    fields = {name: getattr(demand, name) for name in Demand.__struct_fields__}
    return Demand(**(fields | {"users": users}))


def _solve(utilisation: Callable[[float], float], users: float) -> float:
    """Users at which a part is saturated; utilisation is linear in them but for a constant."""
    base, here = utilisation(1e-9), utilisation(users)
    slope = (here - base) / users
    return max((SATURATED - base) / slope, 0.0) if slope > 0.0 else math.inf
