import msgspec
import numpy as np
import pytest

from sims.capacity.calibration import Calibration, Cost
from sims.capacity.model import WARM_S, Background, Deployment, Load, Model, times_of

COST = Cost(
    actions_n=10,
    api_s=0.001,
    drain_s=1e-5,
    clickhouse_s=5e-5,
    learn_s=4e-5,
    request_bytes=1000.0,
    response_bytes=200.0,
    journal_bytes=1500.0,
    stored_bytes=100.0,
)
REWARD = msgspec.structs.replace(COST, actions_n=0, api_s=0.0002, learn_s=0.0)
CALIBRATION = Calibration(
    machine="paper",
    cores=2,
    python="3.11",
    rank=(COST, msgspec.structs.replace(COST, actions_n=110, api_s=0.003, journal_bytes=11_500.0)),
    reward=REWARD,
    idle={},
    rss_mb={"api": 200.0, "drain": 100.0},
    pass_s=0.05,
    drain_interval_s=0.2,
)


def test_costs_between_and_beyond_measured_sizes_are_on_the_line() -> None:
    assert CALIBRATION.cost_of(60).api_s == pytest.approx(0.002)
    assert CALIBRATION.cost_of(210).journal_bytes == pytest.approx(21_500.0)
    assert CALIBRATION.cost_of(10).api_s == pytest.approx(0.001)


def test_model_waits_as_theory_says() -> None:
    """One worker that always takes 1 ms, half busy: M/D/1, whose mean wait is ρ ÷ 2(1 − ρ) ms."""
    outcome = Model(
        CALIBRATION, Deployment(workers=1), Load(rankings=500.0, rewards=0.0, actions_n=10)
    ).run(40.0)
    assert outcome.utilisation["API workers"] == pytest.approx(0.5, rel=0.03)
    assert outcome.answered_per_s == pytest.approx(500.0, rel=0.03)
    assert outcome.p50_ms is not None
    assert outcome.p99_ms is not None
    # P(no wait) = 1 − ρ, so that half of all are answered after 1 ms; the tail falls as e^(−θt)
    # with θ = ρ(e^θ − 1), which is 1.256 per ms.
    assert outcome.p50_ms == pytest.approx(1.0, abs=0.05)
    assert outcome.p99_ms == pytest.approx(1.0 + np.log(0.5 / 0.01 * 0.8) / 1.256, rel=0.15)


def test_more_than_workers_can_do_is_not_done_and_piles_up() -> None:
    load = Load(rankings=2000.0, rewards=0.0, actions_n=10)
    outcome = Model(CALIBRATION, Deployment(workers=1), load).run(5.0)
    assert outcome.utilisation["API workers"] == pytest.approx(1.0, abs=0.01)
    assert outcome.queued_n == pytest.approx(1000.0 * (5.0 + WARM_S), rel=0.1)


def test_what_drains_take_and_merges_add_is_seen() -> None:
    load = Load(rankings=800.0, rewards=200.0, actions_n=10)
    quiet = Model(CALIBRATION, Deployment(), load).run(8.0)
    busy = Model(CALIBRATION, Deployment(), load, background=Background(merges=4.0)).run(8.0)
    assert quiet.lag_s is not None
    assert CALIBRATION.pass_s <= quiet.lag_s <= 2 * CALIBRATION.pass_s
    assert quiet.utilisation["ClickHouse"] == pytest.approx(1000 * 5e-5, rel=0.1)
    assert busy.utilisation["ClickHouse"] == pytest.approx(4000 * 5e-5, rel=0.1)
    assert quiet.utilisation["learners"] == pytest.approx(800 * 4e-5, rel=0.15)


def test_equal_seeds_give_equal_outcomes() -> None:
    load = Load(rankings=300.0, rewards=100.0, actions_n=10)
    first, again, other = (
        Model(CALIBRATION, Deployment(hosts=2), load, seed=seed).run(1.0) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_lonely_request_takes_what_it_took_and_a_worker_its_mean() -> None:
    light = np.linspace(2.0, 6.0, 200) ** 2 / 4  # ms
    cost = msgspec.structs.replace(COST, light_ms=tuple(light.tolist()))
    times = times_of(cost)
    assert times.worker.mean() == pytest.approx(COST.api_s)
    np.testing.assert_allclose((times.worker + times.way) * 1000.0, light)
