"""Off-policy predictions beside A/B effects: right logs agree, wrong propensities are found out."""

import random

import pytest
from msgspec.structs import replace

from bandit.ope.paired_moments import PairedMoments
from bandit.service.reporting_agreement import Agreement, agreement_of
from bandit.service.reporting_ope_words import agreement_in_words
from bandit.specs import Experiment, Variant
from bandit.store.paired import VariantPaired

EXPERIMENT = Experiment(
    key="e",
    surface="home",
    salt="s",
    control="c",
    variants=[
        Variant(key="c", policy="even", allocation=[(0, 5000)]),
        Variant(key="t", policy="better", allocation=[(5000, 10_000)]),
    ],
)
PMF = {"even": (0.5, 0.5), "better": (0.9, 0.1)}
CHANCE = (0.6, 0.2)


def log(*, lie: float = 1.0, n: int = 4000, seed: int = 1) -> list[VariantPaired]:
    """Both arms over two actions; `lie` multiplies the propensities that are logged."""
    rng, found = random.Random(seed), []
    for variant in EXPERIMENT.variants:
        assert variant.policy is not None
        rows: dict[str, list[tuple[str, float, float]]] = {"even": [], "better": []}
        for i in range(n):
            action = rng.random() >= PMF[variant.policy][0]
            reward = float(rng.random() < CHANCE[action])
            for target, pmf in PMF.items():
                weight = pmf[action] / PMF[variant.policy][action]
                is_own = target == variant.policy
                weight = 1.0 if is_own else weight / (lie if action else 1.0)
                rows[target].append((f"{variant.key}{i // 4}", weight, reward))
        for target, told in rows.items():
            moments = PairedMoments.of(*zip(*told, strict=True))
            found.append(VariantPaired("e", variant.key, variant.policy, target, moments))
    return found


def test_right_log_foretells_the_other_arm_both_ways() -> None:
    panels = agreement_of(EXPERIMENT, log(), alpha=0.01)
    assert [(p.log, p.judged, p.policy, p.state) for p in panels] == [
        ("c", "t", "better", "agrees"),
        ("t", "c", "even", "agrees"),
    ]
    first = panels[0]
    assert first.earned == pytest.approx(0.56, abs=0.03)
    assert first.foretold.value == pytest.approx(0.56, abs=0.03)
    assert first.ab_effect == pytest.approx(0.16, abs=0.04)
    assert first.foretold_effect == pytest.approx(0.16, abs=0.04)
    assert first.difference == pytest.approx(first.foretold.value - first.earned)
    assert first.relative == pytest.approx(first.difference / first.earned)
    assert first.is_within is (abs(first.relative) <= 0.025)
    # Paired on one log, the effect is known better than by the test.
    assert first.foretold_high - first.foretold_low < first.ab_high - first.ab_low


def test_predicted_effects_of_both_logs_have_one_sign() -> None:
    one, other = agreement_of(EXPERIMENT, log(), alpha=0.05)
    assert one.ab_effect == other.ab_effect
    assert one.foretold_effect > 0.0
    assert other.foretold_effect > 0.0


def test_right_logs_disagree_as_often_as_alpha_says() -> None:
    runs = [agreement_of(EXPERIMENT, log(n=300, seed=seed), alpha=0.1) for seed in range(60)]
    off = sum(panel.state == "disagrees" for panels in runs for panel in panels)
    # 120 tests at 10 %, two and two of one run: 4.4 standard errors of 60 runs.
    assert off / 120 <= 0.1 + 4.4 * (0.1 * 0.9 / 60) ** 0.5


def test_wrong_propensities_disagree() -> None:
    panels = agreement_of(EXPERIMENT, log(lie=0.4), alpha=0.05)
    assert panels[0].state == "disagrees"
    assert panels[0].is_within is False
    assert "Further off than chance explains: t from the log of c" in agreement_in_words(panels)[1]


def test_log_that_says_nothing_of_the_other_policy_leaves_it_untold() -> None:
    own = [one for one in log(n=50) if one.policy == one.target]
    for panel in agreement_of(EXPERIMENT, own, alpha=0.05):
        assert (panel.state, panel.difference, panel.is_within) == ("untold", None, None)
        assert panel.reasons == ("no_decisions",)
        assert panel.ab_effect is not None
    assert agreement_in_words(agreement_of(EXPERIMENT, own, alpha=0.05)) == [
        "No arm's log tells what the other arm's policy would have earned."
    ]


def test_arm_without_a_decision_is_said_so() -> None:
    only = [one for one in log(n=200) if one.variant == "c"]
    first: Agreement = agreement_of(EXPERIMENT, only, alpha=0.05)[0]
    assert (first.state, first.earned, first.reasons[-1]) == ("untold", None, "empty_variant")


@pytest.mark.parametrize(
    "experiment",
    [
        replace(
            EXPERIMENT,
            surface=None,
            variants=[replace(v, policy=None, payload=1) for v in EXPERIMENT.variants],
        ),
        replace(EXPERIMENT, variants=[replace(v, policy="even") for v in EXPERIMENT.variants]),
    ],
)
def test_experiment_that_compares_no_policies_has_no_panel(experiment: Experiment) -> None:
    assert agreement_of(experiment, log(n=50), alpha=0.05) == ()
