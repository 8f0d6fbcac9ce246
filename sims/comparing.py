"""From rows of a run to what is shown: curves, finals, paired differences, wins and losses."""

from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from bandit.service.simulations import Curve, Final, Pair, WinLoss
from bandit.stats import Effect, Estimate, adjusted, compare
from bandit.stats.fixed import critical_value
from bandit.stats.multiple import Correction
from sims.running.plan import Plan
from sims.running.playing import Floats, marks_of

LATE = 0.75
"""From this share of the rounds on, a run is late."""


class Sums(NamedTuple):
    """All rows of a run: `(worlds, policies, seeds, checkpoints)` each, and the checkpoints."""

    reward: Floats
    regret: Floats
    marks: list[int]


def sums_of(plan: Plan, table: pa.Table) -> Sums:
    """The rows of a run, which are in the plan's order, by world, policy and seed."""
    marks = marks_of(plan.rounds_n)
    shape = (len(plan.worlds), len(plan.contenders), len(plan.seeds), len(marks))
    found = {name: np.empty(shape) for name in ("reward", "regret")}
    places = {seed: place for place, seed in enumerate(plan.seeds)}
    for name, array in found.items():
        column, first = table.column(name).to_numpy(), 0
        for cell in plan.cells:
            rows = column[first : first + len(cell.seeds) * len(marks)]
            first += len(rows)
            seeds = [places[seed] for seed in cell.seeds]
            array[cell.world, cell.policy, seeds] = rows.reshape(len(seeds), len(marks))
    return Sums(found["reward"], found["regret"], marks)


def interval(values: Floats, alpha: float) -> tuple[Floats, Floats | None, Floats | None]:
    """Means over the first axis with their t intervals; None with fewer than two values."""
    n = len(values)
    means = values.mean(axis=0)
    if n < 2:
        return means, None, None
    reach = critical_value(alpha / 2.0, n - 1.0) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return means, means - reach, means + reach


def curves_of(plan: Plan, sums: Sums, alpha: float) -> list[Curve]:
    """Mean reward so far and regret so far of each policy in each world."""
    curves = []
    for w, world in enumerate(plan.worlds):
        for p, contender in enumerate(plan.contenders):
            reward = interval(sums.reward[w, p] / np.array(sums.marks), alpha)
            regret = interval(sums.regret[w, p], alpha)
            curves.append(
                Curve(
                    world=world.name,
                    policy=contender.key,
                    rounds_n=sums.marks,
                    reward=reward[0].tolist(),
                    reward_low=_listed(reward[1], len(sums.marks)),
                    reward_high=_listed(reward[2], len(sums.marks)),
                    regret=regret[0].tolist(),
                    regret_low=_listed(regret[1], len(sums.marks)),
                    regret_high=_listed(regret[2], len(sums.marks)),
                )
            )
    return curves


def finals_of(plan: Plan, sums: Sums, seconds: dict[str, float], alpha: float) -> list[Final]:
    """How each policy ended in each world, the best of a world first."""
    finals = []
    for w, world in enumerate(plan.worlds):
        ranks = rankdata(-sums.reward[w, :, :, -1], axis=0).mean(axis=1)
        found = []
        for p, contender in enumerate(plan.contenders):
            reward = interval(sums.reward[w, p, :, -1] / plan.rounds_n, alpha)
            regret = interval(sums.regret[w, p, :, -1] / plan.rounds_n, alpha)
            found.append(
                Final(
                    world=world.name,
                    policy=contender.key,
                    reward=float(reward[0]),
                    reward_low=_one(reward[1]),
                    reward_high=_one(reward[2]),
                    late=_late(sums.reward[w, p].mean(axis=0), sums.marks),
                    regret=float(regret[0]),
                    regret_low=_one(regret[1]),
                    regret_high=_one(regret[2]),
                    rank=float(ranks[p]),
                    micros=_micros(plan, w, p, seconds),
                    reason="one_unit" if reward[1] is None else None,
                )
            )
        finals += sorted(found, key=lambda final: -final.reward)
    return finals


def pairs_of(plan: Plan, sums: Sums, alpha: float, correction: Correction) -> list[Pair]:
    """Every policy against every other in every world, paired by seed, both ways round.

    The p-values of all pairs of all worlds are one family: each pair counts once.
    """
    keys = [contender.key for contender in plan.contenders]
    tested: list[tuple[int, int, int, Effect]] = []
    for w in range(len(plan.worlds)):
        means = sums.reward[w, :, :, -1] / plan.rounds_n
        for a, b in combinations(range(len(keys)), 2):
            tested.append((w, a, b, paired(means[b], means[a], alpha)))
    corrected = adjusted([one[3].p_value for one in tested], correction, alpha=alpha)
    pairs = []
    for (w, a, b, effect), one in zip(tested, corrected, strict=True):
        forth = msgspec.structs.replace(
            effect, correction=correction, p_value_adjusted=None if one is None else one.p_value
        )
        sure = one is not None and one.rejected
        for policy, other, shown in ((a, b, forth), (b, a, _turned(forth, sums, w, a, b, plan))):
            ahead = (shown.effect or 0.0) > 0.0
            pairs.append(
                Pair(
                    world=plan.worlds[w].name,
                    policy=keys[policy],
                    other=keys[other],
                    effect=shown,
                    verdict="open" if not sure else "wins" if ahead else "loses",
                )
            )
    return pairs


def paired(control: Floats, treatment: Floats, alpha: float) -> Effect:
    """Mean difference of two policies on the same seeds: a t test of the differences.

    >>> effect = paired(np.array([0.1, 0.5, 0.3]), np.array([0.2, 0.6, 0.5]), 0.05)
    >>> f"{effect.effect:.3f} [{effect.effect_ci_low:.3f}, {effect.effect_ci_high:.3f}]"
    '0.133 [-0.010, 0.277]'

    Args:
        control, treatment: `(n,)`, of the same seeds.
        alpha: 1 − the level of the interval.
    """
    n = len(control)
    spread = None
    if n > 1:
        spread = np.cov(np.stack([control, treatment])) / n
    return compare(
        Estimate(
            n=(n, n),
            values=(float(control.mean()), float(treatment.mean())),
            covariance=None if spread is None else tuple(tuple(row) for row in spread.tolist()),
            dfs=(n - 1.0, n - 1.0),
            df=n - 1.0 if n > 1 else None,
            kind="mean",
            reason="one_unit" if n < 2 else None,
        ),
        alpha=alpha,
    )


def wins_of(pairs: list[Pair]) -> list[WinLoss]:
    """In how many worlds each policy surely earned more or less than each other.

    Source: Bietti, Agarwal, Langford (2021), "A contextual bandit bake-off", sec. 3.2: significant
    wins and losses; here with the differences paired by seed and corrected for their number.
    """
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for pair in pairs:
        count = counts.setdefault((pair.policy, pair.other), {"wins": 0, "loses": 0, "open": 0})
        count[pair.verdict] += 1
    return [
        WinLoss(
            policy=policy,
            other=other,
            wins_n=count["wins"],
            losses_n=count["loses"],
            open_n=count["open"],
        )
        for (policy, other), count in counts.items()
    ]


def _turned(forth: Effect, sums: Sums, w: int, a: int, b: int, plan: Plan) -> Effect:
    """The same comparison from the other side; the relative effect has another base."""
    means = sums.reward[w, :, :, -1] / plan.rounds_n
    back = paired(means[a], means[b], forth.alpha)
    return msgspec.structs.replace(
        back, correction=forth.correction, p_value_adjusted=forth.p_value_adjusted
    )


def _late(rewards: Floats, marks: list[int]) -> float:
    """Mean reward per round from the last checkpoint that is at most three quarters in."""
    start = max((i for i, mark in enumerate(marks) if mark <= LATE * marks[-1]), default=None)
    if start is None:
        return float(rewards[-1] / marks[-1])
    return float((rewards[-1] - rewards[start]) / (marks[-1] - marks[start]))


def _micros(plan: Plan, w: int, p: int, seconds: dict[str, float]) -> float | None:
    cells = [c for c in plan.cells if (c.world, c.policy) == (w, p)]
    known = [seconds.get(cell.digest) for cell in cells]
    total = sum(one for one in known if one is not None)
    if None in known:
        return None
    return total * 1e6 / (plan.rounds_n * sum(len(cell.seeds) for cell in cells))


def _listed(values: Floats | None, n: int) -> list[float | None]:
    return [None] * n if values is None else values.tolist()


def _one(value: Floats | None) -> float | None:
    return None if value is None else float(value)
