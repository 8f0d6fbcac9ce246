"""Real logged bandit feedback: each policy judged from the other's log, beside its own clicks.

Open Bandit Dataset (ZOZO, Inc., CC BY 4.0): a uniform policy and Bernoulli Thompson sampling showed
fashion items in three positions of three campaigns at the same time, with true propensities.

Source: Saito, Aihara, Matsutani, Narita (2021), "Open Bandit Dataset and Pipeline: towards
realistic and reproducible off-policy evaluation", arXiv 2008.07146.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bandit import ope
from bandit.errors import RecordError
from bandit.records import Record

CAMPAIGNS = ("all", "men", "women")
POLICIES = ("random", "bts")
SMALL = Path(__file__).parents[1] / "tests" / "data" / "obd"
"""Where a checkout has 10,000 rows of each log."""
FULL = {
    "random": {"all": 0.0035, "men": 0.0051, "women": 0.0048},
    "bts": {"all": 0.0050, "men": 0.0067, "women": 0.0064},
}
"""Click rates of the 26 million rows that the sample is from: the paper's table 1."""
STRENGTH = 200.0
"""An item's click rate is shrunk towards the mean as by so many further shows."""


class Judgement(Record, frozen=True, kw_only=True):
    """A policy's click rate from the other policy's log, beside its own log's.

    Attributes:
        campaign, logged_by, target: Which.
        truth, truth_error: Click rate of the target's own log, and its standard error.
        full: Click rate of the target in the full data.
        evaluation: All that is told of the target from the other log.
    """

    campaign: str
    logged_by: str
    target: str
    truth: float
    truth_error: float
    full: float
    evaluation: ope.Evaluation

    @property
    def holds(self) -> bool | None:
        """Whether the interval reaches the target's own log's; None where it was refused."""
        best = self.evaluation.best
        if best is None or best.interval is None:
            return None
        reach = 1.96 * self.truth_error
        return best.interval.low - reach <= self.truth <= best.interval.high + reach


def judge(folder: Path) -> Iterator[Judgement]:
    """Every campaign, from the uniform policy's log to Thompson sampling and back.

    Args:
        folder: With `random_all.csv.gz` … and `policies/bts_all.csv` … in it; the former may be in
            a folder `compact`.

    Raises:
        RecordError: A file is not there, or not one of these.
    """
    for campaign in CAMPAIGNS:
        for logged_by, target in (POLICIES, POLICIES[::-1]):
            own = _columns(folder, target, campaign)["click"]
            truth = float(own.mean())
            yield Judgement(
                campaign=campaign,
                logged_by=logged_by,
                target=target,
                truth=truth,
                truth_error=float(np.sqrt(truth * (1.0 - truth) / len(own))),
                full=FULL[target][campaign],
                evaluation=ope.evaluate(
                    _log(folder, logged_by, campaign), policy=f"{campaign}: {target}"
                ),
            )


def _log(folder: Path, logged_by: str, campaign: str) -> ope.LoggedBatch:
    """The log with the other policy as target, and a model of each item's clicks of other folds.

    The uniform policy's own probabilities are known, and bound the weights; Thompson sampling's
    were logged for what it drew only.
    """
    table = _thompson(folder, campaign)
    k = len(table)
    uniform = logged_by == "random"
    more: dict[str, Any] = {}
    if uniform:
        more["weight_bound"] = float(table.max()) * k
    target = table if uniform else np.full(k, 1.0 / k)
    log = ope.read_obd(_file(folder, logged_by, campaign), target, **more)
    nothing = np.zeros((log.n, 1))
    return ope.cross_fit(log, nothing, lambda: ope.RidgePerAction(k=k, strength=STRENGTH))


def _columns(folder: Path, policy: str, campaign: str) -> dict[str, Any]:
    return ope.read_obd_columns(_file(folder, policy, campaign))


def _thompson(folder: Path, campaign: str) -> npt.NDArray[np.float64]:
    """`(items, positions)` probabilities of Bernoulli Thompson sampling."""
    path = folder / "policies" / f"bts_{campaign}.csv"
    if not path.is_file():
        raise RecordError(f"{path} is not there, must be: --data names the folder of the data")
    table: npt.NDArray[np.float64] = np.loadtxt(path, delimiter=",", skiprows=1)[:, 1:]
    return table


def _file(folder: Path, policy: str, campaign: str) -> Path:
    name = f"{policy}_{campaign}.csv.gz"
    for path in (folder / name, folder / "compact" / name):
        if path.is_file():
            return path
    raise RecordError(f"{folder / name} is not there, must be: --data names the folder of the data")
