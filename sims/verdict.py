"""The demo's verdict: what the report says, and what must hold for it to be believed."""

from bandit.service.reporting_payloads import ExperimentReport, MetricEffect
from bandit.stats import Effect
from sims.audit import Check, Late
from sims.ledger import Ledger


def primary_effect(report: ExperimentReport, treatment: str) -> MetricEffect | None:
    """The primary metric's effect of a treatment."""
    return next((e for e in report.effects if e.is_primary and e.treatment == treatment), None)


def check_better(found: MetricEffect | None) -> Check:
    """The treatment beats the control by an interval that leaves out zero.

    That of one planned look: the demo looks once, when its rounds are over.
    """
    name = "the learned policy beats chance"
    if found is None:
        return Check(name, False, "the report has no primary metric")
    low = found.effect.effect_ci_low
    return Check(name, low is not None and low > 0.0, effect_text(found.effect))


def check_earned(ledger: Ledger, report: ExperimentReport, late: Late) -> Check:
    """The report counts the client's rewards, all but those that came after their window."""
    accepted = sum(shown.reward for shown in ledger.shown)
    counted = sum(group.reward_sum for group in report.variants)
    numbers = f"{accepted:,.0f} accepted = {counted:,.0f} counted"
    if late.rewards_n:
        numbers += f" + {late.worth:,.0f} late"
    return Check("accepted rewards are in the report", accepted == counted + late.worth, numbers)


def effect_text(effect: Effect) -> str:
    """An effect with its intervals, in words."""
    if effect.effect is None or effect.effect_ci_low is None or effect.effect_ci_high is None:
        return f"none: {effect.reason}"
    level = f"{1 - effect.alpha:.0%}"
    text = (
        f"{effect.effect:+.4g} ({level} interval {effect.effect_ci_low:+.4g} "
        f"to {effect.effect_ci_high:+.4g})"
    )
    if effect.relative_effect is not None:
        text += f", {effect.relative_effect:+.1%}"
    if effect.relative_ci_low is not None and effect.relative_ci_high is not None:
        text += f" ({effect.relative_ci_low:+.1%} to {effect.relative_ci_high:+.1%})"
    return text
