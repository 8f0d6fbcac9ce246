"""Several comparisons of one role share alpha; pure."""

from collections.abc import Sequence

import msgspec

from bandit.service.judging_payloads import SequentialMode
from bandit.service.judging_tests import Test
from bandit.specs import Experiment
from bandit.stats import Effect, corrected


def judged_together(
    tests: Sequence[Test], experiment: Experiment, sequential: SequentialMode, alpha: float
) -> list[Effect]:
    """The effects of a family, with p and intervals corrected for one another.

    A plan has Bonferroni's correction, whichever was chosen: its bounds belong to the level that a
    comparison has, so every comparison is a design of its own at alpha/m.

    Args:
        tests: One per comparison.
        experiment: Whose `correction` it is.
        sequential: Which tests they are.
        alpha: Of the family.
    """
    if experiment.correction == "none":
        return [test(alpha) for test in tests]
    if sequential == "planned":
        return [_bonferroni(test, len(tests), alpha) for test in tests]
    return corrected(tests, experiment.correction, alpha=alpha)


def _bonferroni(test: Test, m: int, alpha: float) -> Effect:
    effect, again = test(alpha), test(alpha / m)
    if again.p_value is None:
        return effect
    return msgspec.structs.replace(
        effect,
        p_value_adjusted=min(m * again.p_value, 1.0),
        alpha_adjusted=alpha / m,
        adjusted_ci_low=again.effect_ci_low,
        adjusted_ci_high=again.effect_ci_high,
        relative_adjusted_ci_low=again.relative_ci_low,
        relative_adjusted_ci_high=again.relative_ci_high,
        correction="bonferroni",
    )


def decided(effect: Effect) -> bool:
    """Whether the effect differs from its null value, corrected where it was."""
    p_value = effect.p_value if effect.p_value_adjusted is None else effect.p_value_adjusted
    return p_value is not None and p_value <= effect.alpha
