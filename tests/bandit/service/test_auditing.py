"""The running propensity audit, against logs that are right and logs that are wrong in some way."""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from bandit.records import Decision
from bandit.service.auditing import NEED_N, PropensityAudit, Verdict
from bandit.service.probabilities import pack

ALARM_Z = 6.0
Corrupt = Callable[[np.ndarray, int, np.random.Generator], tuple[int, float]]


def decision(pmf: np.ndarray, drawn: int, propensity: float, **changes: object) -> Decision:
    given = {
        "ts_ms": 1,
        "surface": "home",
        "event_id": "e",
        "unit_id": "u",
        "policy": "p",
        "snapshot": 1,
        "request": b"{}",
        "pmf": pack(tuple(pmf)),
        "ranking": (drawn,),
        "propensities": (propensity,),
        "floor": 0.005,
        "seed": 1,
    } | changes
    return Decision(**given)  # type: ignore[arg-type]


def pmfs(rng: np.random.Generator, n: int, k: int = 10) -> Iterator[np.ndarray]:
    """Mostly sure of one action, with a floor, as a trained policy is."""
    for _ in range(n):
        pmf = np.full(k, 0.005)
        pmf[rng.integers(k)] += 1 - pmf.sum()
        yield (pmf * 0.9 + 0.1 * rng.dirichlet(np.ones(k))).astype(np.float32).astype(float)


def audited(corrupt: Corrupt, *, n: int, seed: int = 7, good_n: int = 0) -> Verdict:
    """What the audit says of a log that is right for a while, and then what `corrupt` makes it."""
    rng, audit = np.random.default_rng(seed), PropensityAudit()
    for index, pmf in enumerate(pmfs(rng, good_n + n)):
        drawn = int(rng.choice(pmf.size, p=pmf / pmf.sum()))
        propensity = float(pmf[drawn])
        if index >= good_n:
            drawn, propensity = corrupt(pmf, drawn, rng)
        audit.add(decision(pmf, drawn, propensity))
    (verdict,) = audit.verdicts()
    return verdict


def right(pmf: np.ndarray, drawn: int, _: np.random.Generator) -> tuple[int, float]:
    return drawn, float(pmf[drawn])


def greedy(pmf: np.ndarray, _: int, __: np.random.Generator) -> tuple[int, float]:
    """The likeliest action is always shown, and its probability is logged all the same."""
    return int(pmf.argmax()), float(pmf.max())


def another_floor(pmf: np.ndarray, drawn: int, rng: np.random.Generator) -> tuple[int, float]:
    """It was drawn from a mixture with twice the exploration that the log knows of."""
    if rng.random() < 0.1:
        drawn = int(rng.integers(pmf.size))
    return drawn, float(pmf[drawn])


def clipped(pmf: np.ndarray, drawn: int, _: np.random.Generator) -> tuple[int, float]:
    """Small propensities are logged as larger than they were, the classic "stabilisation"."""
    return drawn, max(0.05, float(pmf[drawn]))


def always_first(pmf: np.ndarray, _: int, __: np.random.Generator) -> tuple[int, float]:
    return 0, float(pmf[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_right_log_raises_no_alarm(seed: int) -> None:
    verdict = audited(right, n=6_000, seed=seed)
    assert verdict.mismatches_n == 0
    assert verdict.decisions_n == 6_000
    assert set(verdict.z) == {"inverse", "likeliest", "first"}
    assert max(map(abs, verdict.z.values())) < 4.4


@pytest.mark.parametrize(
    ("corrupt", "check"),
    [
        (greedy, "likeliest"),
        (another_floor, "inverse"),
        (clipped, "inverse"),
        (always_first, "first"),
    ],
)
def test_a_wrong_log_raises_one_also_after_a_right_time(corrupt: Corrupt, check: str) -> None:
    verdict = audited(corrupt, n=6_000, good_n=4_000)
    assert abs(verdict.z[check]) > ALARM_Z


def test_a_propensity_that_is_not_the_pmfs_is_counted_each_time() -> None:
    verdict = audited(clipped, n=2_000)
    rng = np.random.default_rng(7)
    expected = 0
    for pmf in pmfs(rng, 2_000):
        expected += pmf[rng.choice(pmf.size, p=pmf / pmf.sum())] < 0.05
    assert verdict.mismatches_n == expected > 50


def test_draws_that_favour_a_place_show_also_under_a_uniform_policy() -> None:
    audit, pmf = PropensityAudit(), np.full(4, 0.25)
    for _ in range(NEED_N):
        audit.add(decision(pmf, 0, 0.25))
    (verdict,) = audit.verdicts()
    assert verdict.z.keys() == {"first"}
    assert verdict.z["first"] > ALARM_Z


def test_little_says_nothing() -> None:
    assert audited(greedy, n=NEED_N // 2).z == {}


def test_what_was_pinned_or_fixed_says_nothing() -> None:
    audit, pmf = PropensityAudit(), np.array([1.0, 0.0])
    audit.add(decision(pmf, 1, 1.0, pinned=(0,)))
    assert list(audit.verdicts()) == []
    for _ in range(NEED_N):
        audit.add(decision(pmf, 0, 1.0))
    assert list(audit.verdicts()) == [Verdict("p", NEED_N, 0, {})]


def test_blocked_actions_leave_their_probability_to_the_others() -> None:
    audit = PropensityAudit()
    audit.add(decision(np.array([0.5, 0.25, 0.25]), 1, 0.5, blocked=((0,),)))
    assert [verdict.mismatches_n for verdict in audit.verdicts()] == [0]


@pytest.mark.parametrize(
    "changes",
    [
        {"pmf": b""},
        {"pmf": b"odd"},
        {"ranking": (9,)},
        {"blocked": ((0, 1),)},
        {"blocked": ((7,),)},
    ],
)
def test_a_record_that_makes_no_sense_is_a_mismatch(changes: dict[str, object]) -> None:
    audit = PropensityAudit()
    made = decision(np.array([0.5, 0.5]), 0, 0.25)
    audit.add(msgspec.structs.replace(made, **changes))
    assert [verdict.mismatches_n for verdict in audit.verdicts()] == [1]


def test_a_rare_action_alone_is_no_alarm() -> None:
    """One draw in 100,000 decisions of an action of 1e-6 was a z of 30."""
    audit, pmf = PropensityAudit(), np.array([0.5, 0.5 - 1e-6, 1e-6])
    rng = np.random.default_rng(3)
    for drawn in (*rng.integers(2, size=NEED_N), 2):
        audit.add(decision(pmf, int(drawn), float(np.float32(pmf[drawn]))))
    (verdict,) = audit.verdicts()
    assert max(map(abs, verdict.z.values())) < 4.4
