import re
from typing import get_args, get_type_hints

from bandit.ope import Value
from bandit.service.reporting_actions import ActionEstimate
from bandit.service.reporting_words import REASONS, effect_in_words, value_in_words
from bandit.stats import Moments, Srm, welch
from bandit.stats.effect import Reason


def documented_codes(kind: type) -> set[str]:
    return set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", kind.__doc__ or "")) - set(
        kind.__struct_fields__
    )


def test_every_reason_has_words():
    codes = {*get_args(Reason), *documented_codes(Value), *documented_codes(Srm)}
    assert codes <= set(REASONS), codes - set(REASONS)
    assert {"low_ess", "weights_off_one", "unallocated_units"} <= codes


def test_every_reason_of_an_action_has_words():
    hints = get_type_hints(ActionEstimate)
    codes = {code for name in ("reason", "anytime_reason") for code in literals(hints[name])}
    assert codes <= set(REASONS), codes - set(REASONS)
    assert {"never_together", "one_look_only", "few_units"} <= codes


def literals(hint: object) -> list[str]:
    """The strings that a type of literals and None may be."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    return [s for part in parts for s in ([part] if isinstance(part, str) else literals(part))]


def test_relative_effect_in_words_has_its_own_reason():
    effect = welch(Moments.of([-1.0, 1.5, 0.3]), Moments.of([1.0, 2.0, 6.0]))
    assert effect_in_words(effect, relative=True).endswith(
        "(the control may be 0, so the relative interval has no bounds)"
    )
    assert "[" in effect_in_words(effect)


def test_a_refused_value_shows_no_number():
    refused = Value(
        policy="p",
        estimator="snips",
        alpha=0.05,
        n=5,
        units_n=5,
        matched_n=0,
        ess=0.0,
        mean_weight=0.0,
        max_weight=0.0,
        verdict="refuse",
        reasons=("no_overlap",),
    )
    assert value_in_words(refused) == "– (the policy would never have shown what was shown)"
