"""The gate by a saved evaluation: of this challenger, here, as declared, over what serves now."""

import uuid

import pytest
from msgspec.structs import replace

from bandit.ope import Interval
from bandit.service.evaluating_results import EvaluationRun
from bandit.service.evaluation_artefact import EvaluationService, artefact_of
from bandit.service.promoting_asking import Asking
from bandit.service.promoting_evaluated import judge_evaluation
from bandit.service.promoting_records import Gate, PromotionPlan
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.promotions import Promotions
from bandit.store.reports import Scope
from tests.bandit.service.making_evaluations import REFUSED, RUN, TOLD

AT_MS = RUN.made_at_ms + 60_000
SURFACE = Surface(key="home", policy="live", max_actions=5)
WORSE = Interval(low=-0.2, high=-0.1, alpha=0.05, method="by hand", anytime=True)


def judged(run: EvaluationRun, challenger: str = TOLD, alpha: float = 0.05) -> Gate:
    artefact = artefact_of(run, author="ana", code_version="1", evaluation_id="e-1")
    plan = PromotionPlan(alpha=alpha, evaluation="e-1")
    return judge_evaluation(artefact, Scope(SURFACE, AT_MS), challenger, plan, ())


def test_evaluation_that_proves_it_lets_the_challenger_through() -> None:
    found = judged(RUN)
    assert found.passed, found.refusal
    assert (found.source, found.n) == ("e-1", 800)
    assert found.gain_low is not None
    assert found.gain_low > 0.0


def test_refused_evaluation_lets_nobody_through_and_has_no_number() -> None:
    found = judged(RUN, REFUSED)
    assert not found.passed
    assert (found.gain, found.gain_low, found.gain_high) == (None, None, None)
    assert "no decision is left to judge by" in found.refusal


def test_evaluation_at_another_level_is_no_proof_at_this_one() -> None:
    assert "must be above 0 at the plan's level" in judged(RUN, alpha=0.01).refusal


def test_evaluation_without_a_watched_interval_is_no_proof() -> None:
    told = replace(RUN.candidates[0], anytime_gain=None)
    found = judged(replace(RUN, candidates=(told,)))
    assert "no interval of candidate − logging that holds at any look" in found.refusal


def test_segment_that_is_worse_is_told_by_its_name() -> None:
    told = RUN.candidates[0]
    [segment] = told.segments
    told = replace(told, segments=(replace(segment, name="country=DE", anytime=WORSE),))
    found = judged(replace(RUN, candidates=(told,)))
    assert found.refusal == "The challenger is worse in country=DE."


def test_evaluation_that_tells_no_segments_apart_is_no_proof_that_none_is_worse() -> None:
    told = replace(RUN.candidates[0], segments=())
    assert "make it with --segment" in judged(replace(RUN, candidates=(told,))).refusal


def test_only_an_evaluation_of_this_challenger_here_is_evidence(store: Store) -> None:
    definitions = Definitions(store)
    for spec in (
        PolicySpec(key="live", type="uniform"),
        PolicySpec(key="told", type="uniform"),
        PolicySpec(key="other", type="uniform"),
        SURFACE,
    ):
        definitions.put(spec, expected=None, author="t", change_id=spec.key, now_ms=1)
    service = EvaluationService(store, code_version="1", new_id=lambda: uuid.uuid4().hex)

    def asked(run: EvaluationRun | None, challenger: str = "told", at_ms: int = AT_MS) -> Gate:
        saved = "none" if run is None else service.save(run, author="ana").id
        asking = Asking(store, definitions, Promotions(store))
        return asking.gate("home", challenger, PromotionPlan(evaluation=saved), at_ms)

    assert asked(RUN).passed, asked(RUN).refusal
    learned = replace(RUN.candidates[0], spec=PolicySpec(key="told", type="uniform", floor=0.1))
    for refused, said in (
        (asked(None), "is not there"),
        (asked(RUN, "other"), "has no candidate other"),
        (asked(replace(RUN, snapshots={"live": (1, 2), "old": (1, 1)})), "drawn by live, old"),
        (asked(replace(RUN, candidates=(learned,))), "differs from the declared one in ['floor']"),
        (asked(replace(RUN, surface_version=7)), "version 7 of the surface"),
        (asked(RUN, at_ms=AT_MS + 8 * 86_400_000), "must be of the last 7.0 d"),
    ):
        assert said in refused.refusal
        assert refused.gain_low is None


@pytest.mark.parametrize("name", ["support", "gain", "segments"])
def test_checks_come_in_one_order(name: str) -> None:
    assert name in [check.code for check in judged(RUN).checks]
