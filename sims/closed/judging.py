"""Reports of a closed loop, held against the world's truth and the clients' books.

What reports estimate, and what is true of it:

* **A policy that does not learn** earns `counted_share` × its mean over the population: a lost or
  late reward earns 0, and which are is chosen by a coin. The effect of `mixed` is the difference
  of two such means. Reports judge rewards as they came in, so this is what they must find.
* **A policy that learns** is another one with every snapshot, so there is no one value. Taken as
  true is what its decisions would have earned on average over their own draws, `counted_share` ×
  mean of Σ p(a) r(a) over the decisions that it served, less the same of the control's. An
  interval also pays for which units came, so it should cover this oftener than its level says.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bandit.records import Record
from bandit.service.reporting_payloads import (
    ExperimentHistory,
    ExperimentReport,
    PolicyValue,
    SurfaceReport,
)
from bandit.stats import Effect
from sims.audit import Check
from sims.closed.books import Books, Story
from sims.closed.plan import CONTROL, LEARNED, Plan, first_policy, policy_of
from sims.closed.population import Population
from sims.scenarios.base import Figure, exact, mean, rate

COVERS = 0.93
"""What intervals of 95 % must reach: as in every claim of coverage."""
MOST_ERRORS = 3.0
"""A mean error may be so many of its standard errors: 1 in 370 unbiased ones is beyond."""
FEW = 20
"""With fewer repetitions nobody knows the standard error of a mean error."""


class Answers(NamedTuple):
    """What the service says of one surface when all is over."""

    experiment: ExperimentReport
    surface: SurfaceReport
    history: ExperimentHistory


class Estimate(Record, frozen=True, kw_only=True):
    """One interval of a report, beside the truth.

    Attributes:
        what: Which kind of interval.
        surface: Whose.
        truth: What it should hold.
        value, low, high, std_error: As reported; None where the report gives none.
        reason: Why it gives none.
    """

    what: str
    surface: str
    truth: float
    value: float | None
    low: float | None
    high: float | None
    std_error: float | None
    reason: str = ""

    @property
    def covers(self) -> bool | None:
        """Whether the interval holds the truth; None without one."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.truth <= self.high


class Detection(Record, frozen=True, kw_only=True):
    """When an experiment's winner was found by the interval that holds at every look.

    Attributes:
        looks_n: Kept numbers that there were.
        after_s: From the start to the first look that called the treatment better; None if none.
        units_n: Units at that look.
        always_covers: Whether the truth was in the band at every look; None where it is not known.
    """

    surface: str
    treatment: str
    looks_n: int
    after_s: float | None
    units_n: int | None
    always_covers: bool | None


class Regret(Record, frozen=True, kw_only=True):
    """What a variant gave up per decision, by the world's truth.

    Attributes:
        late: In the last half of the time.
    """

    variant: str
    decisions_n: int
    mean: float
    late: float | None


def estimates_of(
    plan: Plan, population: Population, surface: int, answers: Answers
) -> list[Estimate]:
    """Every interval about policies that do not learn, beside its exact truth."""
    key, truth, share = plan.surfaces[surface], population.truth, plan.counted_share
    found = []
    if surface < plan.repetitions:
        effect = answers.experiment.effects[0]
        gap = share * (truth.mixed - truth.uniform)
        found += [
            of_effect("A/B, one look", key, gap, effect.effect),
            of_effect("A/B, any look", key, gap, effect.anytime),
        ]
    uniform = policy_of(plan, CONTROL, key)
    known = {uniform: truth.uniform, first_policy(plan): truth.first}
    if surface < plan.repetitions:
        known[policy_of(plan, "mixed", key)] = truth.mixed
    kind = "" if surface < plan.repetitions else ", a learning log"
    for value in answers.surface.values:
        # Of both logs the one that the policy itself did not make, where it made any.
        is_wanted = value.log == ("all" if value.policy == first_policy(plan) else "others")
        if value.policy in known and is_wanted:
            name = f"OPE of {value.policy.rpartition('-')[2]}{kind}"
            found.append(of_value(name, key, share * known[value.policy], value))
    return found


def served_estimate(
    plan: Plan,
    population: Population,
    surface: int,
    answers: Answers,
    stories: Sequence[Story],
    pmfs: Mapping[str, Sequence[float]],
) -> Estimate | None:
    """The effect of a learning policy beside what its decisions were worth.

    None where one of the two variants served nobody: then nothing is true of their difference.

    Args:
        stories: Of this surface.
        pmfs: What each decision was drawn from, by event id.
    """
    worth: dict[str, list[float]] = {CONTROL: [], LEARNED: []}
    for story in stories:
        worth[story.variant].append(population.served_value(story.round, pmfs[story.event_id]))
    if not all(worth.values()):
        return None
    truth = plan.counted_share * float(np.mean(worth[LEARNED]) - np.mean(worth[CONTROL]))
    effect = answers.experiment.effects[0].effect
    return of_effect("A/B of a learning policy", plan.surfaces[surface], truth, effect)


def of_effect(what: str, surface: str, truth: float, effect: Effect) -> Estimate:
    """An effect's interval."""
    return Estimate(
        what=what,
        surface=surface,
        truth=truth,
        value=effect.effect,
        low=effect.effect_ci_low,
        high=effect.effect_ci_high,
        std_error=effect.std_error,
        reason=effect.reason or "",
    )


def of_value(what: str, surface: str, truth: float, value: PolicyValue) -> Estimate:
    """A value's interval."""
    return Estimate(
        what=what,
        surface=surface,
        truth=truth,
        value=value.snips.value,
        low=value.snips.ci_low,
        high=value.snips.ci_high,
        std_error=value.snips.std_error,
        reason=", ".join(value.snips.reasons) if value.snips.value is None else "",
    )


def figures_of(estimates: Sequence[Estimate], detections: Sequence[Detection]) -> list[Figure]:
    """Bias and coverage of each kind of interval."""
    figures: list[Figure] = []
    for what in dict.fromkeys(one.what for one in estimates):
        of_kind = [one for one in estimates if one.what == what]
        given = [one for one in of_kind if one.covers is not None]
        figures.append(exact(f"{what}: has an interval", len(given) / len(of_kind)))
        if len(given) > 1:
            covered_n = sum(bool(one.covers) for one in given)
            figures.append(rate(f"{what}: covers", covered_n, len(given), at_least=COVERS))
            figures += _bias(what, given)
    known = [one.always_covers for one in detections if one.always_covers is not None]
    if known:
        figures.append(
            rate("A/B, every kept look together: covers", sum(known), len(known), at_least=COVERS)
        )
    return figures


def _bias(what: str, given: Sequence[Estimate]) -> list[Figure]:
    errors = np.array([one.value - one.truth for one in given if one.value is not None])
    figure = mean(f"{what}: mean error", errors)
    of_errors = math.sqrt(len(errors)) / max(float(errors.std(ddof=1)), 1e-12)
    return [
        figure,
        exact(
            f"{what}: mean error in its standard errors",
            abs(figure.value) * of_errors,
            at_most=MOST_ERRORS if len(given) >= FEW else None,
        ),
    ]


def detection_of(
    plan: Plan, surface: int, answers: Answers, start_ms: int, gap: float | None
) -> Detection:
    """When a winner was found, and whether the band always held the truth.

    Args:
        start_ms: When clients began.
        gap: The true effect; None if it is not one number.
    """
    points = [point for point in answers.history.points if point.effect_ci_low is not None]
    better = [point for point in points if (point.effect_ci_low or 0.0) > 0.0]
    return Detection(
        surface=plan.surfaces[surface],
        treatment=answers.experiment.effects[0].treatment,
        looks_n=len(points),
        after_s=(better[0].at_ms - start_ms) / 1000.0 if better else None,
        units_n=better[0].units_n if better else None,
        always_covers=None
        if gap is None or not points
        else all((p.effect_ci_low or 0.0) <= gap <= (p.effect_ci_high or 0.0) for p in points),
    )


def regrets_of(population: Population, stories: Sequence[Story], seconds: float) -> list[Regret]:
    """Regret of each variant by the world's truth."""
    by_variant: dict[str, list[tuple[float, bool]]] = {}
    for story in stories:
        regret = population.regret(story.round, story.drawn)
        by_variant.setdefault(story.variant, []).append((regret, story.begun_s >= seconds / 2.0))
    found = []
    for variant, rows in sorted(by_variant.items()):
        late = [regret for regret, is_late in rows if is_late]
        found.append(
            Regret(
                variant=variant,
                decisions_n=len(rows),
                mean=float(np.mean([regret for regret, _ in rows])),
                late=float(np.mean(late)) if late else None,
            )
        )
    return found


def checks_of(plan: Plan, books: Books, answers: Sequence[Answers]) -> list[Check]:
    """What the service counts, held against what its clients did."""
    health = [one.surface.health for one in answers]
    decisions_n = sum(one.decisions.distinct_n for one in health)
    rewards_n = sum(one.rewards.distinct_n for one in health)
    copies_n = sum(one.rewards.records_n for one in health)
    joined_n = sum(group.rewarded_n for one in answers for group in one.experiment.variants)
    sent = {
        kind: sum(s.sent == kind for s in books.stories)
        for kind in ("on_time", "late", "either", "lost")
    }
    sent_n = sent["on_time"] + sent["late"] + sent["either"]
    accepted_n = sum(story.sent_n for story in books.stories)
    most_n = sent["on_time"] + sent["either"]
    told = len(books.stories)
    checks = [
        Check(
            "answered rankings are in the log, once",
            told <= decisions_n <= told + books.unknown_n,
            f"{told:,} answered, {books.repeated_n:,} of them twice; {decisions_n:,} in the log",
        ),
        Check(
            "a ranking asked for again is the same",
            books.unlike_n == 0,
            f"{books.repeated_n - books.unlike_n:,} of {books.repeated_n:,}",
        ),
        Check(
            "accepted rewards are in the log",
            rewards_n == sent_n,
            f"{sent_n:,} sent ({sent['lost']:,} lost on purpose); {rewards_n:,} in the log",
        ),
        Check(
            "doubled rewards are seen as such",
            copies_n >= accepted_n,
            f"{accepted_n - sent_n:,} sent twice; {copies_n - rewards_n:,} copies in the log",
        ),
        Check(
            "rewards in time are joined, late ones are not",
            sent["on_time"] <= joined_n <= most_n,
            f"{sent['on_time']:,} in time, {sent['late']:,} late, {sent['either']:,} between; "
            f"{joined_n:,} joined",
        ),
        Check("no request was refused", not books.refused, "; ".join(books.refused[:1]) or "none"),
    ]
    return checks + _learning_checks(plan, books, answers)


def _learning_checks(plan: Plan, books: Books, answers: Sequence[Answers]) -> list[Check]:
    """The learner's own counts of late and doubled rewards."""
    if not plan.learning:
        return []
    learning = [
        policy.learning
        for one in answers
        for policy in one.surface.health.policies
        if policy.learning is not None
    ]
    stories = [story for story in books.stories if story.surface >= plan.repetitions]
    late_n = sum(story.sent == "late" for story in stories)
    copies_n = sum(max(story.sent_n - 1, 0) for story in stories)
    unsure_n = sum(story.sent == "either" for story in stories)
    counted_n = sum(one.late + one.duplicate for one in learning)
    # Decisions that two workers were asked for at once may be logged twice, and are counted then.
    most_n = late_n + copies_n + unsure_n + books.repeated_n + books.retries_n
    return [
        Check(
            "learners count late and doubled rewards",
            late_n + copies_n <= counted_n <= most_n,
            f"{late_n:,} sent late and {copies_n:,} twice; {counted_n:,} counted",
        )
    ]
