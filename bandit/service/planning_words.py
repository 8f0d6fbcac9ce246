"""Plans → what a person reads; pure. The CLI and the dashboard share it."""

from bandit.service.planning import DesignPlan, MetricBaseline, Planning
from bandit.service.reporting_words import DASH, in_words, number, percent
from bandit.stats.sequential import DesignCost

LITTLE = 1.05
"""A way of looking is advised if it takes at most so many times as long as one look."""
SPENDINGS = {"obrien_fleming": "O'Brien–Fleming", "pocock": "Pocock"}


def design_in_words(cost: DesignCost) -> str:
    """A way of looking, as one names it.

    >>> design_in_words(DesignCost(kind="planned", looks=5, spending="pocock"))
    '5 planned looks (Pocock)'
    """
    if cost.kind == "fixed":
        return "one look at the end"
    if cost.kind == "anytime":
        return "looks at any time"
    return f"{cost.looks} planned looks ({SPENDINGS[str(cost.spending)]})"


def answer_in_words(planning: Planning) -> tuple[str, str]:
    """What the experiment needs, and the next step or the reason why it can not be told."""
    plan, found = planning.plan, planning.baseline
    if plan is None or found is None:
        return (
            "There is nothing to plan with yet.",
            "Type in the mean and the spread of a metric, or run an experiment here once.",
        )
    asked = planning.question
    what = found.metric or f"a {found.type}"
    size = _size(plan.effect, plan.relative_effect)
    if plan.units is None or plan.units_each is None:
        return (
            f"No plan for {what}: {in_words([plan.reason or 'no_effect'])}.",
            "Change what is asked for, or what is known.",
        )
    aim = f"show {what} not to be worse than by {size.lstrip('+-−')}"
    if asked.shows != "not_worse":
        aim = f"find a change of {what} by {size}"
    need = (
        f"To {aim} in {100 * asked.power:g} % of runs, it needs {plan.units_each:,} units in each "
        f"of {1 + asked.treatments} variants, {plan.units:,} in all"
    )
    if plan.days is None:
        return f"{need}.", "How long that takes is not known: type in new units per day."
    days = f"{plan.days:,} day{'' if plan.days == 1 else 's'}"
    return f"{need}: {days}.", _advice(plan.designs)


def _size(effect: float | None, relative: float | None) -> str:
    if relative is None:
        return number(effect, sign="+")
    return f"{percent(relative, sign='+')} ({number(effect, sign='+')})"


def _advice(designs: tuple[DesignPlan, ...]) -> str:
    """Which way of looking ends soonest on average, if it is not the fixed one."""
    fixed = next((one for one in designs if one.cost.kind == "fixed"), None)
    if fixed is None or fixed.days_expected is None:
        return ""
    most = LITTLE * fixed.days_expected
    known = [
        one for one in designs if one.days_expected is not None and (one.days_most or 0.0) <= most
    ]
    best = min(known, key=lambda one: one.days_expected or 0.0)
    if best is fixed or best.days_expected is None:
        return "No way of looking in between ends sooner."
    saved = 1.0 - best.days_expected / fixed.days_expected
    longer = (best.days_most or 0.0) / fixed.days_expected - 1.0
    return (
        f"With {design_in_words(best.cost)}, it ends {percent(saved)} sooner on average, if the "
        f"effect is there, and takes {percent(longer)} longer if it is not."
    )


def design_row(found: DesignPlan) -> dict[str, str]:
    """A way of looking, in a line."""
    cost = found.cost
    if cost.reason is not None:
        return {"looks": design_in_words(cost), "units at most": f"{DASH} (never enough)"}
    return {
        "looks": design_in_words(cost),
        "days on average": _days(found.days_expected),
        "days at most": _days(found.days_most),
        "days if there is no effect": _days(found.days_expected_null),
        "units on average": _units(cost.units_expected),
        "units at most": _units(cost.units_most),
        "power with the units of one look": percent(cost.power),
    }


def _days(value: float | None) -> str:
    """To a tenth, or two digits that matter: shorter ones are to be compared, too."""
    return (
        DASH if value is None else number(round(value, 1) if value >= 1 else float(f"{value:.2g}"))
    )


def _units(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def baseline_row(found: MetricBaseline) -> dict[str, str]:
    """What is known of a metric, in a line."""
    return {
        "metric": found.metric or "typed in",
        "type": found.type,
        "mean": number(found.mean),
        "spread (sd)": number(found.sd)
        if found.reason is None
        else f"{DASH} ({in_words([found.reason])})",
        "taken by covariates": percent(found.variance_reduction),
        "units": f"{found.units_n:,}",
        "from the control of": found.experiment or DASH,
    }


def traffic_in_words(planning: Planning) -> str:
    """How many new units come, and who says so."""
    if planning.units_per_day is None:
        return "How many new units come is not known: nothing was measured here yet."
    pace = f"About {number(planning.units_per_day)} new units a day"
    if planning.units_from == "surface":
        return f"{pace}, by all that the surface saw; no experiment tells more."
    return f"{pace}, as experiment {planning.units_from} saw over its last week."
