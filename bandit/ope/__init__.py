"""Logged decisions in, value of another policy out; pure.

>>> from bandit.ope import WeightMoments, snips
>>> units = [f"u{i // 10}" for i in range(400)]             # 40 units, ten decisions each
>>> weights = [1.6 if i % 2 else 0.4 for i in range(400)]  # target ÷ logged propensity
>>> rewards = [float(i % 3 == 0) for i in range(400)]
>>> value = snips(WeightMoments.of(units, weights, rewards), policy="feed-vw")
>>> f"{value.value:.3f} [{value.ci_low:.3f}, {value.ci_high:.3f}] {value.verdict}"
'0.335 [0.313, 0.357] ok'
>>> f"as good as {value.ess:.0f} of {value.n} decisions of its own"
'as good as 294 of 400 decisions of its own'
"""

from bandit.ope.estimators import ips, snips
from bandit.ope.moments import WeightMoments
from bandit.ope.value import Value

__all__ = ["Value", "WeightMoments", "ips", "snips"]
