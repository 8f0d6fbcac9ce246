"""Evidence that multiplies: e-values of two shares."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from scipy.special import xlogy

from bandit.stats.sequential.checks import check_above_zero


class Block(NamedTuple):
    """Trials that arrived together, before any of their results was used."""

    control_successes: int
    control_n: int
    treatment_successes: int
    treatment_n: int


def log_two_shares(blocks: Iterable[Block], *, prior: float = 0.5) -> list[float]:
    """Log e-value of two shares being different, after each block.

    Each block is bet on with the shares learnt from the blocks before it, p_c and p_t, against
    their mean p₀ = (n_c·p_c + n_t·p_t)/(n_c + n_t), the null that is nearest:
    Σ log p_c(y_c)·p_t(y_t) / p₀(y_c)·p₀(y_t). Under equal shares its mean is at most 1 after any
    block, so it exceeds 1/α with probability at most α, ever; e-values of separate experiments
    multiply.

    Args:
        blocks: In order of arrival; the sizes may vary, if they do not depend on the results.
        prior: Successes and failures of each variant before the first block, above 0.

    Source: Turner, Ly, Grünwald (2024), "Generic E-variables for exact sequential k-sample tests
    that allow for optional stopping" (2106.02693), with their plug-in of what was learnt.

    >>> found = log_two_shares([Block(3, 50, 12, 50), Block(2, 50, 13, 50), Block(4, 50, 14, 50)])
    >>> [round(log, 2) for log in found]
    [0.0, 4.84, 8.27]
    """
    check_above_zero("prior", prior)
    successes, trials = [0.0, 0.0], [0.0, 0.0]
    total, found = 0.0, []
    for block in blocks:
        _check(block)
        seen = (block[:2], block[2:])
        learnt = [(k + prior) / (n + 2.0 * prior) for k, n in zip(successes, trials, strict=True)]
        together = block.control_n + block.treatment_n
        null = (block.control_n * learnt[0] + block.treatment_n * learnt[1]) / together
        for variant, (k, n) in enumerate(seen):
            share = learnt[variant]
            total += float(xlogy(k, share / null) + xlogy(n - k, (1.0 - share) / (1.0 - null)))
            successes[variant] += k
            trials[variant] += n
        found.append(total)
    return found


def e_to_p(log_e_values: Iterable[float]) -> float:
    """Always-valid p-value of a run of log e-values: 1 / the largest, at most 1.

    Source: Ville (1939); Ramdas, Grünwald, Vovk, Shafer (2023), "Game-theoretic statistics and
    safe anytime-valid inference".

    >>> round(e_to_p([0.2, 3.2, 1.1]), 4)
    0.0408
    """
    return math.exp(-max([0.0, *log_e_values]))


def _check(block: Block) -> None:
    k_c, n_c, k_t, n_t = block
    if not (0 <= k_c <= n_c and 0 <= k_t <= n_t and n_c + n_t > 0):
        raise ValueError(f"block is {tuple(block)}, must have 0 to n successes of n > 0 trials")
