import functools
from typing import Any

import pytest

from bandit.errors import NotDeclared, NotEnoughData
from bandit.service.evaluating import evaluate_specs
from bandit.service.evaluating_results import EvaluationRun, EvaluationSettings
from bandit.service.evaluating_search import parts_of, search
from bandit.service.evaluating_specs import read_search
from bandit.store.client import Store
from tests.bandit.learning.making import T0
from tests.bandit.service.making_logs import CHANCE, Log

N = 900
SEARCH = """
method = "{method}"
tried = 3
held_out = 0.3
keep = 2

[search.order]
type = "fixed"

[search.mixed]
type = "mixture"
parts = [{{ weight = 0.5, type = "uniform" }}, {{ weight = 0.5, type = "fixed" }}]

[search.vw]
type = "vw"
floor = 0.01
arguments = ["--epsilon 0.1 -q UA", "--epsilon 0.9 -q UA", "--epsilon 0.9"]
"""


class Laboratory:
    """A log in a store, and all evaluations that were asked for."""

    def __init__(self, store: Store, url: str) -> None:
        self.log = Log(N)
        self.log.store(store)
        self.asked: list[tuple[str, tuple[str, ...], int, int, int]] = []
        self.open_store = functools.partial(Store.connect, url, database=store.database)

    def evaluate(
        self, candidates: Any, *, stage: str, judge_ms: int = 0, **more: Any
    ) -> EvaluationRun:
        self.asked.append((stage, tuple(candidates), more["since_ms"], more["until_ms"], judge_ms))
        return evaluate_specs(
            self.open_store, "home", candidates, now_ms=self.log.through_ms,
            judge_ms=judge_ms, **more,
        )  # fmt: skip

    def search(self, method: str) -> EvaluationRun:
        plan = read_search(SEARCH.format(method=method), "home")
        until_ms = self.log.through_ms
        parts = parts_of(self.open_store, "home", 0, until_ms)
        return search(plan, self.evaluate, parts, EvaluationSettings(), until_ms=until_ms)


@pytest.fixture
def lab(store: Store, clickhouse_url: str) -> Laboratory:
    return Laboratory(store, clickhouse_url)


def test_the_best_is_chosen_on_what_came_first_and_judged_on_what_came_later(
    lab: Laboratory,
) -> None:
    run = lab.search("grid")
    found = run.search
    assert found is not None
    assert (found.chosen, found.tried_n) == ("vw-1", 5)
    (_, tried, _, first_end, _), (_, judged, since, _, judge) = lab.asked
    assert (len(tried), judged) == (5, ("vw-1",))
    assert first_end == judge == found.split_ms
    assert since <= T0, "the chosen one did not learn from what chose it"
    assert run.since_ms == found.split_ms
    assert run.n == pytest.approx(0.3 * N, abs=10)  # a second holds ten
    interval = run["vw-1"].interval
    assert interval is not None
    assert interval.alpha == pytest.approx(0.05)
    assert interval.low > CHANCE.mean()
    for row in found.rows:
        assert row.interval is not None
        assert row.interval.alpha == pytest.approx(0.01)
    assert "which had no part in the choice" in found.correction
    assert "hold for all 5 together (each at 99 %, Bonferroni)" in found.correction


def test_halving_gives_more_of_the_log_to_ever_fewer(lab: Laboratory) -> None:
    run = lab.search("halving")
    rungs = lab.asked[:-1]
    assert [len(candidates) for _, candidates, *_ in rungs] == [5, 3, 2]
    ends = [end for _, _, _, end, _ in rungs]
    assert ends == sorted(set(ends))
    assert run.search is not None
    assert ends[-1] == run.search.split_ms
    assert run.search.chosen == "vw-1"
    assert [row.rung for row in run.search.rows] == [2, 2, 1, 0, 0]


def test_random_tries_some_and_the_same_ones_again(lab: Laboratory) -> None:
    first, second = lab.search("random"), lab.search("random")
    assert first.search is not None
    assert first.search.tried_n == 3
    assert first == second


def test_a_log_that_is_too_short_to_be_cut_is_refused(lab: Laboratory) -> None:
    plan = read_search(SEARCH.format(method="grid"), "home")
    parts = parts_of(lab.open_store, "home", T0, T0 + 500)
    with pytest.raises(NotEnoughData):
        search(plan, lab.evaluate, parts, EvaluationSettings(), until_ms=T0 + 500)


def test_a_surface_that_is_not_declared_is_told(lab: Laboratory) -> None:
    with pytest.raises(NotDeclared):
        parts_of(lab.open_store, "nowhere", 0, 1)
