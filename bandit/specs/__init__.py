"""What was declared: surfaces, policies, experiments and metrics.

A spec checks what it can see by itself; what needs the other specs (does the policy exist?) is
checked by `bandit.service.defining` when it is declared.
"""

from bandit.specs.base import BUCKETS, Bucket, Ranges, Share, Spec, check_ranges
from bandit.specs.experiments import Experiment, Layer, Note, Variant
from bandit.specs.metrics import Denominator, Metric, MetricType
from bandit.specs.policies import (
    BUILT_IN,
    KILL_SWITCH,
    LEARNING_TYPES,
    TRAINING_FIELDS,
    UNIFORM_SLICE,
    NumericFeature,
    Part,
    PolicySpec,
    PolicyType,
)
from bandit.specs.surfaces import ContextRule, Diversity, Rules, Surface

AnySpec = Surface | PolicySpec | Experiment | Layer | Metric
SPECS: dict[str, type[AnySpec]] = {
    spec.kind: spec for spec in (Surface, PolicySpec, Experiment, Layer, Metric)
}

__all__ = [
    "BUCKETS",
    "BUILT_IN",
    "KILL_SWITCH",
    "LEARNING_TYPES",
    "SPECS",
    "TRAINING_FIELDS",
    "UNIFORM_SLICE",
    "AnySpec",
    "Bucket",
    "ContextRule",
    "Denominator",
    "Diversity",
    "Experiment",
    "Layer",
    "Metric",
    "MetricType",
    "Note",
    "NumericFeature",
    "Part",
    "PolicySpec",
    "PolicyType",
    "Ranges",
    "Rules",
    "Share",
    "Spec",
    "Surface",
    "Variant",
    "check_ranges",
]
