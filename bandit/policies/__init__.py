"""(context, actions) → pmf; learn; bytes in, bytes out."""

from bandit.policies.base import LearningPolicy, Lesson, Policy
from bandit.policies.features import check_features
from bandit.policies.pmf import draw_ranking, propensities_of, seed_of, with_floor
from bandit.policies.registry import build, check_spec

__all__ = [
    "LearningPolicy",
    "Lesson",
    "Policy",
    "build",
    "check_features",
    "check_spec",
    "draw_ranking",
    "propensities_of",
    "seed_of",
    "with_floor",
]
