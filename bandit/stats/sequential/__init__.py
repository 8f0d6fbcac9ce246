"""Tests that may be looked at more than once.

>>> from bandit.stats.sequential import anytime_comparison
>>> look = anytime_comparison(
...     control=0.0500, treatment=0.0545,
...     control_variance=0.05 * 0.95 / 50_000, treatment_variance=0.0545 * 0.9455 / 50_000,
...     n=100_000, tuned_for=50_000,
... )
>>> f"{look.relative_effect:+.1%} [{look.relative_ci_low:+.1%}, {look.relative_ci_high:+.1%}]"
'+9.0% [+0.4%, +18.4%]'
>>> f"p = {look.p_value:.4f}, valid at every look"
'p = 0.0337, valid at every look'
"""

from bandit.stats.sequential.ahead import anytime_outlook, anytime_power
from bandit.stats.sequential.asymptotic import (
    TUNED_FOR,
    always_valid_p_value,
    critical_value,
    mixture_precision,
)
from bandit.stats.sequential.bernoulli import (
    bernoulli_sequence,
    quantile_count_bound,
    quantile_sequence,
)
from bandit.stats.sequential.boundary import (
    iterated_logarithm_margin,
    log_normal_mixture,
    normal_mixture_bound,
    optimal_rho,
    stitched_bound,
)
from bandit.stats.sequential.comparison import (
    AnytimeEffect,
    anytime_comparison,
)
from bandit.stats.sequential.designs import DesignCost, DesignPoint, compare_designs
from bandit.stats.sequential.effects import compare_anytime, compare_planned
from bandit.stats.sequential.evalues import Block, e_to_p, log_two_shares
from bandit.stats.sequential.group import GroupDesign, shaped_design, spending_design
from bandit.stats.sequential.mismatch import SequentialSrm, sequential_srm
from bandit.stats.sequential.msprt import log_likelihood_ratio, msprt_interval, msprt_p_value
from bandit.stats.sequential.pair import log_ratio_interval
from bandit.stats.sequential.planned import PlannedEffect, planned_comparison
from bandit.stats.sequential.regression import (
    AnytimeCoefficient,
    anytime_coefficient,
    t_radius,
    z_radius,
)
from bandit.stats.sequential.repeated import repeated_p_value
from bandit.stats.sequential.scores import AnytimeMean, anytime_mean
from bandit.stats.sequential.spending import OBRIEN_FLEMING, Spending
from bandit.stats.sequential.stagewise import (
    StagewiseInterval,
    stagewise_interval,
    stagewise_p_value,
)

__all__ = [
    "OBRIEN_FLEMING",
    "TUNED_FOR",
    "AnytimeCoefficient",
    "AnytimeEffect",
    "AnytimeMean",
    "Block",
    "DesignCost",
    "DesignPoint",
    "GroupDesign",
    "PlannedEffect",
    "SequentialSrm",
    "Spending",
    "StagewiseInterval",
    "always_valid_p_value",
    "anytime_coefficient",
    "anytime_comparison",
    "anytime_mean",
    "anytime_outlook",
    "anytime_power",
    "bernoulli_sequence",
    "compare_anytime",
    "compare_designs",
    "compare_planned",
    "critical_value",
    "e_to_p",
    "iterated_logarithm_margin",
    "log_likelihood_ratio",
    "log_normal_mixture",
    "log_ratio_interval",
    "log_two_shares",
    "mixture_precision",
    "msprt_interval",
    "msprt_p_value",
    "normal_mixture_bound",
    "optimal_rho",
    "planned_comparison",
    "quantile_count_bound",
    "quantile_sequence",
    "repeated_p_value",
    "sequential_srm",
    "shaped_design",
    "spending_design",
    "stagewise_interval",
    "stagewise_p_value",
    "stitched_bound",
    "t_radius",
    "z_radius",
]
