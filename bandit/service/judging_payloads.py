"""What is found out about an experiment: the records that a report is put together from.

A number that can not be given is None, and something beside it says why.
"""

from typing import Literal

from bandit.records import Record
from bandit.specs import MetricType
from bandit.stats import Effect, Trend

SequentialMode = Literal["anytime", "planned", "fixed"]
"""Which interval decides: at any look, at planned looks, at one."""
Role = Literal["primary", "secondary", "guardrail"]
GuardrailState = Literal["ok", "violated", "unclear"]


class Verdict(Record, frozen=True, kw_only=True):
    """The answer in plain words.

    Attributes:
        state: `no_data`, `waiting` (for join windows or metric windows to end), `broken` (do not
            trust the effects), `better` or `worse`, `guardrail` (better, but a guardrail is
            violated or not yet shown to hold), `not_yet` (one planned look would say so, what
            decides does not) or `unclear`.
        headline: What was found.
        reason: Why one may say so, or why nothing more can be said.
        next_step: What to do now.
    """

    state: Literal[
        "no_data", "waiting", "broken", "better", "worse", "guardrail", "not_yet", "unclear"
    ]
    headline: str
    reason: str
    next_step: str


class GroupCounts(Record, frozen=True, kw_only=True):
    """Decisions of one variant or of one policy.

    Attributes:
        label: Key of the variant or policy.
        policy: What it serves; None for a variant that is a payload.
        share: Of the 10,000 buckets; None for a policy.
        units_n: Units with a decision, or told their payload; for a variant, without those that
            are left out: set by hand, seen in two variants, or taken for bots.
        decisions_n: Without those whose variant was set by hand; all that follow are of these.
        open_n: Decisions whose join window has not ended, so they do not count yet.
        unseen_n: Decisions whose top slot was never seen, so they never count.
        counted_n: decisions_n − open_n − unseen_n.
        rewarded_n: Counted ones that anything came back for.
        exposed_n: Decisions with an exposure of the top slot.
        reward_sum: What the counted ones' top slots earned.
        reward_mean: reward_sum ÷ counted_n; None without any.
        pinned_n: Decisions whose top slot was given, not drawn.
        overridden_n: Decisions whose top slot showed something else.
        bots_n: Units with more decisions than `bot_decisions`, left out of `units_n`.
    """

    label: str
    policy: str | None
    share: float | None = None
    units_n: int = 0
    decisions_n: int = 0
    open_n: int = 0
    unseen_n: int = 0
    counted_n: int = 0
    rewarded_n: int = 0
    exposed_n: int = 0
    reward_sum: float = 0.0
    reward_mean: float | None = None
    pinned_n: int = 0
    overridden_n: int = 0
    bots_n: int = 0


class Bayes(Record, frozen=True, kw_only=True):
    """What to believe of an effect after one look, if nothing was believed before.

    Watched, it errs as a test at one look does: the sequence decides, this only describes.

    Attributes:
        chance_to_win: Probability that the treatment is better, in the metric's good direction.
        expected_loss: What choosing the treatment costs on average, in the metric's unit.
        control_loss: The same of keeping the control.
        effect, effect_ci_low, effect_ci_high: Of treatment − control: mean, credible interval.
        relative_effect, relative_ci_low, relative_ci_high: The same ÷ control: median, interval.
        method: `normal` (flat prior), or `beta_binomial` (flat priors on both shares, for counts
            too small for it).
        alpha: 1 − the level of the intervals.
        reason: Why there are no numbers.
    """

    chance_to_win: float | None = None
    expected_loss: float | None = None
    control_loss: float | None = None
    effect: float | None = None
    effect_ci_low: float | None = None
    effect_ci_high: float | None = None
    relative_effect: float | None = None
    relative_ci_low: float | None = None
    relative_ci_high: float | None = None
    method: Literal["normal", "beta_binomial"] = "normal"
    alpha: float
    reason: str | None = None


class MetricOutlook(Record, frozen=True, kw_only=True):
    """What a running experiment can find, and when.

    Attributes:
        effect: One would care about: the metric's margin, in its unit.
        relative_effect: The same as a share of the control.
        power_now: Chance that the deciding interval would find it with the units that are in.
        mde, relative_mde: Least effect found with `power_wanted` now.
        units_more: Units still needed for `effect`, of both variants.
        units_per_day: Of both variants, over the last week.
        days_more: units_more ÷ units_per_day.
        power_wanted: The chance asked for.
        reason: Why numbers are missing: `no_estimate`, `no_effect`, `no_arrivals`.
    """

    effect: float | None = None
    relative_effect: float | None = None
    power_now: float | None = None
    mde: float | None = None
    relative_mde: float | None = None
    units_more: float | None = None
    units_per_day: float | None = None
    days_more: float | None = None
    power_wanted: float = 0.8
    reason: str | None = None


class MetricSilence(Record, frozen=True, kw_only=True):
    """A metric of which nothing comes in any more, or never did.

    Attributes:
        since: First day (UTC) whose units have no event, `2026-11-23`; None: no unit ever had one.
        units_n: Of both variants, from then on.
        expected_n: Of these, so many at least should have had one, by the units before; None
            without any before.
    """

    since: str | None = None
    units_n: int
    expected_n: float | None = None


class MetricEffect(Record, frozen=True, kw_only=True):
    """One metric of one treatment against the control, judged in several ways from the same units.

    An effect with covariates has the one without beside it as `unadjusted`; a capped one the
    uncapped one; with both, the covariates are taken away first: `unadjusted.unadjusted` has
    neither.

    Attributes:
        effect: Judged once, at a time that was planned before; watched, it finds effects that are
            not there.
        anytime: Judged at any look, however many there are.
        planned: Judged at the looks that were planned; None without a plan.
        role: What it is for.
        type: Of the metric.
        non_inferiority: Of a guardrail: the test that it is not worse by its margin.
        guardrail: Its answer: `ok` (shown not to be worse by the margin), `violated` (shown to be),
            `unclear`.
        bayes: What to believe after one look.
        outlook: What can be found, and when.
        trend: Whether units that came later have another effect.
        unripe_n: Units of both variants whose window is not over, so they do not count yet.
        none_n: Those without an event, which a mean leaves out.
        capped_n: Those above the cap.
        silence: Since when nothing of it comes in, and how many units that is; None if it does.
        warnings: Codes of what the reader should know.
    """

    metric: str
    description: str
    per: Literal["decision", "unit"]
    better: Literal["higher", "lower"]
    is_primary: bool
    control: str
    treatment: str
    effect: Effect
    anytime: Effect
    planned: Effect | None = None
    role: Role = "secondary"
    type: MetricType = "sum"
    non_inferiority: Effect | None = None
    guardrail: GuardrailState | None = None
    bayes: Bayes | None = None
    outlook: MetricOutlook | None = None
    trend: Trend | None = None
    unripe_n: int = 0
    none_n: int = 0
    capped_n: int = 0
    silence: MetricSilence | None = None
    warnings: tuple[str, ...] = ()

    def by(self, sequential: SequentialMode) -> Effect:
        """As judged that way; at any look where there is no plan."""
        if sequential == "fixed":
            return self.effect
        return self.planned if sequential == "planned" and self.planned else self.anytime

    def judged(self, *, planned: bool) -> Effect:
        """As at one planned look, or as at any time."""
        return self.effect if planned else self.anytime


class SegmentRow(Record, frozen=True, kw_only=True):
    """The effect among the units with one value.

    Attributes:
        value: Of the context's member, as JSON; `''` for all values beyond the most frequent.
        effect: As what decides judges it, corrected for the other values.
        shrunk, shrunk_ci_low, shrunk_ci_high: Pulled towards the overall effect, the more the less
            is known of it: what to believe of this value beside the others.
        p_value: Of this value's effect being that of all others.
        p_value_adjusted: Corrected for the other values.
        differs: Whether one may say that it differs: so do the segments, and so does this one.
    """

    value: str
    effect: Effect
    shrunk: float | None = None
    shrunk_ci_low: float | None = None
    shrunk_ci_high: float | None = None
    p_value: float | None = None
    p_value_adjusted: float | None = None
    differs: bool = False


class SegmentFinding(Record, frozen=True, kw_only=True):
    """One metric and comparison by the values of one member of the context.

    Attributes:
        by: The member.
        p_value: Of all values having one effect.
        p_value_adjusted: Corrected for the other findings of the same role.
        method: Of that test: `cochran_q`, or `anytime_contrasts`, which may be watched.
        q, df, i2: Cochran's: its statistic, values − 1, and the share of the spread that is not
            sampling error.
        differs: Whether one may say that the effect depends on `by`.
        rows: The values, the largest first.
        left_out: Values with too few units to compare.
        reason: Why there is no test: `few_segments`.
    """

    by: str
    metric: str
    role: Role
    control: str
    treatment: str
    p_value: float | None = None
    p_value_adjusted: float | None = None
    method: Literal["cochran_q", "anytime_contrasts"]
    q: float | None = None
    df: int | None = None
    i2: float | None = None
    differs: bool = False
    rows: tuple[SegmentRow, ...] = ()
    left_out: tuple[str, ...] = ()
    reason: str | None = None


class PlanProgress(Record, frozen=True, kw_only=True):
    """Where a planned experiment is.

    Attributes:
        units_n: That count for the primary metric, of all variants.
        planned_units, looks: As declared.
        looks_done: Planned looks that were reached.
        next_look_units_n: Units at the next one; None after the last.
        finished: Whether the last was reached.
    """

    units_n: int
    planned_units: int
    looks: int
    looks_done: int
    next_look_units_n: int | None
    finished: bool
