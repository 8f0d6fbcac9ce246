"""One metric of two variants, judged twice from the same moments: at any look, and at one; pure.

The any-time interval is an asymptotic confidence sequence over units, so it is about many units
(it says nothing before `bandit.stats.sequential.comparison.FIRST_LOOK` of them) whose numbers are
final once they count. Units that come back change theirs later, which its promise does not cover:
the verdict says so (`judging_verdicts`).
"""

from bandit.service.reporting_payloads import MetricEffect
from bandit.specs import Metric
from bandit.stats import JointMoments, Moments, mean_of, welch
from bandit.stats.sequential import compare_anytime

TUNED_FOR = 5000.0
"""Units of both variants at which the any-time interval is narrowest.

The same for every experiment and not a setting: chosen after a look, it would be no promise.
"""


def metric_effect(
    metric: Metric,
    control: tuple[str, Moments],
    treatment: tuple[str, Moments],
    alpha: float,
    *,
    is_primary: bool,
) -> MetricEffect:
    """Both judgements of a metric.

    Args:
        metric: Whose units' numbers the moments are of.
        control: The control's key and moments.
        treatment: The treatment's.
        alpha: 1 − the level of both intervals.
        is_primary: Whether the verdict is about it.
    """
    (control_key, before), (treatment_key, after) = control, treatment
    estimate = mean_of().estimate(JointMoments.of_moments(before), JointMoments.of_moments(after))
    return MetricEffect(
        metric=metric.key,
        description=metric.description,
        per=metric.per,
        better=metric.better,
        is_primary=is_primary,
        control=control_key,
        treatment=treatment_key,
        effect=welch(before, after, alpha),
        anytime=compare_anytime(estimate, alpha=alpha, tuned_for=TUNED_FOR),
    )
