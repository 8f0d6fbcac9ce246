"""Open Bandit Pipeline on arrays of a folder; run by its own Python (see `tests/bench/ope.py`).

Prints one JSON line: seconds and values. obp imports torch for its policy learners, which are
another matter than its estimators: where torch is missing, a stand-in is imported.
"""

import json
import sys
import time
import types
from pathlib import Path

import numpy as np


def stand_in(name: str) -> None:
    """A module in which any name is an empty class."""
    module = types.ModuleType(name)
    module.__path__ = []  # type: ignore[attr-defined]
    module.__getattr__ = lambda wanted: type(wanted, (object,), {})  # type: ignore[method-assign]
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


TORCH = ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils")
for missing in (*TORCH, "torch.utils.data", "pyieoe", "seaborn", "matplotlib", "matplotlib.pyplot"):
    try:
        __import__(missing)
    except ImportError:
        stand_in(missing)

from obp import ope  # noqa: E402
from obp.version import __version__  # noqa: E402

ESTIMATORS = {
    "replay": ope.ReplayMethod(),
    "ips": ope.InverseProbabilityWeighting(),
    "clipped_ips(10)": ope.InverseProbabilityWeighting(lambda_=10.0),
    "snips": ope.SelfNormalizedInverseProbabilityWeighting(),
    "dm": ope.DirectMethod(),
    "dr": ope.DoublyRobust(),
    "sndr": ope.SelfNormalizedDoublyRobust(),
    "switch_dr(10)": ope.SwitchDoublyRobust(lambda_=10.0),
    "dros(100)": ope.DoublyRobustWithShrinkage(lambda_=100.0),
    "sg_ips(0.1)": ope.SubGaussianInverseProbabilityWeighting(lambda_=0.1),
    "sg_dr(0.1)": ope.SubGaussianDoublyRobust(lambda_=0.1),
}


def main(folder: Path) -> None:
    """Point estimates, and obp's default interval, 100 resamples: of DR, and of all others."""
    names = ("action", "reward", "pscore", "action_dist", "q_hat")
    arrays = {name: np.load(folder / f"{name}.npy") for name in names}
    given = {
        "reward": arrays["reward"],
        "action": arrays["action"],
        "pscore": arrays["pscore"],
        "action_dist": arrays["action_dist"][:, :, None],
        "estimated_rewards_by_reg_model": arrays["q_hat"][:, :, None],
        "position": np.zeros(len(arrays["action"]), dtype=int),
    }
    started = time.perf_counter()
    values = {name: float(e.estimate_policy_value(**given)) for name, e in ESTIMATORS.items()}
    points_s = time.perf_counter() - started
    each_s = {}
    for name, estimator in ESTIMATORS.items():
        started = time.perf_counter()
        estimator.estimate_interval(**given, n_bootstrap_samples=100, random_state=1)
        each_s[name] = time.perf_counter() - started
    print(
        json.dumps(
            {
                "version": __version__,
                "points_s": points_s,
                "interval_s": each_s["dr"],
                "intervals_s": sum(each_s.values()),
                "values": values,
            }
        )
    )


main(Path(sys.argv[1]))
