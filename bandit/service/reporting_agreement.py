"""Whether off-policy evaluation foretold an A/B test: each experiment is its own standing check.

From the log of one arm alone the other arm's policy has a value; the other arm really earned
something. Both are of different units, so their difference has a plain two-sample test.
"""

from collections.abc import Iterable
from typing import Literal

from bandit.ope import Value, snips
from bandit.ope.paired_moments import Measured, PairedMoments
from bandit.records import Record
from bandit.specs import Experiment
from bandit.store.paired import VariantPaired

WITHIN = 0.025
"""How near a prediction should be, as a share of what was earned.

Source: Agarwal et al. (2016), "Making contextual decisions with low technical debt"."""


class Agreement(Record, frozen=True, kw_only=True):
    """What one arm's log foretold of the other arm, beside what that arm earned.

    Attributes:
        control, treatment: The variants that are compared.
        log: Whose decisions foretell.
        judged: The variant whose policy is foretold.
        policy: That variant's.
        foretold: Its value from that log (SNIPS), with its verdict; no value when refused.
        earned, earned_low, earned_high: What it really earned per decision.
        ab_effect, ab_low, ab_high: treatment − control as the A/B test has it, per decision.
        foretold_effect, foretold_low, foretold_high: The same as that log alone has it.
        difference, difference_low, difference_high: foretold − earned; None when refused.
        p_value: Of no difference; None where nothing can be said.
        relative: difference ÷ earned; None when refused or nothing was earned.
        is_within: Whether it is at most 2.5 % either way; None when it can not be told.
        state: `agrees`, `disagrees` (p below alpha: look for wrong propensities, or units that the
            arms treat differently beside the policy), or `untold`.
        reasons: Why nothing is told, or what to read beside it: codes of a value.
    """

    control: str
    treatment: str
    log: str
    judged: str
    policy: str
    foretold: Value
    earned: float | None = None
    earned_low: float | None = None
    earned_high: float | None = None
    ab_effect: float | None = None
    ab_low: float | None = None
    ab_high: float | None = None
    foretold_effect: float | None = None
    foretold_low: float | None = None
    foretold_high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    relative: float | None = None
    is_within: bool | None = None
    state: Literal["agrees", "disagrees", "untold"]
    reasons: tuple[str, ...] = ()


def agreement_of(
    experiment: Experiment, found: Iterable[VariantPaired], alpha: float
) -> tuple[Agreement, ...]:
    """The panel of an experiment: every treatment from the control's log, and the other way round.

    Args:
        experiment: Between policies on a surface; any other has no panel.
        found: As `agreement_moments` gives it; other experiments' are passed over.
        alpha: 1 − the level of intervals and tests.
    """
    if experiment.surface is None:
        return ()
    moments = {
        (one.variant, one.target): one.moments for one in found if one.experiment == experiment.key
    }
    policies = {variant.key: variant.policy or "" for variant in experiment.variants}
    return tuple(
        _agreement(moments, policies, (experiment.control, treatment), log, alpha)
        for treatment in policies
        if treatment != experiment.control and policies[treatment] != policies[experiment.control]
        for log in (experiment.control, treatment)
    )


def _agreement(
    moments: dict[tuple[str, str], PairedMoments],
    policies: dict[str, str],
    arms: tuple[str, str],
    log: str,
    alpha: float,
) -> Agreement:
    control, treatment = arms
    judged = treatment if log == control else control
    nothing = PairedMoments()
    told = moments.get((log, policies[judged]), nothing)
    foretold = snips(told.of_target, policy=policies[judged], alpha=alpha)
    earned = moments.get((judged, policies[judged]), nothing).logged()
    own = moments.get((log, policies[log]), nothing).logged()
    panel = Agreement(
        control=control,
        treatment=treatment,
        log=log,
        judged=judged,
        policy=policies[judged],
        foretold=foretold,
        earned=earned.value if earned else None,
        state="untold",
        reasons=foretold.reasons,
    )
    panel = _with(panel, "earned", earned, alpha)
    if earned is not None and own is not None:
        effect = earned - own
        panel = _with(panel, "ab", _signed(effect, log == control), alpha, name="ab_effect")
    value = told.target()
    if foretold.value is None or value is None:
        return panel
    gain = told.gain()
    panel = _with(
        panel, "foretold", gain and _signed(gain, log == control), alpha, name="foretold_effect"
    )
    if earned is None:
        return _changed(panel, reasons=(*foretold.reasons, "empty_variant"))
    return _judged(panel, value - earned, earned.value, alpha)


def _judged(panel: Agreement, difference: Measured, earned: float, alpha: float) -> Agreement:
    relative = difference.value / earned if earned else None
    p_value = difference.p_value
    low, high = difference.interval(alpha)
    panel = _changed(
        panel,
        difference=difference.value,
        difference_low=low if difference.std_error else None,
        difference_high=high if difference.std_error else None,
        p_value=p_value,
        relative=relative,
        is_within=None if relative is None else abs(relative) <= WITHIN,
    )
    if p_value is None:
        return _changed(panel, reasons=(*panel.reasons, "no_variance"))
    return _changed(panel, state="disagrees" if p_value < alpha else "agrees")


def _with(
    panel: Agreement, prefix: str, found: Measured | None, alpha: float, name: str = ""
) -> Agreement:
    """With a number and its interval."""
    if found is None:
        return panel
    low, high = found.interval(alpha)
    ends = {f"{prefix}_low": low, f"{prefix}_high": high} if found.std_error else {}
    return _changed(panel, **{name or prefix: found.value}, **ends)


def _signed(found: Measured, log_is_control: bool) -> Measured:
    """The judged arm − the other, as treatment − control."""
    if log_is_control:
        return found
    return Measured(value=-found.value, std_error=found.std_error, df=found.df)


def _changed(panel: Agreement, **changes: object) -> Agreement:
    fields = {name: getattr(panel, name) for name in Agreement.__struct_fields__}
    return Agreement(**(fields | changes))
