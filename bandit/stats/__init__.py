"""Moments in, estimate and interval out; pure. README.md says what there is.

>>> from bandit.stats import Moments, welch
>>> control = Moments.of([1.0, 0.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0])
>>> treatment = Moments.of([3.0, 2.0, 2.0, 3.0, 1.0, 2.0, 4.0, 3.0])
>>> result = welch(control, treatment)
>>> f"{result.effect:+.2f} [{result.effect_ci_low:.2f}, {result.effect_ci_high:.2f}]"
'+1.50 [0.59, 2.41]'
>>> f"{result.relative_effect:+.0%} [{result.relative_ci_low:.0%}, {result.relative_ci_high:.0%}]"
'+150% [42%, 505%]'
>>> f"p = {result.p_value:.4f}, df = {result.df:.1f}"
'p = 0.0034, df = 13.5'
"""

from bandit.stats.adaptive import (
    AdaptiveMeans,
    Contrast,
    action_weights,
    aipw_scores,
    effective_draws,
    policy_scores,
    policy_weights,
    predictable,
    running_means,
    running_regression,
    weighted_means,
)
from bandit.stats.allocation import (
    Propensities,
    PropensityCheck,
    binomial_p_value,
    check_propensities,
    continuity_corrected_p_value,
    srm_exact,
)
from bandit.stats.bayes import (
    BayesEffect,
    NormalPosterior,
    NormalPrior,
    bayes_comparison,
    normal_best,
    normal_posterior,
    posterior_of,
)
from bandit.stats.bounded import betting_interval, bounded_sequence
from bandit.stats.covariates import Cuped, adjust, cuped, optimal_reduction
from bandit.stats.effect import Effect, Sequential
from bandit.stats.estimate import Estimate, beside, capped
from bandit.stats.exact import SmallCounts, exact_p_value, small_counts
from bandit.stats.fieller import relative_interval
from bandit.stats.fixed import Margin, compare, equivalence, non_inferiority, superiority
from bandit.stats.impact import Impact, scaled_impact
from bandit.stats.joint import JointMoments
from bandit.stats.linear import (
    Estimator,
    Linear,
    clustered_of,
    estimate_of,
    mean_of,
    pooled_proportion,
    proportion_of,
    ratio_of,
)
from bandit.stats.margins import not_worse, shifted
from bandit.stats.midway import Outlook, outlook, outlook_of
from bandit.stats.moments import Moments
from bandit.stats.multiple import (
    Adjusted,
    adjusted,
    corrected,
    e_bh,
    e_lond,
    weighted_primary,
)
from bandit.stats.planning import (
    Baseline,
    Design,
    Mde,
    SampleSize,
    days_needed,
    equivalence_power,
    mde,
    power,
    sample_size,
)
from bandit.stats.posterior import Posterior, best_chances, chance_at_most, expected_losses
from bandit.stats.proportions import (
    Share,
    contingency_p_value,
    difference_interval,
    score_statistic,
    share_interval,
)
from bandit.stats.quantiles import OrderStatistics, pooled_cap, quantile_of, winsorised
from bandit.stats.ranks import RankEffect, mann_whitney
from bandit.stats.relative import delta
from bandit.stats.sandwich import regression_of
from bandit.stats.segments import (
    Dependence,
    Heterogeneity,
    SegmentEffect,
    Trend,
    assignment_dependence,
    heterogeneity,
    heterogeneity_of,
    novelty,
)
from bandit.stats.share_ratios import odds_ratio_interval, ratio_interval
from bandit.stats.shares import ShareEffect, share_posterior
from bandit.stats.small import compare_shares, is_small, shares_not_worse
from bandit.stats.small_anytime import compare_shares_anytime, shares_not_worse_anytime
from bandit.stats.srm import Srm, srm
from bandit.stats.strata import post_stratify
from bandit.stats.welch import welch

__all__ = [
    "AdaptiveMeans",
    "Adjusted",
    "Baseline",
    "BayesEffect",
    "Contrast",
    "Cuped",
    "Dependence",
    "Design",
    "Effect",
    "Estimate",
    "Estimator",
    "Heterogeneity",
    "Impact",
    "JointMoments",
    "Linear",
    "Margin",
    "Mde",
    "Moments",
    "NormalPosterior",
    "NormalPrior",
    "OrderStatistics",
    "Outlook",
    "Posterior",
    "Propensities",
    "PropensityCheck",
    "RankEffect",
    "SampleSize",
    "SegmentEffect",
    "Sequential",
    "Share",
    "ShareEffect",
    "SmallCounts",
    "Srm",
    "Trend",
    "action_weights",
    "adjust",
    "adjusted",
    "aipw_scores",
    "assignment_dependence",
    "bayes_comparison",
    "beside",
    "best_chances",
    "betting_interval",
    "binomial_p_value",
    "bounded_sequence",
    "capped",
    "chance_at_most",
    "check_propensities",
    "clustered_of",
    "compare",
    "compare_shares",
    "compare_shares_anytime",
    "contingency_p_value",
    "continuity_corrected_p_value",
    "corrected",
    "cuped",
    "days_needed",
    "delta",
    "difference_interval",
    "e_bh",
    "e_lond",
    "effective_draws",
    "equivalence",
    "equivalence_power",
    "estimate_of",
    "exact_p_value",
    "expected_losses",
    "heterogeneity",
    "heterogeneity_of",
    "is_small",
    "mann_whitney",
    "mde",
    "mean_of",
    "non_inferiority",
    "normal_best",
    "normal_posterior",
    "not_worse",
    "novelty",
    "odds_ratio_interval",
    "optimal_reduction",
    "outlook",
    "outlook_of",
    "policy_scores",
    "policy_weights",
    "pooled_cap",
    "pooled_proportion",
    "post_stratify",
    "posterior_of",
    "power",
    "predictable",
    "proportion_of",
    "quantile_of",
    "ratio_interval",
    "ratio_of",
    "regression_of",
    "relative_interval",
    "running_means",
    "running_regression",
    "sample_size",
    "scaled_impact",
    "score_statistic",
    "share_interval",
    "share_posterior",
    "shares_not_worse",
    "shares_not_worse_anytime",
    "shifted",
    "small_counts",
    "srm",
    "srm_exact",
    "superiority",
    "weighted_means",
    "weighted_primary",
    "welch",
    "winsorised",
]
