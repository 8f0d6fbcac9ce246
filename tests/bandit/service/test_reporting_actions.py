"""Reports about single actions, against scores made from the rows one by one."""

import random
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

from bandit.errors import NotDeclared, RecordError
from bandit.service.reporting_actions import (
    ActionReports,
    ActionsReport,
    foretold,
    period_weights,
)
from bandit.specs import KILL_SWITCH, PolicySpec, Surface
from bandit.stats import aipw_scores, check_propensities, effective_draws
from bandit.stats.allocation import Propensities
from bandit.store.action_numbers import ActionNumbers, Periods, PeriodSums
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.migrations import migrate
from bandit.store.reports import Scope
from tests.bandit.logs import T0, LogMaker

LATER = T0 + 3_600_000
SURFACE = Surface(key="home", policy="random", join_window_s=1.0)
K = 3
NAMES = [f"a{i}" for i in range(K)]


class Row(NamedTuple):
    """What one decision that tells of its actions logged."""

    ts_ms: int
    unit: str
    arm: int
    reward: float
    pmf: list[float]


def declare(store: Store) -> None:
    for spec in (PolicySpec(key="random", type="uniform"), SURFACE):
        Definitions(store).put(spec, expected=None, author="test", change_id=spec.key, now_ms=T0)


class Told(NamedTuple):
    """A store that the tests only read, and what it was told."""

    store: Store
    rows: list[Row]

    def report(self, **given: object) -> ActionsReport:
        return ActionReports(self.store, lambda: LATER).actions("home", **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def told(clickhouse_url: str) -> Iterator[Told]:
    store = Store.connect(clickhouse_url, database=f"test_{uuid.uuid4().hex}")
    migrate(store)
    declare(store)
    yield Told(store, log_of(store))
    store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
    store.close()


def log_of(
    store: Store, *, start_ms: int = T0, n: int = 400, odd: bool = True, writer: str = "w1"
) -> list[Row]:
    """A policy that comes to like a2, over units that come back; with `odd`, what tells nothing."""
    rng, log, rows = random.Random(3), LogMaker(store, start_ms=start_ms), []
    for number in range(n):
        unit, liking = f"u{rng.randrange(300)}", 0.2 + 0.6 * number / n
        out = [1] if rng.random() < 0.2 else []
        pmf = [0.0 if a in out else 1.0 for a in range(K)]
        pmf[2] = 2.0 * liking / (1.0 - liking)
        pmf = [float(np.float32(p / sum(pmf))) for p in pmf]
        [arm] = rng.choices(range(K), pmf)
        kind = rng.choice(["", "", "", "pinned", "overridden", "forced", "killed", "certain"])
        kind = kind if odd else ""
        policy = KILL_SWITCH if kind == "killed" else "random"
        certain = kind in ("killed", "certain", "pinned")
        decision = log.decide(
            10 * number,
            unit=unit,
            writer=writer,
            actions_n=K,
            exclude=[f"a{a}" for a in out],
            ranking=(arm,),
            propensities=(1.0 if certain else pmf[arm],),
            pmf=[float(a == arm) for a in range(K)] if kind in ("killed", "certain") else pmf,
            policy=policy,
            pinned=(0,) if kind == "pinned" else (),
            forced=kind == "forced",
            experiment="e" if kind == "forced" else "",
            variant="c" if kind == "forced" else "",
        )
        value = 0.0
        if rng.random() < 0.2 + 0.25 * arm:
            value = 1.0
            log.reward(decision, value, writer=writer)
        if kind == "overridden":
            log.expose(decision, (), writer=writer, overridden=((0, "editorial"),))
        if not kind:
            rows.append(Row(decision.ts_ms, unit, arm, value, pmf))
    log.deliver(times=2)
    return rows


def clustered(totals: dict[str, float], sizes: dict[str, float]) -> tuple[float, float]:
    """Σ totals ÷ Σ sizes and its standard error over units, from their residuals."""
    units = list(sizes)
    value = sum(totals.values()) / sum(sizes.values())
    left = np.array([totals[u] - value * sizes[u] for u in units])
    n = len(units)
    return value, float(np.sqrt(n / (n - 1) * (left**2).sum()) / sum(sizes.values()))


def scored(rows: list[Row], numbers: PeriodSums, periods: Periods) -> np.ndarray:
    """Scores of every action at every row; NaN where it could not be drawn."""
    at = [(row.ts_ms - periods.first_ms) // periods.step_ms for row in rows]
    pmf = np.array([row.pmf for row in rows])
    scores = aipw_scores(
        [row.arm for row in rows], [row.reward for row in rows], pmf, foretold(numbers)[:, at].T
    )
    return np.where(pmf > 0.0, scores, np.nan)


def test_values_are_the_means_of_scores_made_row_by_row(told: Told) -> None:
    rows, report = told.rows, told.report(reference="a0")
    numbers, scope = ActionNumbers(told.store), Scope(SURFACE, LATER)
    periods = Periods.of(numbers.left_out(scope), 50)
    scores = scored(rows, numbers.by_period(scope, NAMES, periods), periods)
    assert report.judged_n == len(rows)
    assert {value.action for value in report.actions} == set(NAMES)
    worth = effective_draws([row.arm for row in rows], [row.pmf for row in rows])
    for value in report.actions:
        place = NAMES.index(value.action)
        sums: dict[str, dict[str, float]] = {
            name: defaultdict(float) for name in ("score", "n", "gap", "both")
        }
        for row, score in zip(rows, scores, strict=True):
            if np.isnan(score[place]):
                continue
            sums["n"][row.unit] += 1.0
            sums["score"][row.unit] += score[place]
            sums["gap"][row.unit] += score[place] - score[0]
            sums["both"][row.unit] += 1.0
        wanted = clustered(sums["score"], sums["n"])
        assert (value.value.value, value.value.std_error) == pytest.approx(wanted)
        assert value.effective_n == pytest.approx(worth[place])
        assert value.eligible_n == sum(sums["n"].values())
        assert value.drawn_n == sum(row.arm == place for row in rows)
        if place:
            assert value.difference is not None
            got = value.difference.value, value.difference.std_error
            assert got == pytest.approx(clustered(sums["gap"], sums["both"]))
        else:
            assert value.difference is None


def test_hajek_is_the_ratio_of_inverse_propensity_sums(told: Told) -> None:
    for value in told.report().actions:
        place = NAMES.index(value.action)
        own = [row for row in told.rows if row.arm == place]
        wanted = sum(row.reward / row.pmf[place] for row in own) / sum(
            1.0 / row.pmf[place] for row in own
        )
        assert value.hajek.value == pytest.approx(wanted)
        assert value.hajek.anytime_reason == "one_look_only"


def test_what_tells_nothing_is_counted_by_its_reason(told: Told) -> None:
    report = told.report()
    left = report.not_judged
    assert 0 not in (left.forced_n, left.pinned_n, left.overridden_n, left.killed_n, left.certain_n)
    counted = left.forced_n + left.pinned_n + left.overridden_n + left.killed_n + left.certain_n
    assert counted + left.unseen_n + report.judged_n == 400
    assert report.judged_n == len(told.rows)


def test_audit_is_of_every_draw_and_finds_propensities_that_were_not_drawn_from(
    store: Store,
) -> None:
    declare(store)
    rows = log_of(store, n=200, odd=False)
    report = ActionReports(store, lambda: LATER).actions("home")
    assert report.audit == "fine"
    for value in report.actions:
        place = NAMES.index(value.action)
        pairs = [(row.arm == place, row.pmf[place]) for row in rows if row.pmf[place] > 0.0]
        assert value.audit.z == pytest.approx(check_propensities(Propensities.of(pairs)).z)
    log = LogMaker(store, start_ms=T0 + 100_000)
    for number in range(200):  # a0 is drawn always, and logged as if it were drawn half the time
        log.decide(number, unit=f"v{number}", writer="w2", actions_n=2, propensities=(0.5,))
    log.deliver()
    wrong = ActionReports(store, lambda: LATER).actions("home")
    assert wrong.audit == "mismatch"
    assert {value.action: value.audit.verdict for value in wrong.actions}["a0"] == "mismatch"


def test_action_that_was_drawn_a_few_times_has_no_interval(store: Store) -> None:
    declare(store)
    log = LogMaker(store)
    for number in range(200):
        arm = int(number % 50 == 0)
        decision = log.decide(
            number,
            unit=f"u{number}",
            actions_n=2,
            ranking=(arm,),
            propensities=(0.02 if arm else 0.98,),
            pmf=[0.98, 0.02],
        )
        log.reward(decision, float(number % 3 == 0))
    log.deliver()
    often, seldom = ActionReports(store, lambda: LATER).actions("home").actions
    assert (often.action, seldom.action, seldom.drawn_n) == ("a0", "a1", 4)
    assert often.value.reason is None
    assert often.value.anytime_ci_low is not None
    assert (seldom.value.reason, seldom.value.ci_low) == ("few_draws", None)
    assert seldom.difference is not None
    assert seldom.difference.reason == "few_draws"
    assert seldom.value.value is not None


def test_interval_for_every_look_waits_for_units_and_is_the_wider_one(told: Told) -> None:
    often = told.report().actions[0].value
    assert often.anytime_ci_low is not None
    assert often.anytime_ci_high is not None
    assert often.ci_low is not None
    assert often.ci_high is not None
    assert often.anytime_ci_low < often.ci_low < often.ci_high < often.anytime_ci_high
    early = told.report(at_ms=T0 + 1700).actions[0].value
    assert (early.anytime_reason, early.anytime_ci_low) == ("few_units", None)
    assert early.ci_low is not None


def test_report_of_the_past_says_the_same_later(store: Store) -> None:
    declare(store)
    log_of(store, n=60)
    reports = ActionReports(store, lambda: LATER)
    before = reports.actions("home", at_ms=T0 + 30_000)
    log_of(store, n=60, start_ms=T0 + 40_000, writer="w2")
    assert reports.actions("home", at_ms=T0 + 30_000) == before
    assert before.judged_n < reports.actions("home").judged_n


def test_decisions_before_a_time_are_left_out(told: Told) -> None:
    middle = told.rows[len(told.rows) // 2].ts_ms
    late = told.report(since_ms=middle)
    assert late.judged_n == sum(row.ts_ms >= middle for row in told.rows)
    every = {value.action: value.audit.drawn for value in told.report().actions}
    assert all(value.audit.drawn < every[value.action] for value in late.actions)


def test_surface_without_decisions_has_an_empty_report(told: Told) -> None:
    report = told.report(at_ms=T0 - 1)
    assert (report.actions, report.reference, report.judged_n) == ((), None, 0)
    assert report.audit == "unknown"


def test_only_what_nothing_was_drawn_for_tells_of_no_action(store: Store) -> None:
    declare(store)
    log = LogMaker(store)
    for number in range(20):
        log.decide(number, actions_n=2, propensities=(1.0,), pmf=[1.0, 0.0], policy=KILL_SWITCH)
    log.deliver()
    [value] = ActionReports(store, lambda: LATER).actions("home").actions
    assert (value.shown_n, value.mean) == (20, 0.0)
    assert value.value.reason == "never_eligible"
    assert value.audit.reason == "no_decisions"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 0.0}, "alpha is 0.0, must be in (0, 1)"),
        ({"limit": 0}, "limit is 0, must be in 1 to 100"),
        ({"limit": 101}, "limit is 101, must be in 1 to 100"),
        ({"reference": "a9"}, "reference is 'a9', must be one of the 3 reported actions"),
        ({"surface_version": 2}, "surface_version is 2, must be in 1 to 1"),
    ],
)
def test_argument_out_of_its_range_is_refused(
    told: Told, given: dict[str, object], message: str
) -> None:
    with pytest.raises(RecordError, match=re.escape(message)):
        told.report(**given)


def test_project_sees_its_own_surfaces_only(told: Told) -> None:
    with pytest.raises(NotDeclared):
        ActionReports(told.store, lambda: LATER, "other").actions("home")


def test_limit_keeps_the_most_shown(told: Told) -> None:
    every, report = told.report(), told.report(limit=1)
    assert (len(report.actions), report.actions_n, len(every.actions)) == (1, 3, 3)
    assert report.actions[0].shown_n == max(value.shown_n for value in every.actions)


def test_prediction_uses_the_past_only() -> None:
    sums = PeriodSums(*np.array([[[4.0, 4.0, 4.0]] * 2] * 4))
    sums = sums._replace(
        drawn=np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 3.0]]),
        reward=np.array([[3.0, 0.0, 9.0], [0.0, 0.0, 9.0]]),
    )
    # Before the first period nothing is known; then (3 + 1.5) ÷ 3, and the common mean 1.5.
    assert foretold(sums).tolist() == [[0.0, 1.5, 1.5], [0.0, 1.5, 1.5]]
    later = sums._replace(reward=sums.reward + np.array([[0.0, 0.0, 5.0], [0.0, 0.0, 5.0]]))
    assert foretold(later).tolist() == foretold(sums).tolist()


def test_weights_come_from_the_last_period_in_which_an_action_could_be_drawn() -> None:
    eligible = np.array([[10.0, 0.0, 10.0, 10.0], [10.0, 10.0, 10.0, 10.0]])
    sums = PeriodSums(eligible, eligible * 0.25, eligible, eligible)
    weights = period_weights(sums)
    assert weights.shape == (2, 4)
    assert (weights > 0.0).all()
    # a0 was away for a period: what was known of it stays.
    assert weights[0].tolist() == weights[1].tolist()
    moved = sums._replace(propensity=eligible * [[0.25, 0.0, 0.9, 0.9], [0.25] * 4])
    assert period_weights(moved)[0, :3].tolist() == weights[0, :3].tolist()
    assert period_weights(moved)[0, 3] != weights[0, 3]


def test_a_time_that_is_still_to_come_is_taken_for_now(told: Told) -> None:
    # It was answered as of then, and another answer would have been given when it came.
    assert told.report(at_ms=LATER + 3_600_000, limit=1).as_of_ms == LATER
