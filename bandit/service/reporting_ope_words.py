"""Agreement and exploration → what a person reads; pure. The CLI and the dashboard share it."""

from collections.abc import Sequence

from bandit.service.reporting_agreement import Agreement
from bandit.service.reporting_exploration import Exploration
from bandit.service.reporting_words import DASH, in_words, number

PLAN_REASONS = {
    "no_floor": "without a floor nobody can tell how long it takes",
    "never": "at the declared floor it is never seen",
    "too_soon": "not even drawing everything alike is enough in that time",
    "one_action": "there is a single action to draw from",
}


def exploration_in_words(found: Exploration) -> list[str]:
    """The price, and the plan if there is one."""
    if found.reason is not None or found.greedy is None:
        return [f"No decision of {found.policy} counts yet."]
    if found.price is None:
        return [f"The log can not tell what exploring costs: {in_words(found.greedy.reasons)}."]
    ends = (
        ""
        if found.price_low is None
        else f" [{number(found.price_low)}, {number(found.price_high)}]"
    )
    lines = [
        f"Exploring gives up {number(found.price)}{ends} of reward per day: always showing the "
        f"likeliest action would have earned {number(found.greedy.value)} per decision in place of "
        f"{number(found.logged)}, over {number(found.per_day)} decisions per day."
    ]
    plan = found.plan
    if plan is None:
        return lines
    what = f"a difference of {number(plan.difference)} per decision"
    at_floor = DASH if plan.days_at_floor is None else f"{number(plan.days_at_floor)} days"
    lines.append(f"At floor {number(plan.floor)} the gate sees {what} after {at_floor}.")
    if plan.reason is not None:
        lines.append(f"{PLAN_REASONS[plan.reason].capitalize()}.")
    if plan.floor_wanted is not None:
        price = "" if plan.price_wanted is None else f", at {number(plan.price_wanted)} per day"
        lines.append(
            f"For {number(plan.days)} days a floor of {number(plan.floor_wanted)} is enough{price}."
        )
    return lines


def agreement_in_words(panels: Sequence[Agreement]) -> list[str]:
    """One line that says how often predictions were within 2.5 %, as a standing check."""
    told = [panel for panel in panels if panel.is_within is not None]
    if not told:
        return ["No arm's log tells what the other arm's policy would have earned."]
    within = sum(panel.is_within is True for panel in told)
    off = [panel for panel in panels if panel.state == "disagrees"]
    line = f"{within} of {len(told)} predictions are within 2.5 % of what was earned."
    if not off:
        return [line, "None is further off than chance explains."]
    named = ", ".join(f"{panel.judged} from the log of {panel.log}" for panel in off)
    return [
        line,
        f"Further off than chance explains: {named}. Do not trust off-policy values here.",
    ]
