import re
from typing import get_args, get_type_hints

import msgspec
import pytest

from bandit.ope import Value
from bandit.service.judging import Judged, judge
from bandit.service.judging_payloads import MetricOutlook, SegmentFinding, SegmentRow
from bandit.service.reporting_actions import ActionEstimate
from bandit.service.reporting_words import (
    HOLDS,
    REASONS,
    effect_in_words,
    guardrail_in_words,
    judgements,
    notes_of,
    outlook_in_words,
    segment_in_words,
    value_in_words,
)
from bandit.stats import Moments, Srm, welch
from bandit.stats.effect import Reason
from tests.bandit.service.making_numbers import experiment_of, metric_of, moments_of, numbers_of


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


def judged(**more: object) -> Judged:
    rows = {"c": [[0.0, 1.0] * 300, [0.0, 1.0] * 300], "t": [[0.1, 1.0] * 300, [0.0, 1.1] * 300]}
    capped = {key: [[min(x, 0.9) for x in y], y, z] for key, (y, z) in rows.items()}
    numbers = moments_of(
        "reward", capped, ("value", "uncapped", "covariate"), cap=0.9, unripe_n={"c": 7},
        capped_n={"t": 300},
    )  # fmt: skip
    return judge(numbers_of(numbers), experiment_of(**more), [metric_of()], alpha=0.05)


def test_notes_tell_covariates_cap_and_units_that_do_not_count():
    [found] = judged().effects
    text = "; ".join(notes_of(found))
    for part in (
        "without covariates +0.05",
        "of variance",
        "capped at 0.9; uncapped +0.05",
        "7 units wait for their window to end",
        "300 units are above the cap",
        "units whose window is not over do not count yet",
    ):
        assert part in text


def test_every_way_of_judging_is_shown_once():
    [found] = judged().effects
    assert [mode for mode, _ in judgements(found)] == ["anytime", "fixed"]
    planned = judged(sequential="planned", looks=2, planned_units=1000).effects[0]
    assert [mode for mode, _ in judgements(planned)] == ["anytime", "planned", "fixed"]
    assert set(HOLDS) == {mode for mode, _ in judgements(planned)}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("ok", "reward not worse than 2 %"),
        ("violated", "reward is worse by more than 2 % (+9.1 %)"),
        ("unclear", "reward may be worse by more than 2 % (+9.1 % so far)"),
    ],
)
def test_guardrails_in_words(state: str, words: str):
    experiment = experiment_of(metrics=[], guardrails=["reward"])
    numbers = moments_of("reward", {"c": [[0.0, 1.1] * 30], "t": [[0.0, 1.2] * 30]})
    [found] = judge(numbers_of(numbers), experiment, [metric_of(margin=0.02)], alpha=0.05).effects
    assert guardrail_in_words(msgspec.structs.replace(found, guardrail=state)) == words
    assert guardrail_in_words(judged().effects[0]) == "reward is not a guardrail"


def test_what_can_not_be_told_of_a_guardrail_says_why():
    experiment = experiment_of(metrics=[], guardrails=["reward"])
    numbers = moments_of("reward", {"c": [[1.0] * 30]})
    [found] = judge(numbers_of(numbers), experiment, [metric_of()], alpha=0.05).effects
    assert guardrail_in_words(found) == (
        "reward can not be told (a variant has no unit that counts yet)"
    )


def test_outlook_without_numbers_says_why():
    assert outlook_in_words(None).startswith("– (")
    assert "no number of units" in outlook_in_words(
        MetricOutlook(power_now=0.1, effect=0.0, mde=0.2, reason="no_effect")
    )


def test_segments_in_words_claim_only_what_the_test_bears():
    none = SegmentFinding(
        by="country", metric="m", role="primary", control="c", treatment="t", method="cochran_q",
        reason="few_segments",
    )  # fmt: skip
    assert "can not be compared (fewer than two segments" in segment_in_words(none)
    found = msgspec.structs.replace(none, p_value_adjusted=0.4)
    assert "no difference can be told (p = 0.4, corrected)" in segment_in_words(found)
    row = SegmentRow(value='"FR"', effect=judged().effects[0].effect, differs=True)
    told = msgspec.structs.replace(found, p_value_adjusted=0.001, differs=True, rows=(row,))
    assert segment_in_words(told).endswith('(p = 0.001, corrected): "FR" stand out.')


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
