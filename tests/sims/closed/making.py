"""Rounds, stories and reports, as small as can be."""

from typing import Any

import msgspec

from bandit.records import Action
from bandit.stats import Effect
from sims.closed.books import Story
from sims.closed.population import Population
from sims.worlds.base import Round


def round_of(*rewards: float, unit: str = "u", ids: str = "abcdefgh") -> Round:
    return Round(
        unit_id=unit,
        context=b"{}",
        actions=tuple(Action.of(id_) for id_ in ids[: len(rewards)]),
        rewards=rewards,
        expected=rewards,
    )


POPULATION = Population([round_of(1.0, 0.0), round_of(1.0, 1.0), round_of(0.0, 1.0)])


def story(**changes: Any) -> Story:
    made = Story(0, "uniform", "e", 0, 0, 0.0, 1.0, "on_time", 1)
    return made._replace(**changes)


def effect(low: float | None, high: float | None, value: float | None = 0.1) -> Effect:
    fields = {
        "control": 0.4,
        "treatment": 0.5,
        "control_n": 10,
        "treatment_n": 10,
        "method": "t",
        "alpha": 0.05,
        "effect": value,
        "effect_ci_low": low,
        "effect_ci_high": high,
        "std_error": 0.05,
    }
    return msgspec.convert(fields, Effect)
