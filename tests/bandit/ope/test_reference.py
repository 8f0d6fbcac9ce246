"""Peers' numbers, by running them (versions in the file), at each case's tolerance."""

from typing import Any

import numpy as np
import pytest

from bandit import ope
from bandit.errors import NotEnoughData
from bandit.ope.tuning import weight_slack
from tests.bandit.ope import worlds
from tests.bandit.ope.references import (
    CASES,
    INF,
    KNOWN_BAD,
    NOT_OFFERED,
    OTHER_CONVENTION,
    batch,
    estimator,
)

INTERVALS = {
    "gauss": lambda log, p: ope.normal(ope.Ips().terms(log), alpha=p["alpha"]),
    "clopper": lambda log, p: ope.clopper_pearson(
        log, alpha=p["alpha"], weight_bound=float(log.weights.max())
    ),
    "cr": lambda log, p: ope.cressie_read(log, alpha=p["alpha"], weight_bounds=(0.0, INF)),
    "cs": lambda log, p: ope.anytime_ips(log, alpha=p["alpha"], predictor="running")[0],
}
SLATES = {
    "obp-S-sips": ope.Sips(),
    "obp-S-iips": ope.Iips(),
    "obp-S-snsips": ope.Sips(normalised=True),
    "obp-S-snrips": ope.Rips(normalised=True),
    "obp-S-cascade-dr": ope.CascadeDr(),
    "scope-S-perdecisionimportancesampling": ope.Pdis(),
    "scope-S-selfnormalizedpdis": ope.Pdis(normalised=True),
}


def kind(case: dict[str, Any]) -> str:
    name, tags = case["id"], case["tags"]
    if "-tune-" in name:
        return "tuning"
    if any(
        word in name
        for word in ("bounds", "diagnostics", "cumulative", "vw-", "pareto", "psis", "betting")
    ):
        return "one of a kind"
    if name in SLATES:
        return "slate"
    if "continuous" in tags:
        return "kernel"
    if "-grid" in name or "marginal-q" in name:
        return "one of a kind"
    return "interval" if "ci_lower" in case["expected"] and "-boot" not in name else "point"


def of_kind(*kinds: str) -> list[str]:
    return [name for name, case in CASES.items() if kind(case) in kinds]


def agree(case: dict[str, Any], key: str, got: float | list[float]) -> None:
    rel, absolute = case["tol"].get("rel", 0.0), case["tol"]["abs"]
    # Weights near 100 and sums over 10,000 rows leave a rounding of 1e-15 of the largest term.
    wanted = case["expected"][key]
    assert got == pytest.approx(wanted, rel=rel, abs=max(absolute, 1e-15)), key


@pytest.mark.parametrize("name", of_kind("point"))
def test_value_and_contributions_are_the_peers(name):
    case = CASES[name]
    terms = estimator(case).terms(batch(name))
    if "value" in case["expected"]:
        agree(case, "value", terms.value)
    if "roundwise_sum_sq" in case["expected"]:
        agree(case, "roundwise_std_ddof1", float(terms.contributions.std(ddof=1)))
        agree(case, "roundwise_sum_sq", float((terms.contributions**2).sum()))


@pytest.mark.parametrize(
    "name", [n for n, c in CASES.items() if {"ci_lower", "boot_ci_lower"} & c["expected"].keys()
             and "mc_abs" in c["tol"] and n not in KNOWN_BAD and "-sn" not in n]
)  # fmt: skip
def test_bootstrap_interval_is_the_peers_but_for_its_stream(name):
    case = CASES[name]
    if name in SLATES:
        terms = SLATES[name].terms(worlds.world_s(400, 5, 3, 99)[0])
    else:
        terms = estimator(case).terms(batch(name))
    if terms.std_error < 1e-12:  # one prediction for every row: obp prints an interval of width 0
        with pytest.raises(NotEnoughData):
            ope.bootstrap(terms, np.random.default_rng(1))
        return
    got = ope.bootstrap(terms, np.random.default_rng(1), method="percentile", resamples_n=1000)
    prefix = "" if "ci_lower" in case["expected"] else "boot_"
    room = case["tol"]["mc_abs"]
    assert got.low == pytest.approx(case["expected"][f"{prefix}ci_lower"], abs=room)
    assert got.high == pytest.approx(case["expected"][f"{prefix}ci_upper"], abs=room)


@pytest.mark.parametrize("name", sorted(KNOWN_BAD))
def test_bootstrap_of_a_ratio_resamples_its_normaliser(name):
    # The peer's frozen normaliser is a known fault: the delta method is the second opinion here.
    terms = estimator(CASES[name]).terms(batch(name))
    got = ope.bootstrap(terms, np.random.default_rng(1), method="percentile", resamples_n=4000)
    theirs, room = CASES[name]["expected"], CASES[name]["tol"]["mc_abs"]
    frozen = ope.bootstrap(
        terms, np.random.default_rng(1), method="percentile", resamples_n=1000, normaliser="frozen"
    )
    assert frozen.low == pytest.approx(theirs["ci_lower"], abs=room)
    assert frozen.high == pytest.approx(theirs["ci_upper"], abs=room)
    assert got.width == pytest.approx(2 * 1.96 * terms.std_error, rel=0.05)
    assert got.width < 1.1 * (theirs["ci_upper"] - theirs["ci_lower"])


@pytest.mark.parametrize("name", of_kind("interval"))
def test_interval_is_the_peers(name):
    case = CASES[name]
    word = next(w for part in name.split("-") for w in [part.removesuffix("ian")] if w in INTERVALS
                or w in {"cp"})  # fmt: skip
    got = INTERVALS["clopper" if word == "cp" else word](batch(name), case["params"])
    agree(case, "ci_lower", got.low)
    agree(case, "ci_upper", got.high)


@pytest.mark.parametrize("name", of_kind("slate"))
def test_slate_value_is_the_peers(name):
    slates, action = worlds.world_s(400, 5, 3, 99)
    assert (slates.reward.sum(), action.sum()) == (388.0, 2030)
    agree(CASES[name], "value", SLATES[name].terms(slates).value)


@pytest.mark.parametrize("name", of_kind("kernel"))
def test_kernel_value_is_the_peers(name):
    x, u, noise = worlds.uniforms(77, 600).reshape(200, 3).T
    action, target = 4 * u - 2, np.sin(3 * x)
    reward = 1 - (action - target) ** 2 / 4 + 0.2 * (noise - 0.5)
    terms = ope.Kernel(0.3, "gaussian", name.rsplit("-", 1)[1]).terms(
        action=action,
        density=np.full(200, 0.25),
        target=target,
        reward=reward,
        predicted=np.full(200, 0.9),
        direct=np.full(200, 0.9),
    )
    agree(CASES[name], "value", terms.value)


@pytest.mark.parametrize("name", of_kind("tuning"))
def test_tuning_chooses_as_the_peer(name):
    case, p = CASES[name], CASES[name]["params"]
    make = next(
        make
        for word, make in {
            "cips": ope.Ips, "dros": ope.DrOs, "sg-dr": ope.SgDr, "switch-dr": ope.SwitchDr,
            "clippeddr": ope.Dr,
        }.items() if word in name
    )  # fmt: skip
    got = ope.tune(
        [make(float(value)) for value in p["lambdas"]],
        batch(name),
        unbiased=ope.Ips() if make is ope.Ips else ope.Dr(),
        method=p["method"],
        delta=p["delta"],
        bias_bound=p["use_bias_upper_bound"],
    )
    agree(case, "value", got.value)
    assert got.estimator == make(float(case["expected"]["best_lambda"]))


def test_one_sided_bounds_are_the_peers():
    case, log = CASES["obp-A500-bounds"], batch("obp-A500-bounds")
    earned = log.weights * log.reward
    seen, known = (0.0, float(earned.max())), (0.0, 150.0)
    agree(case, "hoeffding_lb", ope.hoeffding(earned, seen, alpha=0.1).low)
    agree(case, "hoeffding_lb_known_max", ope.hoeffding(earned, known, alpha=0.1).low)
    agree(case, "bernstein_lb", ope.empirical_bernstein(earned, seen, alpha=0.1).low)
    agree(case, "bernstein_lb_known_max", ope.empirical_bernstein(earned, known, alpha=0.1).low)
    agree(case, "student_t_lb", ope.student_t(ope.Ips().terms(log), alpha=0.1).low)
    agree(case, "bias_cips5", ope.Ips().terms(log).value - ope.Ips(5).terms(log).value)
    agree(case, "bias_ub_cips5", weight_slack(log))


@pytest.mark.parametrize("name", [n for n in CASES if "cumulativedistribution" in n])
def test_reward_distribution_is_the_peers(name):
    case = CASES[name]
    found = ope.RewardDistribution(batch(name), normalised=name.endswith("sntis"))
    got = np.array([found.cdf(t) for t in case["params"]["reward_scale"]])
    # scope-rl gives the least reward's weight to grid points below it, all but the first.
    wanted = np.where(got > 0.0, case["expected"]["cdf"], 0.0)
    assert got == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert (got > 0.0).sum() > len(got) / 2
    if "variance" not in OTHER_CONVENTION[name]:
        agree(case, "variance", found.variance)


def test_tail_index_is_the_peers():
    case = CASES["arviz-pareto-0.2"]
    weights = (1 - worlds.uniforms(4242, 2000)) ** -0.2
    agree(case, "pareto_k", ope.pareto_k(weights))
    agree(case, "ess_fraction", float(weights.sum() ** 2 / (weights @ weights) / 2000))
    smooth, log = CASES["arviz-A2000h-psis"], batch("arviz-A2000h-psis")
    agree(smooth, "pareto_k", ope.pareto_k(log.weights))
    agree(smooth, "psis_snips", ope.Psis().terms(log).value)


def test_diagnostics_are_the_peers():
    case = CASES["skdr-A500-diagnostics"]
    found = ope.diagnose(batch("skdr-A500-diagnostics"))
    agree(case, "ess", found.ess)
    agree(case, "ess_fraction", found.ess_share)
    agree(case, "mean_weight", found.mean_weight)
    agree(case, "max_weight", found.max_weight)
    agree(case, "max_weight_share", found.max_weight_share)


def test_dr_with_a_constant_model_is_the_peers():
    # skdr-eval's DR is right for a model that does not look at the action; its SNDR error is DR's.
    wanted = CASES["skdr-A500-dr-marginal-q"]["expected"]
    log = batch("skdr-A500-dr-marginal-q")
    log = log.with_predictions(np.full((log.n, 4), log.reward.mean()))
    dr, sndr = ope.Dr().terms(log), ope.Sndr().terms(log)
    assert dr.value == pytest.approx(wanted["DR"]["V_hat"], rel=1e-9)
    assert sndr.value == pytest.approx(wanted["SNDR"]["V_hat"], rel=1e-9)
    error = wanted["DR"]["SE_if"]
    assert dr.std_error == pytest.approx(error, rel=2e-3)  # theirs divides by n, ours by n − 1
    assert ope.Dr(2.0).terms(log).value == pytest.approx(wanted["DR"]["grid"][0]["V_DR"], rel=1e-8)


def test_vw_prints_the_ips_of_the_policy_it_explores_with():
    # An untrained learner with epsilon 1 is the uniform policy; VW's loss is minus its reward.
    case = CASES["vw-adf-uniform"]
    log = batch("vw-adf-uniform").with_target(np.full((200, 4), 0.25))
    agree(case, "average_loss", -ope.Ips().terms(log).value)


def test_betting_sequence_is_the_peers():
    name = "confseq-A500-betting-cs"
    case, log = CASES[name], batch(name)
    alpha = case["params"]["alpha"]
    [got] = ope.anytime_betting(log.weights * log.reward, (0.0, 20.0), alpha=alpha)
    assert [got.low, got.high] == pytest.approx(case["expected"]["ci_at_n"], abs=case["tol"]["abs"])


def test_every_case_is_either_asked_or_explained():
    assert len(CASES) == 95
    assert NOT_OFFERED.keys() <= CASES.keys()
    asked = of_kind("point", "interval", "slate", "kernel", "tuning", "one of a kind")
    assert sorted(asked) == sorted(CASES)
    for name, keys in OTHER_CONVENTION.items():
        assert keys.keys() <= CASES[name]["expected"].keys()
