import itertools
import math
from typing import Any

import numpy as np
import pytest

from bandit.stats.sequential.evalues import Block, e_to_p, log_two_shares
from tests.bandit.stats.peers import cases, dataset, same


@cases("e_value")
def test_e_values_of_two_shares_are_the_peers(case: dict[str, Any]):
    rows = dataset(case)
    blocks = [
        Block(int(c), 1, int(t), 1)
        for c, t in zip(rows["control"]["c"], rows["treatment"]["c"], strict=False)
    ]
    logs = log_two_shares(blocks, prior=case["params"]["prior"][0])
    for n, values in case["expected"]["at"].items():
        got = logs[: int(n) // 2]
        same({"log_e_value": got[-1], "p_value": e_to_p(got)}, case, values)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_e_value_has_mean_at_most_1_under_equal_shares(share: float):
    # By summing over every result of three blocks of two pairs.
    counts = list(itertools.product(range(3), repeat=6))
    total = 0.0
    for row in counts:
        chance = math.prod(math.comb(2, k) * share**k * (1 - share) ** (2 - k) for k in row)
        blocks = [Block(row[i], 2, row[i + 1], 2) for i in (0, 2, 4)]
        total += chance * math.exp(log_two_shares(blocks)[-1])
    assert 0.5 < total <= 1.0 + 1e-9


def test_unequal_shares_are_found():
    rng = np.random.default_rng(1)
    blocks = [
        Block(int(rng.binomial(50, 0.05)), 50, int(rng.binomial(50, 0.12)), 50) for _ in range(40)
    ]
    assert e_to_p(log_two_shares(blocks)) < 1e-3


def test_a_run_that_never_gained_has_p_value_1():
    assert e_to_p([-3.0, -1.0]) == 1.0
    assert e_to_p([]) == 1.0


@pytest.mark.parametrize("block", [(3, 2, 0, 1), (0, 0, 0, 0), (-1, 2, 0, 1)])
def test_impossible_blocks_are_refused(block: tuple):
    with pytest.raises(ValueError, match="must have 0 to n successes"):
        log_two_shares([Block(*block)])
