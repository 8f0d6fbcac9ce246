"""A learner on a uniform log: it sees, and is judged by, the rows in which it would draw alike.

Source: Li, Chu, Langford, Wang (2011), "Unbiased offline evaluation of contextual-bandit-based news
article recommendation algorithms", algorithm 2.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bandit.errors import NotEnoughData, RecordError
from bandit.policies import draw_ranking
from bandit.stats import Share, share_interval
from sims.learners import Contender
from sims.running.draws import seeds_of_draws
from sims.worlds.base import LoggedRound, World

ALIKE = 0.05
"""How far, in shares, a propensity may be from 1/k."""


class Replayed(NamedTuple):
    """What a learner would have earned per decision.

    Attributes:
        rows_n: Of the log.
        matched_n: Rows in which it drew what was logged: about one in k.
        reward: Mean reward of those.
        low, high: Its interval.
    """

    rows_n: int
    matched_n: int
    reward: float
    low: float
    high: float


def replay(
    log: Iterable[LoggedRound],
    contender: Contender,
    world: World,
    *,
    seed: int = 1,
    alpha: float = 0.05,
) -> Replayed:
    """Run a learner along a log.

    Args:
        log: Rows of a uniform policy, in their order.
        contender: Who is judged.
        world: What its learner is told it plays in.
        seed: Of its draws.
        alpha: 1 − the level of the interval.

    Raises:
        RecordError: A row was not drawn uniformly, or its reward is not 0 or 1.
        NotEnoughData: Nothing matched.
    """
    learner, seeds = contender.learner(world, seed), seeds_of_draws(seed)
    rows_n = matched_n = 0
    total = 0.0
    for rows_n, row in enumerate(log, 1):
        k = len(row.this.actions)
        if abs(row.propensity * k - 1.0) > ALIKE:
            raise RecordError(
                f"row {rows_n} has propensity {row.propensity:g} for {k} actions, must be near "
                f"1/{k}: replay is unbiased on uniform logs only"
            )
        if row.reward not in (0.0, 1.0):
            raise RecordError(f"row {rows_n} has reward {row.reward:g}, must be 0 or 1")
        pmf = list(map(float, learner.pmf(row.this)))
        [drawn], [propensity] = draw_ranking(pmf, 1, next(seeds))
        if drawn == row.logged:
            matched_n += 1
            total += row.reward
            learner.learn(row.this, drawn, propensity, row.reward)
    if matched_n == 0:
        raise NotEnoughData("rows that were drawn alike", have=0, need=1)
    low, high = share_interval(Share(int(total), matched_n), alpha=alpha)
    return Replayed(rows_n, matched_n, total / matched_n, low, high)
