"""Logs of several policies; values of obp 0.5.7 are in `test_reference.py`, but for one."""

import numpy as np
import pytest

from bandit.errors import NotEnoughData, RecordError
from bandit.ope import Balanced, Dr, LoggedBatch, WeightedLoggers
from tests.bandit.ope.references import batch


def test_weighted_dr_is_the_peers_and_the_papers_if_asked() -> None:
    log = batch("obp-ml-weighted-ips")
    # obp 0.5.7 MultiLoggersWeightedDoublyRobust on the two logs of `ope_cases.json`: it weighs the
    # correction alone, while its docstring (and Kallus et al. 2021) weighs the direct part, too.
    peers = 0.48284080934915946
    assert WeightedLoggers(with_model=True).terms(log).value == pytest.approx(peers, rel=1e-12)
    whole = WeightedLoggers(with_model=True, weighs_direct=True).terms(log)
    each = [Dr().terms(log.take(log.logger == k)) for k in (0, 1)]
    precision = np.array([1 / (one.contributions.var() / len(one.direct)) for one in each])
    paper = precision @ [one.value for one in each] / precision.sum()
    assert whole.value == pytest.approx(paper, rel=1e-12)


@pytest.mark.parametrize("estimator", [Balanced(), WeightedLoggers()], ids=lambda e: e.name)
def test_a_logger_sampled_at_one_in_three_counts_three_times(estimator) -> None:
    # Shares of loggers ignored the sampling weights: a constant reward of 1 came out as 1.2.
    log = batch("obp-ml-balanced-ips")
    rows = np.repeat(np.arange(log.n), np.where(log.logger == 1, 3, 1))
    fields = {
        name: getattr(log, name)
        for name in ("propensity", "target", "logger", "logger_propensity", "reward")
    }
    weighted = LoggedBatch.of(**fields, sampling=np.where(log.logger == 1, 3.0, 1.0))
    wanted = estimator.terms(log.take(rows)).value
    assert estimator.terms(weighted).value == pytest.approx(wanted, rel=1e-12)


def test_loggers_need_no_numbers_in_a_row_and_must_be_able_to_draw_what_they_drew() -> None:
    fields = {"propensity": [0.5] * 4, "target": [0.5] * 4, "reward": [1.0, 0.0] * 2}
    told = LoggedBatch.of(**fields, logger=[0, 0, 7, 7])
    assert WeightedLoggers().terms(told).value == 0.5
    under = np.full((4, 2), 0.5)
    with pytest.raises(RecordError, match="logger is 7, must be a column of logger_propensity"):
        LoggedBatch.of(**fields, logger=[0, 0, 7, 7], logger_propensity=under)
    with pytest.raises(RecordError, match="logger is -1"):
        LoggedBatch.of(**fields, logger=[0, 0, -1, 1])
    with pytest.raises(RecordError, match="or 0 for an action that this logger drew"):
        LoggedBatch.of(**fields, logger=[0, 0, 1, 1], logger_propensity=under * [1, 0])
    none = LoggedBatch.of(
        propensity=[], target=[], reward=[], logger=[], logger_propensity=np.zeros((0, 2))
    )
    for estimator in (Balanced(), WeightedLoggers()):
        with pytest.raises(NotEnoughData):
            estimator.terms(none)
