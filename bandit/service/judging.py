"""An experiment's numbers and what they say: everything a report tells, from kept sums; pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bandit.errors import RecordError
from bandit.service.judging_estimates import Comparison
from bandit.service.judging_families import judged_together
from bandit.service.judging_looks import Looks, looks_of, metric_of, progress_of
from bandit.service.judging_outlook import outlook, silence_of, warnings_of
from bandit.service.judging_payloads import (
    GroupCounts,
    MetricEffect,
    PlanProgress,
    Role,
    SegmentFinding,
    SequentialMode,
    Verdict,
)
from bandit.service.judging_sentences import Facts
from bandit.service.judging_slices import FIRST_DAY, findings, trend_of
from bandit.service.judging_tests import Guarded, belief, guarded, test_of
from bandit.service.judging_verdicts import verdict_of
from bandit.service.limits import check_level
from bandit.specs import BUCKETS, Experiment, Metric, Variant
from bandit.stats import Effect, Srm, srm
from bandit.stats.sequential import SequentialSrm, sequential_srm
from bandit.stats.srm import ALARM
from bandit.store.numbers import ExperimentNumbers, MetricNumbers, VariantNumbers

GROSS = 50.0
"""Concentration at which a gross mismatch is found in a few hundred units."""


class Judged(NamedTuple):
    """What is found, before it is put into a report; the names are the report's."""

    variants: tuple[GroupCounts, ...]
    crossed_units_n: int
    forced_units_n: int
    forced_n: int
    bots_units_n: int
    sequential: SequentialMode
    srm: Srm
    srm_sequential: SequentialSrm
    effects: tuple[MetricEffect, ...]
    segments: tuple[SegmentFinding, ...]
    plan: PlanProgress | None
    verdict: Verdict


class _Case(NamedTuple):
    """What all comparisons of an experiment share."""

    numbers: ExperimentNumbers
    experiment: Experiment
    alpha: float
    sequential: SequentialMode
    history: Sequence[ExperimentNumbers]


def judge(
    numbers: ExperimentNumbers,
    experiment: Experiment,
    metrics: Sequence[Metric],
    *,
    alpha: float,
    sequential: SequentialMode | None = None,
    history: Sequence[ExperimentNumbers] = (),
    window_s: float | None = None,
) -> Judged:
    """All that can be said of an experiment; the same numbers give the same answer always.

    Args:
        numbers: As of one time.
        experiment: What is judged.
        metrics: Declared; what is no guardrail is a metric, the first of them the primary.
        alpha: 1 − the level of every interval, in (0, 1).
        sequential: Which interval decides; None: as declared.
        history: Numbers that were kept before, in any order; a plan's looks are found in them.
        window_s: The surface's join window, to name it.

    Raises:
        RecordError: `alpha` is out of its range, or `planned` is asked of an experiment that has no
            plan.
    """
    sequential = sequential or experiment.sequential
    _check(experiment, alpha, sequential)
    past = [one for one in history if one.closed_ms < numbers.closed_ms]
    case = _Case(numbers, experiment, alpha, sequential, [*past, numbers])
    comparisons = _comparisons(case, metrics)
    effects = _effects(case, comparisons)
    shares = {variant.key: _share(variant) for variant in experiment.variants}
    units = {found.variant: found.units_n for found in numbers.variants}
    split, watched = srm(units, shares), _watched(units, shares)
    answer, p_value = _split_of(sequential, split, watched)
    facts = Facts(
        experiment=experiment,
        sequential=sequential,
        counts=tuple(_group(case, variant) for variant in experiment.variants),
        left_out=_left_out(numbers),
        split=answer,
        split_p=p_value,
        expected=split.expected,
        effects=effects,
        plan=progress_of(experiment, _primary_of(case, comparisons)),
        window_s=window_s,
    )
    return Judged(
        variants=tuple(facts.counts),
        crossed_units_n=numbers.crossed_n,
        forced_units_n=numbers.forced_n,
        forced_n=sum(found.forced_n for found in numbers.variants),
        bots_units_n=sum(numbers.bots_n.values()),
        sequential=sequential,
        srm=split,
        srm_sequential=watched,
        effects=effects,
        segments=findings(experiment, comparisons, numbers.slices, sequential, alpha),
        plan=facts.plan,
        verdict=verdict_of(facts),
    )


def _check(experiment: Experiment, alpha: float, sequential: SequentialMode) -> None:
    check_level(alpha)
    if sequential == "planned" and (experiment.looks is None or experiment.planned_units is None):
        raise RecordError(
            f"sequential is 'planned', must be 'anytime' or 'fixed': experiment {experiment.key!r} "
            "declares no looks and planned_units"
        )


def _primary_of(
    case: _Case, comparisons: Sequence[tuple[Role, Comparison]]
) -> MetricNumbers | None:
    keys = [found.metric.key for role, found in comparisons if role == "primary"]
    return metric_of(case.numbers, keys[0]) if keys else None


def _roles(experiment: Experiment, metrics: Sequence[Metric]) -> list[tuple[Role, Metric]]:
    """Each metric with what it is for, in the order of a report."""
    judged = [metric for metric in metrics if metric.key not in experiment.guardrails]
    guards = [metric for metric in metrics if metric.key in experiment.guardrails]
    roles: list[tuple[Role, Metric]] = [("primary", metric) for metric in judged[:1]]
    roles += [("secondary", metric) for metric in judged[1:]]
    return [*roles, *(("guardrail", metric) for metric in guards)]


def _comparisons(case: _Case, metrics: Sequence[Metric]) -> list[tuple[Role, Comparison]]:
    experiment = case.experiment
    treatments = [v.key for v in experiment.variants if v.key != experiment.control]
    found = []
    for role, metric in _roles(experiment, metrics):
        numbers = metric_of(case.numbers, metric.key)
        if numbers is None:
            numbers = MetricNumbers(
                metric=metric.key, columns=("value", "denominator"), by_variant={}
            )
        found += [
            (role, Comparison(metric, numbers, experiment.control, key)) for key in treatments
        ]
    return found


def _effects(
    case: _Case, comparisons: Sequence[tuple[Role, Comparison]]
) -> tuple[MetricEffect, ...]:
    """Every comparison, judged every way, corrected within its role."""
    looks = {
        found.metric.key: looks_of(case.experiment, found.metric.key, case.history)
        for _, found in comparisons
    }
    modes: tuple[SequentialMode, ...] = ("fixed", "anytime", "planned")
    judged: dict[SequentialMode, list[Effect]] = {}
    for mode in modes:
        if mode == "planned" and case.experiment.looks is None:
            continue
        answers: dict[int, Effect] = {}
        for role in ("primary", "secondary", "guardrail"):
            places = [i for i, (its, _) in enumerate(comparisons) if its == role]
            tests = [
                test_of(found, mode, case.alpha, looks[found.metric.key])
                for found in (comparisons[i][1] for i in places)
            ]
            # A treatment must pass all of its guardrails, so they do not share alpha.
            family = (
                [test(case.alpha) for test in tests]
                if role == "guardrail"
                else judged_together(tests, case.experiment, mode, case.alpha)
            )
            answers |= dict(zip(places, family, strict=True))
        judged[mode] = [answers[i] for i in range(len(comparisons))]
    return tuple(
        _effect(
            case, role, found, {mode: judged[mode][i] for mode in judged}, looks[found.metric.key]
        )
        for i, (role, found) in enumerate(comparisons)
    )


def _effect(
    case: _Case,
    role: Role,
    found: Comparison,
    judged: Mapping[SequentialMode, Effect],
    looks: Looks | None,
) -> MetricEffect:
    metric, planned = found.metric, judged.get("planned")
    shown = planned if case.sequential == "planned" and planned else judged["anytime"]
    if case.sequential == "fixed":
        shown = judged["fixed"]
    guard: Guarded | None = None
    if role == "guardrail":
        guard = guarded(found, case.sequential, case.alpha, looks)
    days = [
        one
        for one in case.numbers.slices
        if one.by == FIRST_DAY and one.numbers.metric == metric.key
    ]
    silence = silence_of(found, days)
    return MetricEffect(
        metric=metric.key,
        description=metric.description,
        per=metric.per,
        better=metric.better,
        is_primary=role == "primary",
        control=found.control,
        treatment=found.treatment,
        effect=judged["fixed"],
        anytime=judged["anytime"],
        planned=planned,
        role=role,
        type=metric.type,
        non_inferiority=guard and guard.test,
        guardrail=guard and guard.state,
        bayes=belief(found, case.alpha),
        outlook=outlook(found, shown, case.numbers, case.sequential, case.alpha),
        trend=trend_of(found, days, case.alpha),
        unripe_n=found.count("unripe_n"),
        none_n=found.count("none_n"),
        capped_n=found.count("capped_n"),
        silence=silence,
        warnings=warnings_of(found, silence, metric.cap_quantile is not None),
    )


def _watched(units: Mapping[str, int], shares: Mapping[str, float]) -> SequentialSrm:
    """The sequence that finds small mismatches in many units, or one that finds gross ones early.

    The second alarms by chance in 1 % of healthy experiments at most, ever.
    """
    gross = sequential_srm(units, shares, alpha=0.01, concentration=GROSS)
    return gross if gross.verdict == "mismatch" else sequential_srm(units, shares)


def _split_of(
    sequential: SequentialMode, split: Srm, watched: SequentialSrm
) -> tuple[str, float | None]:
    """Whether units are split as allocated: by chi-square at one look, else as may be watched.

    A variant without any unit is told at once: it can stay empty by chance for n units with
    probability (1 − share)^n only, whenever one looks.
    """
    for key, share in watched.allocated.items():
        total = sum(watched.observed.values())
        chance = (1.0 - share) ** total
        if share > 0.0 and not watched.observed.get(key, 0) and chance < ALARM:
            return "mismatch", chance
    if sequential == "fixed":
        return split.verdict, split.p_value
    return watched.verdict, watched.p_value


def _left_out(numbers: ExperimentNumbers) -> str:
    """Sentences about units that are in no number."""
    bots_n = sum(numbers.bots_n.values())
    parts = [
        (numbers.crossed_n, "units were seen in two variants and are left out"),
        (numbers.forced_n, "units were set by hand and are left out"),
        (bots_n, "units made more decisions than a person does and are left out"),
    ]
    return "".join(f" {n:,} {text}." for n, text in parts if n)


def _group(case: _Case, variant: Variant) -> GroupCounts:
    """Counts of a variant, as reports say them."""
    nothing = VariantNumbers(variant=variant.key)
    found = next((one for one in case.numbers.variants if one.variant == variant.key), nothing)
    counted_n = found.decisions_n - found.unseen_n
    return GroupCounts(
        label=variant.key,
        policy=variant.policy,
        share=_share(variant),
        units_n=found.units_n,
        decisions_n=found.decisions_n + found.open_n,
        open_n=found.open_n,
        unseen_n=found.unseen_n,
        counted_n=counted_n,
        rewarded_n=found.rewarded_n,
        exposed_n=found.exposed_n,
        reward_sum=found.reward_sum,
        reward_mean=found.reward_sum / counted_n if counted_n else None,
        pinned_n=found.pinned_n,
        overridden_n=found.overridden_n,
        bots_n=case.numbers.bots_n.get(variant.key, 0),
    )


def _share(variant: Variant) -> float:
    return sum(high - low for low, high in variant.allocation) / BUCKETS
