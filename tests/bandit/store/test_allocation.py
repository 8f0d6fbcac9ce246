"""What policies showed over time, against the same counted row by row."""

import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from bandit.store.allocation import (
    ACTIONS,
    AllocationNumbers,
    Allocations,
    Drawn,
    Shown,
    width_of,
)
from bandit.store.client import Store
from tests.bandit.logs import T0, LogMaker

FLOOR = 0.05
EMPTY = AllocationNumbers(surface="home")


class Truth:
    """Counted as the decisions are made."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.shown: dict[str, Counter[str]] = defaultdict(Counter)


def log_of(store: Store, n: int = 300, span_ms: int = 7_000_000) -> Truth:
    rng, log, truth = random.Random(5), LogMaker(store), Truth()
    for number in range(n):
        policy = rng.choice(["vw", "vw", "random"])
        out = [1] if rng.random() < 0.2 else []
        pmf = [0.0 if a in out else 0.3 + rng.random() for a in range(4)]
        pmf = [float(np.float32(p / sum(pmf))) for p in pmf]
        lowest = min((p, a) for a, p in enumerate(pmf) if a not in out)[1]
        if rng.random() < 0.3:
            pmf[lowest] = float(np.float32(FLOOR))
        [top] = rng.choices(range(4), pmf)
        kind = rng.choice(["", "", "", "pinned", "forced", "certain"])
        log.decide(
            number * span_ms // n,
            policy=policy,
            pmf=pmf,
            exclude=[f"a{a}" for a in out],
            ranking=(top,),
            propensities=(1.0 if kind in ("pinned", "certain") else pmf[top],),
            pinned=(0,) if kind == "pinned" else (),
            forced=kind == "forced",
            experiment="e" if kind == "forced" else "",
            variant="c" if kind == "forced" else "",
            floor=FLOOR,
        )
        if kind == "forced":
            continue
        truth.shown[policy][f"a{top}"] += 1
        pool = [p for a, p in enumerate(pmf) if a not in out]
        is_drawn = not kind
        truth.counts[policy].update(
            decisions_n=1,
            drawn_n=is_drawn,
            explored_n=is_drawn and pmf[top] < max(pool),
            pool_n=is_drawn * len(pool),
            floor_n=is_drawn * sum(p <= FLOOR * (1 + 1e-6) for p in pool),
            floor_drawn_n=is_drawn and pmf[top] <= FLOOR * (1 + 1e-6),
        )
    log.deliver(times=2)
    return truth


def sums(found: AllocationNumbers) -> dict[str, Counter[str]]:
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for each in found.drawn:
        fields = each._asdict()
        totals[fields.pop("policy")].update(
            {name: n for name, n in fields.items() if name.endswith("_n")}
        )
    return totals


def test_growing_piece_by_piece_counts_what_all_at_once_does(store: Store) -> None:
    truth, allocations = log_of(store), Allocations(store)
    end_ms = T0 + 7_000_000
    at_once = allocations.grown(EMPTY, end_ms)
    grown = EMPTY
    for through_ms in (T0 + 10, T0 + 500_000, T0 + 500_000, T0 + 3_600_000, end_ms):
        grown = allocations.grown(grown, through_ms)
    assert grown == at_once
    assert sums(grown) == {policy: +counts for policy, counts in truth.counts.items()}
    shown: dict[str, Counter[str]] = defaultdict(Counter)
    for each in grown.shown:
        shown[each.policy][each.action] += each.shown_n
    assert shown == truth.shown
    assert grown.as_of_ms == end_ms
    late = allocations.grown(AllocationNumbers(surface="home", from_ms=T0 + 3_600_000), end_ms)
    first_ms = min(each.at_ms for each in late.drawn)
    assert T0 + 3_600_000 - late.bucket_ms < first_ms < T0 + 4_000_000


def test_a_decision_that_two_workers_logged_counts_once_where_a_piece_ends(store: Store) -> None:
    log = LogMaker(store)
    first = log.decide(1000)
    log.decide(1030, writer="w2", event_id=first.event_id)
    log.deliver()
    grown = Allocations(store).grown(EMPTY, T0 + 1010)
    grown = Allocations(store).grown(grown, T0 + 60_000)
    assert sum(each.decisions_n for each in grown.drawn) == 1


def test_a_short_log_has_short_buckets_though_it_crosses_an_hour(store: Store) -> None:
    hour_ms = T0 - T0 % 3_600_000 + 3_600_000
    log = LogMaker(store, start_ms=hour_ms - 10_000)
    for n in range(20):
        log.decide(n * 1000)
    log.deliver()
    found = Allocations(store).grown(EMPTY, hour_ms + 60_000)
    assert (found.bucket_ms, len(found.drawn)) == (1000, 20)


def test_buckets_merge_as_time_goes_on() -> None:
    found = EMPTY
    for second in range(200):
        at_ms = T0 + second * 1000
        found = found.with_more(
            at_ms, [Drawn("p", at_ms, 2, 1, 1, 4, 0, 0, 0.5)], [Shown("p", at_ms, "a", 1)]
        )
    assert found.bucket_ms == 5000
    assert len(found.drawn) == 40
    assert sum(each.decisions_n for each in found.drawn) == 400
    assert sum(each.chosen_sum for each in found.drawn) == pytest.approx(100.0)
    assert {each.at_ms % 5000 for each in (*found.drawn, *found.shown)} == {0}


def test_only_the_most_shown_actions_are_kept_by_name() -> None:
    rows = [Shown("p", T0, f"a{n}", n + 1) for n in range(3 * ACTIONS)]
    found = EMPTY.with_more(T0, [Drawn("p", T0, 9999, 0, 0, 0, 0, 0, 0.0)], rows)
    assert {each.action for each in found.shown} == {
        f"a{n}" for n in range(2 * ACTIONS, 3 * ACTIONS)
    }


@pytest.mark.parametrize("span_ms", [0, 58_999, 59_000, 10**9, 10**12])
def test_no_span_has_too_many_buckets(span_ms: int) -> None:
    assert span_ms // width_of(span_ms) + 1 < 60
