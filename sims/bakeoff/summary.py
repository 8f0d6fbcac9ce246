"""From scores to the table: means, ranks, regret, wins and losses."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from bandit.stats import adjusted
from sims.bakeoff.running import Floats, Score, seeds_in_common
from sims.comparing import interval, paired

ALPHA = 0.05


class Line(NamedTuple):
    """One policy over all worlds, of the seeds that all have played.

    Attributes:
        rank, rank_low, rank_high: Mean over worlds of its place among all, 1 the best; a t interval
            over seeds. Where it could not play it shares the last places.
        whole, late: By reward kind: mean reward over worlds, and in the last quarters.
        regret, regret_low, regret_high: A round, mean over the worlds that it played.
        micros: Processor time of a round, the median over worlds.
    """

    policy: str
    rank: float
    rank_low: float | None
    rank_high: float | None
    whole: dict[str, float]
    late: dict[str, float]
    regret: float
    regret_low: float | None
    regret_high: float | None
    micros: float | None


class Duel(NamedTuple):
    """In how many worlds one policy surely earned more than another, or less.

    Paired by seed, with Holm's correction over all pairs and worlds.
    """

    policy: str
    other: str
    wins_n: int
    losses_n: int
    open_n: int


class Summary(NamedTuple):
    """All of it.

    Attributes:
        seeds: That all have played.
        worlds: In order.
        means: By world and policy, over the common seeds.
    """

    seeds: tuple[int, ...]
    worlds: tuple[str, ...]
    lines: list[Line]
    duels: list[Duel]
    means: dict[str, dict[str, float]]


def summary_of(scores: Sequence[Score], kinds: Sequence[str]) -> Summary:
    """Summarise.

    Args:
        scores: Of any worlds and policies; at least one.
        kinds: Reward kinds: the last words of the worlds' names.
    """
    seeds = seeds_in_common(scores)
    worlds = tuple(dict.fromkeys(score.world for score in scores))
    policies = tuple(dict.fromkeys(score.policy for score in scores))
    known = {(score.world, score.policy): _of(score, seeds) for score in scores}
    ranks = _ranks(known, worlds, policies, len(seeds))
    lines = [
        _line(policy, ranks[:, place], known, worlds, kinds)
        for place, policy in enumerate(policies)
    ]
    means = {
        world: {p: float(known[world, p].whole.mean()) for p in policies if (world, p) in known}
        for world in worlds
    }
    return Summary(
        seeds,
        worlds,
        sorted(lines, key=lambda line: line.rank),
        _duels(known, worlds, policies),
        means,
    )


def _of(score: Score, seeds: tuple[int, ...]) -> Score:
    places = [score.seeds.index(seed) for seed in seeds]
    return score._replace(
        seeds=seeds,
        whole=score.whole[places],
        late=score.late[places],
        regret=score.regret[places],
    )


def _ranks(
    known: dict[tuple[str, str], Score],
    worlds: Sequence[str],
    policies: Sequence[str],
    seeds_n: int,
) -> Floats:
    """`(worlds, policies, seeds)`."""
    values = np.full((len(worlds), len(policies), seeds_n), -np.inf)
    for w, world in enumerate(worlds):
        for p, policy in enumerate(policies):
            if (world, policy) in known:
                values[w, p] = known[world, policy].whole
    return np.asarray(rankdata(-values, axis=1))


def _line(
    policy: str,
    ranks: Floats,
    known: dict[tuple[str, str], Score],
    worlds: Sequence[str],
    kinds: Sequence[str],
) -> Line:
    own = {world: known[world, policy] for world in worlds if (world, policy) in known}
    rank = interval(ranks.mean(axis=0), ALPHA)
    regret = interval(np.mean([score.regret for score in own.values()], axis=0), ALPHA)
    by_kind = {kind: [s for w, s in own.items() if w.endswith(f" {kind}")] for kind in kinds}
    micros = [score.micros for score in own.values() if score.micros is not None]
    return Line(
        policy=policy,
        rank=float(rank[0]),
        rank_low=None if rank[1] is None else float(rank[1]),
        rank_high=None if rank[2] is None else float(rank[2]),
        whole={k: float(np.mean([s.whole.mean() for s in v])) for k, v in by_kind.items() if v},
        late={k: float(np.mean([s.late.mean() for s in v])) for k, v in by_kind.items() if v},
        regret=float(regret[0]),
        regret_low=None if regret[1] is None else float(regret[1]),
        regret_high=None if regret[2] is None else float(regret[2]),
        micros=float(np.median(micros)) if micros else None,
    )


def _duels(
    known: dict[tuple[str, str], Score], worlds: Sequence[str], policies: Sequence[str]
) -> list[Duel]:
    tested = []
    for a, b in combinations(policies, 2):
        for world in worlds:
            if (world, a) in known and (world, b) in known:
                effect = paired(known[world, b].whole, known[world, a].whole, ALPHA)
                tested.append((a, b, effect.effect or 0.0, effect.p_value))
    sure = adjusted([p for *_, p in tested], "holm", alpha=ALPHA)
    counts: dict[tuple[str, str], list[int]] = {}
    for (a, b, ahead, _), one in zip(tested, sure, strict=True):
        place = 2 if one is None or not one.rejected else 0 if ahead > 0.0 else 1
        counts.setdefault((a, b), [0, 0, 0])[place] += 1
        counts.setdefault((b, a), [0, 0, 0])[(1, 0, 2)[place]] += 1
    return [Duel(a, b, *count) for (a, b), count in counts.items()]
