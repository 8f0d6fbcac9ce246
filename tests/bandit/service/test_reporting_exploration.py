"""The price of exploring, and the floor for a wanted time."""

import random
from typing import Any

import pytest
from msgspec.structs import replace

from bandit.errors import RecordError
from bandit.ope.paired_moments import PairedMoments
from bandit.service.reporting_exploration import (
    Exploration,
    ExplorationQuestion,
    exploration_of,
)
from bandit.service.reporting_ope_words import exploration_in_words
from bandit.specs import PolicySpec, Surface
from bandit.store.paired import DAY_MS, Exploring

SURFACE = Surface(key="home", policy="p", reward_low=0.0)
POLICY = PolicySpec(key="p", type="uniform", floor=0.05)
K, FLOOR = 4, 0.05
CHANCE = (0.5, 0.2, 0.2, 0.2)


def log(n: int = 20_000, **changes: Any) -> Exploring:
    """Two days of a policy that shows the best of four actions but for its floor."""
    rng = random.Random(2)
    rows: dict[tuple[str, str], list[tuple[str, float, float]]] = {}
    for i in range(n):
        best = rng.random() >= (K - 1) * FLOOR
        action = 0 if best else 1 + rng.randrange(K - 1)
        p = 1 - (K - 1) * FLOOR if action == 0 else FLOOR
        reward = float(rng.random() < CHANCE[action])
        day = "2026-09-21" if i < n // 2 else "2026-09-22"
        for target, weight in (("greedy", (action == 0) / p), ("uniform", 1 / K / p)):
            for period in ("", day):
                rows.setdefault((target, period), []).append((f"u{i // 5}", weight, reward))
    moments = {key: PairedMoments.of(*zip(*told, strict=True)) for key, told in rows.items()}
    found = Exploring(
        policy="p",
        decisions_n=n,
        first_ms=1_790_000_000_000,
        last_ms=1_790_000_000_000 + 2 * DAY_MS,
        actions_n=float(K),
        reward_variance=0.24,
        greedy={period: m for (target, period), m in moments.items() if target == "greedy"},
        uniform={period: m for (target, period), m in moments.items() if target == "uniform"},
    )
    return found._replace(**changes)


LOG = log()


def explored(found: Exploring | None = LOG, **question: float) -> Exploration:
    asked = ExplorationQuestion(**question) if question else None
    return exploration_of(found, SURFACE, [POLICY], 0.05, asked)


def test_price_is_what_the_floor_costs_per_day() -> None:
    found = explored()
    assert found.per_day == pytest.approx(10_000)
    true_price = 10_000 * 3 * FLOOR * 0.3
    assert found.price_low < true_price < found.price_high
    assert found.price == pytest.approx(true_price, rel=0.2)
    assert found.spread == pytest.approx(0.3 * 3 / 4, abs=0.04)
    # k · floor · spread per decision is the same by another way.
    assert found.price == pytest.approx(K * FLOOR * found.spread * found.per_day, rel=0.2)
    assert [(day.day, day.decisions_n) for day in found.by_day] == [
        ("2026-09-21", 10_000), ("2026-09-22", 10_000),
    ]  # fmt: skip
    assert sum(day.price for day in found.by_day) == pytest.approx(2 * found.price, rel=0.05)


def test_plan_says_how_long_and_which_floor_is_enough() -> None:
    plan = explored(difference=0.05, days=3.0).plan
    assert plan is not None
    assert plan.days_at_floor is not None
    assert plan.floor_wanted is not None
    at_once = explored(difference=0.05, days=plan.days_at_floor).plan
    assert at_once is not None
    assert at_once.floor_wanted == pytest.approx(FLOOR, rel=1e-3)
    price = K * plan.floor_wanted * explored().spread * 10_000
    assert plan.price_wanted == pytest.approx(price)


@pytest.mark.parametrize(
    ("policy", "changes", "question", "reason"),
    [
        (replace(POLICY, floor=0.0), {}, {"difference": 0.05}, "no_floor"),
        (POLICY, {}, {"difference": 0.001, "days": 0.1}, "too_soon"),
        (POLICY, {"actions_n": 1.0}, {"difference": 0.05}, "one_action"),
        (replace(POLICY, floor=0.9), {}, {"difference": 0.05}, "never"),
    ],
)
def test_plan_that_can_not_be_made_says_why(
    policy: PolicySpec, changes: dict[str, Any], question: dict[str, float], reason: str
) -> None:
    found = exploration_of(
        LOG._replace(**changes), SURFACE, [policy], 0.05, ExplorationQuestion(**question)
    )
    assert found.plan is not None
    assert found.plan.reason == reason
    assert any("enough" in line or "floor" in line or "action" in line
               for line in exploration_in_words(found)[1:])  # fmt: skip


def test_log_that_can_not_tell_has_no_price() -> None:
    few = log(n=20)
    found = explored(few)
    assert (found.price, found.price_low, found.spread) == (None, None, None)
    assert found.greedy is not None
    assert found.greedy.value is None
    assert "can not tell" in exploration_in_words(found)[0]


@pytest.mark.parametrize("found", [None, LOG._replace(policy="another")])
def test_policy_without_decisions_is_said_so(found: Exploring | None) -> None:
    assert explored(found).reason == "no_decisions"
    assert exploration_in_words(explored(found)) == ["No decision of p counts yet."]


@pytest.mark.parametrize(
    "question",
    [{"difference": 0.0}, {"difference": 0.1, "days": -1.0}, {"difference": 0.1, "changes": 1.5}],
)
def test_question_that_makes_no_sense_is_refused(question: dict[str, float]) -> None:
    with pytest.raises(RecordError, match="must be"):
        ExplorationQuestion(**question)
