"""(context, actions) → pmf; learn; bytes in, bytes out."""

from bandit.policies.base import LearningPolicy, Lesson, Policy
from bandit.policies.features import check_features
from bandit.policies.pmf import draw_ranking, propensities_of, seed_of, with_floor

__all__ = [
    "LearningPolicy",
    "Lesson",
    "Policy",
    "check_features",
    "draw_ranking",
    "propensities_of",
    "seed_of",
    "with_floor",
]
