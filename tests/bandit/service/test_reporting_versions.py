"""Reports by the reward rules of an older version of a surface, against numbers by hand."""

import msgspec
import pytest

from bandit.errors import RecordError
from bandit.store.client import Store
from tests.bandit.logs import T0, LogMaker
from tests.bandit.service.making_reports import (
    EXPERIMENT,
    SPECS,
    SURFACE,
    declare,
    redeclare,
    service,
)

FORMULAS = [
    msgspec.structs.replace(SURFACE, reward_weights={"click": 1.0}),
    msgspec.structs.replace(
        SURFACE,
        reward_weights={"click": 1.0, "share": 3.0, "report": -5.0},
        reward_low=-5.0,
        reward_high=4.0,
    ),
]


def test_history_is_told_by_the_reward_formula_of_any_version(store: Store):
    declare(store, *SPECS[:4], FORMULAS[0], EXPERIMENT)
    redeclare(store, FORMULAS[1], expected=1, now_ms=T0 + 1)
    log = LogMaker(store)
    # By hand, under version 1 and 2: 1 and 4; 0 and 3; 1 and −4; 0 and −5; 0 and 0; 0 and 0.
    named = [("click", "share"), ("share",), ("click", "report"), ("report",), ("other",), ()]
    for n in range(60):  # each ten times: six decisions are too few for a policy's value
        names = named[n % 6]
        decision = log.decide(
            n, unit=f"u{n}", experiment="e", variant="ct"[n % 2], policy="random", shadows={}
        )
        for name in names:
            log.reward(decision, 1.0, name=name)
    log.deliver(times=2)
    reports = service(store)
    expected = {1: [1.0, 0.0, 1.0, 0.0, 0.0, 0.0], 2: [4.0, 3.0, -4.0, -5.0, 0.0, 0.0]}
    for version, earned in expected.items():
        experiment = reports.experiment("e", surface_version=version)
        surface = reports.surface("home", surface_version=version)
        assert (experiment.surface_version, surface.surface_version, surface.version) == (
            version,
            version,
            2,
        )
        sums = [10 * sum(earned[::2]), 10 * sum(earned[1::2])]
        assert [v.reward_sum for v in experiment.variants] == sums
        effect = experiment.effects[0].effect
        assert effect.control == pytest.approx(sum(earned[::2]) / 3)
        assert effect.treatment == pytest.approx(sum(earned[1::2]) / 3)
        assert surface.policies[0].reward_sum == sum(sums)
        assert surface.values[0].snips.value == pytest.approx(sum(earned) / 6)
        assert experiment.series.running[-1].total_reward == sums[1]
    assert reports.experiment("e") == experiment
    redeclare(store, msgspec.structs.replace(SURFACE, description="new"), expected=2)
    again = reports.experiment("e", surface_version=2)
    assert [v.reward_sum for v in again.variants] == [0.0, -20.0]


def test_an_older_version_gives_its_window_and_default_too_and_nothing_else(store: Store):
    old = msgspec.structs.replace(SURFACE, join_window_s=0.1, default_reward=0.5)
    declare(store, *SPECS[:4], old)
    redeclare(store, msgspec.structs.replace(SURFACE, policy="vw"), expected=1)
    log = LogMaker(store)
    log.reward(log.decide(0), 1.0, after_ms=500)
    log.deliver()
    got = {n: service(store).surface("home", surface_version=n) for n in (1, 2)}
    assert {n: found.policies[1].reward_sum for n, found in got.items()} == {1: 0.5, 2: 1.0}
    assert {found.policy for found in got.values()} == {"vw"}


@pytest.mark.parametrize("version", [0, 3, -1])
def test_a_version_that_there_is_not_is_refused(store: Store, version: int):
    declare(store, *SPECS[:4], SURFACE, EXPERIMENT)
    redeclare(store, SURFACE, expected=1)
    with pytest.raises(RecordError, match=f"surface_version is {version}, must be in 1 to 2"):
        service(store).surface("home", surface_version=version)
    with pytest.raises(RecordError, match="must be in 1 to 2"):
        service(store).experiment("e", surface_version=version)
