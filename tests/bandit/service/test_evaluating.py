import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from bandit.errors import BadSpec, NotDeclared
from bandit.learning.training import Training
from bandit.policies import build
from bandit.service.evaluating import Progress, evaluate_specs
from bandit.service.evaluating_pass import Pass
from bandit.service.evaluating_results import EvaluationRun, EvaluationSettings
from bandit.service.logged import ClosedLog
from bandit.service.probabilities import Asked
from bandit.specs import NumericFeature, Part, PolicySpec
from bandit.store.client import Store
from bandit.store.tail import Tail
from tests.bandit.service.making_logs import CHANCE, SURFACE, Log, learning
from tests.conftest import lent
from tests.databases import Databases

N = 1_200
STEP_MS, WINDOW_MS = 10_000, 10_000
UNIFORM = PolicySpec(key="chance", type="uniform")
ORDER = PolicySpec(key="order", type="fixed")
LEARNED = {
    "greedy": learning(),
    "square": learning("--squarecb -q UA"),
    "bag": learning("--bag 2 -q UA"),
    "slots": learning("--epsilon 0.1 -q UA -q SA", slot_model="ccb"),
    "buckets": learning(numeric={"context.n": NumericFeature(encoding="bucket")}),
    "forgetful": learning(window=100),
    "thompson": learning("", type="thompson"),
    "linear": learning("", type="linear"),
    "ucb": learning("", type="ucb"),
    "popular": learning("", type="popularity"),
    "mixed": learning(
        "",
        type="mixture",
        parts=[
            Part(weight=0.9, type="vw", arguments="--cover 2 -q UA"),
            Part(weight=0.1, type="uniform"),
        ],
    ),
}


class Filled:
    """A log of `N` decisions in a database of its own."""

    def __init__(self, log: Log, open_store: Callable[[], Store]) -> None:
        self.log = log
        self.open_store = open_store
        self.greedy = functools.cache(lambda: self.evaluate(LEARNED["greedy"], UNIFORM, ORDER))
        self.naive = functools.cache(lambda name: _Naive(LEARNED[name], self.closed()))
        self.learned = functools.cache(
            lambda: Pass(self.closed(), SURFACE, LEARNED, EvaluationSettings()).run().learned
        )

    def evaluate(self, *specs: PolicySpec, **more: object) -> EvaluationRun:
        given: dict[str, object] = {"now_ms": self.log.through_ms, **more}
        candidates = given.pop("candidates", None) or {spec.key: spec for spec in specs}
        return evaluate_specs(self.open_store, "home", candidates, **given)  # type: ignore[arg-type]

    def closed(self) -> ClosedLog:
        return ClosedLog(self.open_store(), SURFACE, now_ms=self.log.through_ms, rows_n=400)


@pytest.fixture(scope="module")
def filled(
    clickhouse_url: str, databases: Databases, request: pytest.FixtureRequest
) -> Iterator[Filled]:
    for store in lent(databases, request):
        log = Log(N)
        log.store(store)
        connect = functools.partial(Store.connect, clickhouse_url, database=store.database)
        yield Filled(log, connect)


class _Naive:
    """A second implementation: one decision and one lesson after the other, nothing shared."""

    def __init__(self, spec: PolicySpec, closed: ClosedLog) -> None:
        policy = build(spec)
        rows = [one.joined for part in closed for one in part]
        self.pmfs, learned, due = [], 0, 0
        for joined in rows:
            decision = joined.decision
            watermark_ms = decision.ts_ms // STEP_MS * STEP_MS - WINDOW_MS
            while rows[due].decision.ts_ms <= watermark_ms:
                due += 1
            if due > learned:
                for earlier in rows[learned:due]:
                    for lesson in earlier.lessons(spec):
                        policy.learn(lesson)  # type: ignore[attr-defined]
                learned = due
                policy.save()  # type: ignore[attr-defined]
            asked = Asked(policy, spec, spec.floor, decision.context, SURFACE.rules)
            self.pmfs.append(asked.pmf(decision.actions))
        self.target = np.array(
            [pmf[one.decision.ranking[0]] for pmf, one in zip(self.pmfs, rows, strict=True)]
        )


def test_candidates_say_what_they_would_have_said_one_decision_at_a_time(filled: Filled) -> None:
    for name in LEARNED:
        naive = filled.naive(name)
        assert np.abs(filled.learned()[name].judged.target - naive.target).max() < 3e-5, name


def test_values_are_the_truth_of_what_each_would_have_shown(filled: Filled) -> None:
    run = filled.greedy()
    naive = filled.naive("greedy")
    places = filled.log.places
    truths = {
        "candidate": (np.array(naive.pmfs) * CHANCE[places]).sum(axis=1).mean(),
        "chance": CHANCE[places].mean(),
        "order": CHANCE[places, 0].mean(),
    }
    for name, truth in truths.items():
        found = run[name]
        assert found.evaluation.verdict != "refuse", found.evaluation.reasons
        assert found.interval is not None
        assert found.anytime is not None
        assert found.interval.low <= truth <= found.interval.high
        assert found.anytime.low <= truth <= found.anytime.high
        error = found.evaluation["dr"].std_error
        assert error is not None
        assert abs((found.evaluation["dr"].value or 0.0) - truth) < 4.4 * error
    assert truths["candidate"] > truths["chance"] + 0.15, "it learned next to nothing"
    gain = run["candidate"].gain
    assert gain is not None
    assert gain.interval.low > 0.0


def test_a_candidate_equal_to_the_logging_policy_reproduces_it(filled: Filled) -> None:
    run = filled.evaluate(UNIFORM)
    found = run["chance"]
    assert found.evaluation.diagnostics.ess == pytest.approx(N)
    assert found.evaluation["snips"].value == pytest.approx(run.logged)
    assert found.gain is not None
    assert found.gain.gain == pytest.approx(0.0, abs=1e-6)
    assert run.snapshots == {"uniform": (0, 0)}


@pytest.mark.parametrize("name", LEARNED)
def test_weights_are_those_of_a_learner_that_took_the_same_steps(filled: Filled, name: str) -> None:
    spec = LEARNED[name]
    store = filled.open_store()
    tail = Tail(store)
    training = Training(spec, SURFACE, build(spec))  # type: ignore[arg-type]
    rows = tail.read("home", {}, limit=100_000)
    training.take(rows, {}, tail)
    store.close()
    last_ms = filled.log.decisions[-1].ts_ms
    first_step = filled.log.decisions[0].ts_ms // STEP_MS
    for step in range(first_step + 1, last_ms // STEP_MS + 1):
        training.advance(step * STEP_MS - WINDOW_MS)
        training.policy.save()
    training.advance(last_ms)
    training.policy.save()
    assert filled.learned()[name].digest == training.policy.digest()
    assert filled.learned()[name].lessons_n == N


class _Inline(Executor):
    """As `distributed.Client.get_executor()`: an `Executor`, and no more is known of it."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:
            future.set_exception(exc)
        return future


def test_results_do_not_depend_on_the_executor_or_the_size_of_a_part(filled: Filled) -> None:
    candidates = {name: LEARNED[name] for name in ("greedy", "square", "thompson")}
    alone = filled.evaluate(candidates=candidates)
    encoded = msgspec.json.encode(alone)
    with ThreadPoolExecutor(1) as threads:
        for executor in (_Inline(), threads):
            spread = filled.evaluate(candidates=candidates, executor=executor, workers_n=2)
            assert msgspec.json.encode(spread) == encoded
    small = filled.evaluate(candidates=candidates, rows_n=200)
    for name in candidates:
        assert small[name].digest == alone[name].digest
        assert small[name].value == pytest.approx(alone[name].value, abs=1e-6)
    assert msgspec.json.decode(encoded, type=EvaluationRun) == alone


def test_a_candidate_that_is_the_reward_model_too_changes_nothing(filled: Filled) -> None:
    other = learning("--squarecb -q UA", key="other")
    alone = filled.evaluate(other)["other"]
    beside = filled.evaluate(other, learning("--epsilon 0.3 -q UA"))["other"]
    assert alone == beside


def test_progress_is_told_and_what_it_raises_stops_everything(filled: Filled) -> None:
    told: list[Progress] = []
    filled.evaluate(UNIFORM, watch=told.append, rows_n=300)
    assert (told[0], told[-1]) == (Progress(0, N), Progress(N, N))

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled.evaluate(UNIFORM, watch=interrupt)
    several = {name: LEARNED[name] for name in ("popular", "linear", "ucb", "thompson")}
    with ThreadPoolExecutor(2) as threads, pytest.raises(KeyboardInterrupt):
        filled.evaluate(
            candidates=several, watch=interrupt, executor=threads, workers_n=2, rows_n=50
        )


def test_rejection_learns_from_what_it_could_have_drawn_and_is_worth_what_that_earned(
    filled: Filled,
) -> None:
    settings = EvaluationSettings(mode="rejection")
    run = filled.evaluate(LEARNED["greedy"], UNIFORM, settings=settings)
    chance = run["chance"]
    # Uniform over three: a third of the decisions is what it would have drawn.
    assert chance.accepted_n == pytest.approx(N / 3, abs=4.4 * np.sqrt(N * 2 / 9))
    assert chance.evaluation.diagnostics.ess == pytest.approx(chance.accepted_n)
    learned = run["candidate"]
    assert learned.lessons_n == learned.accepted_n
    assert learned.gain is not None
    assert learned.gain.interval.low > 0.0
    assert run == filled.evaluate(LEARNED["greedy"], UNIFORM, settings=settings)


def test_a_bound_that_is_too_low_is_told(filled: Filled) -> None:
    settings = EvaluationSettings(mode="rejection", bound=1.5)
    found = filled.evaluate(ORDER, settings=settings)["order"]
    assert "give a greater --bound" in found.notes[0]


def test_ips_needs_no_model(filled: Filled) -> None:
    found = filled.evaluate(UNIFORM, settings=EvaluationSettings(mode="ips"))["chance"]
    assert found.evaluation.headline == "snips"
    assert {e.estimator for e in found.evaluation.estimates}.isdisjoint({"dr", "dm"})


def test_who_learns_from_its_own_decisions_alone_learns_nothing_from_others(
    filled: Filled,
) -> None:
    own = learning(learns_from="own")
    found = filled.evaluate(own)["candidate"]
    assert found.lessons_n == 0
    assert found.notes == (
        "it learned nothing: no decision here was drawn by 'candidate', and it learns from its "
        "own alone",
    )
    logging = learning(key="uniform", learns_from="own")
    assert filled.evaluate(logging)["uniform"].lessons_n == N


def test_segments_are_told_apart_and_judged_together(filled: Filled) -> None:
    settings = EvaluationSettings(segment="place")
    found = filled.evaluate(ORDER, settings=settings)["order"]
    parts = {part.name: part for part in found.segments}
    assert set(parts) == {"place=north", "place=south"}
    assert sum(part.n for part in parts.values()) == N
    for row, name in enumerate(("place=north", "place=south")):
        gain, truth = parts[name].gain, CHANCE[row, 0] - CHANCE[row].mean()
        assert gain is not None
        assert gain.interval.low <= truth <= gain.interval.high
        assert gain.interval.alpha == pytest.approx(0.025)


def test_pairs_compare_candidates_on_the_same_decisions(filled: Filled) -> None:
    pairs = {(pair.candidate, pair.other): pair for pair in filled.greedy().pairs}
    assert set(pairs) == set(itertools.combinations(("candidate", "chance", "order"), 2))
    pair = pairs["candidate", "chance"]
    assert pair.gain.interval.low > 0.0
    assert pair.anytime is not None


def test_a_learning_curve_ends_where_the_value_is(filled: Filled) -> None:
    found = filled.greedy()["candidate"]
    assert len(found.curve) == 40
    assert found.curve[-1].n == N
    assert found.curve[-1].value == pytest.approx(found.evaluation["dr"].value)
    late = found.late.best if found.late else None
    assert late is not None
    assert (late.value or 0.0) > (found.curve[3].value or 1.0), "it did not get better"


def test_decisions_before_judging_are_learned_from_and_not_judged_by(filled: Filled) -> None:
    cut_ms = filled.log.decisions[500].ts_ms
    for mode in ("dr", "rejection"):
        settings = EvaluationSettings(mode=mode)  # type: ignore[arg-type]
        late = filled.evaluate(LEARNED["greedy"], judge_ms=cut_ms, settings=settings)
        whole = filled.evaluate(LEARNED["greedy"], settings=settings)
        assert (late.n, late.since_ms) == (N - 500, cut_ms)
        assert late["candidate"].digest == whole["candidate"].digest


def test_what_can_not_be_evaluated_is_refused_by_name(filled: Filled) -> None:
    with pytest.raises(BadSpec, match="must be at least one"):
        filled.evaluate()
    with pytest.raises(BadSpec, match="'candidate' learns from surface 'other', must be 'home'"):
        filled.evaluate(learning(surface="other"))
    with pytest.raises(BadSpec, match="candidate 'candidate': '--nonsense' is no option"):
        filled.evaluate(learning("--nonsense"))
    with pytest.raises(NotDeclared):
        evaluate_specs(filled.open_store, "nowhere", {"u": UNIFORM}, now_ms=1)


def test_a_log_without_decisions_is_refused_without_a_number(filled: Filled) -> None:
    run = filled.evaluate(LEARNED["greedy"], UNIFORM, until_ms=1)
    assert (run.n, run.units_n, run.logged, run.pairs) == (0, 0, None, ())
    for found in run.candidates:
        assert (found.evaluation.verdict, found.value, found.gain) == ("refuse", None, None)
