"""What metrics may be declared next to each other, and which an experiment may be judged by."""

from collections import Counter
from collections.abc import Iterable

from bandit.errors import BadSpec
from bandit.service.declared import Declared
from bandit.specs import Experiment, Metric

COVARIATE_TYPES = ("sum", "count", "mean", "proportion")
"""Types that are one number per unit before its first exposure, too."""


def check_metric(metric: Metric, declared: Declared) -> None:
    """Check a metric against everything else of its project.

    Raises:
        BadSpec: A covariate is not declared or can not be one, or an experiment that names the
            metric could not be judged by it any more.
    """
    _check_margin(metric)
    _check_covariates(metric, declared)
    for other in declared.each(Metric):
        if metric.key in other.covariates and other.key != metric.key:
            _check_covariate(metric, other.key)
    for experiment in declared.each(Experiment):
        if experiment.surface is not None or experiment.status == "archived":
            continue
        named = [*experiment.metrics, *experiment.guardrails]
        others = [found for key in named if (found := declared.find(Metric, key)) is not None]
        if metric.key in named or any(metric.key in other.covariates for other in others):
            _check_outcomes(metric, experiment)


def check_metrics_of(experiment: Experiment, declared: Declared) -> None:
    """Check what an experiment is judged by.

    Raises:
        BadSpec: A metric or guardrail is named twice or not declared, or rewards are asked of an
            experiment without a surface.
    """
    for name in ("metrics", "guardrails", "segments"):
        twice = _twice(getattr(experiment, name))
        if twice:
            raise BadSpec(f"{name} name {twice} twice, must name each once - at `$.{name}`")
    for key in (*experiment.metrics, *experiment.guardrails):
        metric = declared.get(Metric, key)
        if experiment.surface is not None:
            continue
        for found in (metric, *(declared.get(Metric, other) for other in metric.covariates)):
            _check_outcomes(found, experiment)


def _check_margin(metric: Metric) -> None:
    relative = metric.margin_scale == "relative"
    if relative and metric.better == "higher" and metric.margin >= 1.0:
        raise BadSpec(
            f"margin is {metric.margin!r} of the control, must be below 1 where higher is better: "
            "nothing that is worse by all of it is left - at `$.margin`"
        )


def _check_covariates(metric: Metric, declared: Declared) -> None:
    twice = _twice(metric.covariates)
    if twice:
        raise BadSpec(f"covariates name {twice} twice, must name each once - at `$.covariates`")
    for key in metric.covariates:
        if key == metric.key:
            raise BadSpec(
                f"covariates name {key!r} itself, must name others: covariate_window_s alone uses "
                "its own number from before - at `$.covariates`"
            )
        _check_covariate(declared.get(Metric, key), metric.key)


def _check_covariate(covariate: Metric, of: str) -> None:
    if covariate.type not in COVARIATE_TYPES:
        raise BadSpec(
            f"metric {covariate.key!r} is a {covariate.type} and a covariate of metric {of!r}, "
            f"must be one of {', '.join(COVARIATE_TYPES)}: one number per unit from before its "
            "exposure"
        )


def _check_outcomes(metric: Metric, experiment: Experiment) -> None:
    over = None if metric.denominator is None else metric.denominator.source
    if metric.source == "reward" or over not in (None, "outcome"):
        what = "rewards" if metric.source == "reward" or over == "reward" else "decisions"
        raise BadSpec(
            f"metric {metric.key!r} is of {what} and experiment {experiment.key!r} has no surface "
            "that could earn any, must be of outcomes"
        )


def _twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, n in Counter(names).items() if n > 1)
