"""Logged decisions in, value of another policy out; pure.

Over moments that a database keeps, clustered by unit:

>>> from bandit.ope import WeightMoments, snips
>>> units = [f"u{i // 10}" for i in range(400)]             # 40 units, ten decisions each
>>> weights = [1.6 if i % 2 else 0.4 for i in range(400)]  # target ÷ logged propensity
>>> rewards = [float(i % 3 == 0) for i in range(400)]
>>> value = snips(WeightMoments.of(units, weights, rewards), policy="feed-vw")
>>> f"{value.value:.3f} [{value.ci_low:.3f}, {value.ci_high:.3f}] {value.verdict}"
'0.335 [0.313, 0.357] ok'
>>> f"as good as {value.ess:.0f} of {value.n} decisions of its own"
'as good as 294 of 400 decisions of its own'

Over the decisions themselves: `evaluate(LoggedBatch.of(...))`; see README.md beside this file.
"""

from bandit.ope.anytime import anytime_dr, anytime_gain, anytime_ips
from bandit.ope.base import Estimator
from bandit.ope.batch import LoggedBatch
from bandit.ope.betting import anytime_betting
from bandit.ope.bounds import (
    clopper_pearson,
    contribution_span,
    empirical_bernstein,
    hoeffding,
)
from bandit.ope.continuous import Kernel
from bandit.ope.contrast import Gain, gain_between, gain_over_logging
from bandit.ope.diagnostics import REASONS, Diagnostics, diagnose
from bandit.ope.distribution import RewardDistribution
from bandit.ope.doubly import CalibratedDr, Dm, Dr, DrOs, SgDr, Sndr, SwitchDr, mrdr_weights
from bandit.ope.embedding import Mips, OffCem, embedding_chances
from bandit.ope.estimators import ips, snips
from bandit.ope.evaluation import (
    Estimate,
    Evaluation,
    default_estimators,
    default_interval,
    evaluate,
)
from bandit.ope.interval import Interval
from bandit.ope.intervals import bootstrap, normal, student_t
from bandit.ope.likelihood import CressieRead, ElMle, cressie_read, cressie_read_dr
from bandit.ope.likelihood_moments import LikelihoodMoments
from bandit.ope.loggers import Balanced, WeightedLoggers
from bandit.ope.moments import WeightMoments
from bandit.ope.pareto import pareto_k, smoothed_weights
from bandit.ope.propensity_tests import PropensityTest, calibration_by, propensity_tests
from bandit.ope.reward_model import Regressor, RewardModel, RidgePerAction, cross_fit, folds_of
from bandit.ope.slate_intervals import cressie_read_slates
from bandit.ope.slates import (
    CascadeDr,
    Iips,
    Pdis,
    PseudoInverse,
    Rips,
    Sips,
    SlateBatch,
    SlateEstimator,
)
from bandit.ope.sources import from_dsjson, from_obp, read_obd, read_obd_columns
from bandit.ope.terms import TermMoments, Terms
from bandit.ope.tuning import Tuned, tune
from bandit.ope.value import Value
from bandit.ope.watching import GainWatch
from bandit.ope.weighting import ControlVariate, Ips, Ncis, Psis, Replay, SgIps, Snips

__all__ = [
    "REASONS",
    "Balanced",
    "CalibratedDr",
    "CascadeDr",
    "ControlVariate",
    "CressieRead",
    "Diagnostics",
    "Dm",
    "Dr",
    "DrOs",
    "ElMle",
    "Estimate",
    "Estimator",
    "Evaluation",
    "Gain",
    "GainWatch",
    "Iips",
    "Interval",
    "Ips",
    "Kernel",
    "LikelihoodMoments",
    "LoggedBatch",
    "Mips",
    "Ncis",
    "OffCem",
    "Pdis",
    "PropensityTest",
    "PseudoInverse",
    "Psis",
    "Regressor",
    "Replay",
    "RewardDistribution",
    "RewardModel",
    "RidgePerAction",
    "Rips",
    "SgDr",
    "SgIps",
    "Sips",
    "SlateBatch",
    "SlateEstimator",
    "Sndr",
    "Snips",
    "SwitchDr",
    "TermMoments",
    "Terms",
    "Tuned",
    "Value",
    "WeightMoments",
    "WeightedLoggers",
    "anytime_betting",
    "anytime_dr",
    "anytime_gain",
    "anytime_ips",
    "bootstrap",
    "calibration_by",
    "clopper_pearson",
    "contribution_span",
    "cressie_read",
    "cressie_read_dr",
    "cressie_read_slates",
    "cross_fit",
    "default_estimators",
    "default_interval",
    "diagnose",
    "embedding_chances",
    "empirical_bernstein",
    "evaluate",
    "folds_of",
    "from_dsjson",
    "from_obp",
    "gain_between",
    "gain_over_logging",
    "hoeffding",
    "ips",
    "mrdr_weights",
    "normal",
    "pareto_k",
    "propensity_tests",
    "read_obd",
    "read_obd_columns",
    "smoothed_weights",
    "snips",
    "student_t",
    "tune",
]
