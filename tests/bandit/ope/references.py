"""How each case of `tests/data/ope_cases.json` is asked of `bandit.ope`."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bandit import ope
from tests.bandit.ope import worlds

DATA = Path(__file__).parents[2] / "data"
FILE = json.loads((DATA / "ope_cases.json").read_text())
CASES = {case["id"]: case for case in FILE["cases"]}
INF = float("inf")

# Why a number of a peer is not ours, by case and key; the test demands that the rest agrees.
OTHER_CONVENTION = {
    "scope-A500-cumulativedistributionsntis": {
        "mean_right_edge": "the right edge of a bin stands for all in it: 0.98 for a mean of 0.48",
        "cvar_10_30_50": "of bin edges: 0.5 where the worst reward is 0",
        "quantiles_25_50_75": "of bin edges",
    },
    "scope-C300-cumulativedistributiontis": {
        "mean_right_edge": "the right edge of a bin stands for all in it",
        "variance": "of a distribution that ends at 0.87",
        "cvar_10_30_50": "of bin edges",
        "quantiles_25_50_75": "of bin edges",
    },
    "skdr-A500-diagnostics": {
        "pareto_k": "without the prior, of the floor of the tail's length; arviz's is ours",
        "pareto_k_positive_weights": "the same",
        "overlap": "a classifier's, not Σ min of the two pmfs",
        "ece": "bins of a classifier's scores",
        "brier": "the log's probabilities are known, not fitted",
        "log_loss": "the same",
    },
    "arviz-A2000h-psis": {
        "skdr_pareto_k": "without the prior, of the floor of the tail's length",
    },
    "arviz-pareto-0.2": {
        "skdr_pareto_k": "without the prior, of the floor of the tail's length",
        "true_k": "the truth, not an estimate",
    },
}
NOT_OFFERED = {
    "vw-progressive-dm": "the loss of a learner while it learns, in VW's own bookkeeping: no value "
    "of a policy, which `bandit evaluate` gives of learning ones",
}
"""Cases whose method we do not offer, and why."""
KNOWN_BAD = {"obp-A500-snips-boot", "obp-C300-snips-boot", "obp-A500-sndr-boot"}
"""obp resamples normalised terms with the normaliser frozen (its issue 187)."""


@cache
def batch(case_id: str) -> ope.LoggedBatch:
    inputs = CASES[case_id]["inputs"]
    if inputs["type"] == "inline":
        t1 = FILE["inline"]["T1"]
        return ope.LoggedBatch.of(
            action=t1["action"],
            reward=t1["reward"],
            propensity=t1["pscore"],
            target_pmf=t1["pi_e"],
            predictions=t1["q_hat"],
            reward_range=(0, 1),
        )
    if inputs["type"] == "obd":
        return obd(inputs["file"])
    if inputs["world"].startswith("A twice"):
        return two_loggers(inputs["args"])
    args = {name.lower(): value for name, value in inputs["args"].items()}
    make = {"A": worlds.world_a, "B": worlds.world_b, "C": worlds.world_c}[inputs["world"]]
    span = None if inputs["world"] == "C" else (0.0, 1.0)
    return worlds.batch_of(make(**args), reward_range=span)


def obd(file: str) -> ope.LoggedBatch:
    """Rows of the Open Bandit sample, the other policy as target, smoothed clicks as model."""
    _, logging, campaign, _ = file.split("/")
    path = DATA / "obd" / f"{logging}_{campaign}.csv.gz"
    table = np.loadtxt(
        DATA / "obd" / "policies" / f"bts_{campaign}.csv", delimiter=",", skiprows=1
    )[:, 1:]
    k = len(table)
    target = table if logging == "random" else np.full(k, 1 / k)
    log = ope.read_obd(path, target)
    clicks = np.bincount(log.action, log.reward, minlength=k)
    shown = np.bincount(log.action, minlength=k)
    q = (clicks + 200 * log.reward.mean()) / (shown + 200)
    return log.with_predictions(np.broadcast_to(q, (log.n, k)))


def two_loggers(args: list[dict[str, Any]]) -> ope.LoggedBatch:
    parts = [worlds.world_a(**{name.lower(): v for name, v in one.items()}) for one in args]
    both = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    s = np.sin(2 * both["x"][:, None] + np.arange(4))
    under = [worlds.taken(worlds.softmax(one["beta_b"] * s), both["action"]) for one in args]
    return worlds.batch_of(
        both,
        logger=np.repeat([0, 1], [one["n"] for one in args]),
        logger_propensity=np.stack(under, axis=1),
    )


def estimator(case: dict[str, Any]) -> ope.Estimator:
    """By the words of the case's id."""
    p = case["params"]
    bounds = (float(p.get("wmin", 0)), float(p.get("wmax", INF)))
    made: dict[str, Callable[[], ope.Estimator]] = {
        "rm": ope.Replay,
        "ips": ope.Ips,
        "trajectorywiseimportancesampling": ope.Ips,
        "cips": lambda: ope.Ips(p["clip"]),
        "snips": ope.Snips,
        "selfnormalizedtis": ope.Snips,
        "ncis": lambda: ope.Ncis(p["cmax"]),
        "sgips": lambda: ope.SgIps(p["lambda"]),
        "dm": ope.Dm,
        "dr": ope.Dr,
        "cdr": lambda: ope.Dr(p["clip"]),
        "sndr": ope.Sndr,
        "selfnormalizeddr": ope.Sndr,
        "switchdr": lambda: ope.SwitchDr(p.get("tau", 3.0)),
        "dros": lambda: ope.DrOs(p.get("lambda", 1.0)),
        "sgdr": lambda: ope.SgDr(p["lambda"]),
        "mle": lambda: ope.ElMle(bounds),
        "cr": lambda: ope.CressieRead(bounds),
        "balanced-ips": ope.Balanced,
        "balanced-dr": lambda: ope.Balanced(with_model=True),
        "weighted-ips": ope.WeightedLoggers,
    }
    word = case["id"].split("-", 2)[2].removesuffix("-boot").removesuffix("-bounded")
    word = word.removeprefix("random2bts-").removeprefix("bts2random-").removesuffix("-1000")
    if case["id"].startswith("obp-ml-"):
        word = case["id"].removeprefix("obp-ml-")
    return made[word.rstrip("0123456789")]()
