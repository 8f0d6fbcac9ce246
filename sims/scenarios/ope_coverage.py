"""Intervals of another policy's value: do they hold the truth, and how wide are they?

Beside ours: vw-estimators 0.2.2 by its own code, where it is installed (`pip install .[bench]`);
else it is not compared. The normal interval of IPS is what most others print.
"""

import importlib.util
import math
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from bandit import ope
from bandit.errors import NotEnoughData
from sims.scenarios.base import Figure, Scenario, exact, in_blocks, mean, rate
from sims.scenarios.ope_worlds import GREEDY, HEAVY, OVERLAP, Judged, LogWorld

WORLDS = (OVERLAP, GREEDY, HEAVY)
SIZES = (200, 1000, 10_000)
LOOKS = tuple(int(n) for n in np.geomspace(100, 10_000, 60))
BLOCK = 25
MORE = "width − theirs"
Found = dict[str, list[tuple[bool, float]]]
"""Interval → of each run: whether it holds the truth, and its width."""


def modelled(judged: Judged, k: int) -> ope.LoggedBatch:
    """The log with a cross-fitted model's predictions."""
    return ope.cross_fit(judged.log, judged.context, lambda: ope.RidgePerAction(k=k))


def look(world: LogWorld, n: int, rng: np.random.Generator, runs_n: int) -> Found:
    """Intervals of one look at logs of `n` decisions."""
    found: Found = defaultdict(list)
    for _ in range(runs_n):
        judged = world.log(rng, n)
        intervals = intervals_of(modelled(judged, world.k)) | peers(judged.log)
        for name, one in intervals.items():
            found[name].append((one.low <= judged.truth <= one.high, one.width))
    return dict(found)


def intervals_of(log: ope.LoggedBatch) -> dict[str, ope.Interval]:
    """The default interval of a log with predictions, and the normal one of IPS."""
    assert log.reward_range is not None
    found = {}
    try:
        found["default"] = ope.default_interval(log)
        found["normal interval of IPS"] = ope.normal(ope.Ips().terms(log))
    except NotEnoughData:
        # Every weight is 0: nothing is told, and the normal interval would be a point.
        low, high = log.reward_range
        found.setdefault("default", ope.Interval(low=low, high=high, alpha=0.05, method=""))
    return found


def peers(log: ope.LoggedBatch) -> dict[str, ope.Interval]:
    """vw-estimators' Cressie–Read: told the bound we know, the greatest weight seen, or nothing."""
    if importlib.util.find_spec("estimators") is None:
        return {}
    made: dict[str, Any] = {
        "vw-estimators": _peer_interval(math.inf),
        "vw-estimators told the bound": _peer_interval(log.greatest_weight),
        "vw-estimators told the greatest seen": _peer_interval(float(log.weights.max())),
    }
    rows = zip(log.propensity.tolist(), log.reward.tolist(), log.target.tolist(), strict=True)
    for p, reward, target in rows:
        for interval in made.values():
            interval.add_example(p, reward, target)
    found = {}
    for name, interval in made.items():
        low, high = interval.get(0.05)
        found[name] = ope.Interval(low=low, high=high, alpha=0.05, method="peer")
    return found


def _peer_interval(most: float) -> Any:
    from estimators.bandits.cressieread import Interval

    return Interval(wmin=0, wmax=most, rmin=0, rmax=1)


def coverage(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Coverage and width of every cell, and in how many of the nine ours is narrower."""
    figures, narrower, cells_n = [], defaultdict[str, float](float), 0
    for place, (world, n) in enumerate((w, n) for w in WORLDS for n in SIZES):
        # A long log takes as long as many short ones; too few of them say nothing.
        if (runs_n := min(repetitions, repetitions * 2500 // n)) < 2:
            continue
        blocks = in_blocks(partial(look, world, n), seed, runs_n, executor, part=place, block=BLOCK)
        found: Found = defaultdict(list)
        for block in blocks:
            for name, runs in block.items():
                found[name] += runs
        cells_n += 1
        for name, runs in found.items():
            hits, widths = sum(hit for hit, _ in runs), [width for _, width in runs]
            beside = "" if name == "default" else "beside it: "
            cell = f"{beside}{world.name}, n = {n:,}: {name}"
            at_least = 0.93 if name == "default" else None
            figures.append(rate(f"{cell} covers", hits, len(runs), at_least=at_least))
            figures.append(mean(f"{cell} is wide", widths))
            ours = [width for _, width in found["default"]]
            narrower[name] += float(np.mean(ours)) < float(np.mean(widths))
    for name in sorted(narrower.keys() - {"default"}):
        at_least = cells_n / 2 if name.startswith("vw") else None
        share = f"cells of {cells_n} in which ours is narrower than {name}"
        figures.append(exact(share, narrower[name], at_least=at_least))
    return figures


def watch(world: LogWorld, rng: np.random.Generator, runs_n: int) -> Found:
    """Sequences that are looked at 60 times; held is who never missed."""
    found: Found = defaultdict(list)
    for number in range(runs_n):
        judged = world.log(rng, LOOKS[-1])
        log = judged.log
        sequences = {
            "default": sequence_of(judged, world.k),
            "of IPS": ope.anytime_ips(log, looks=LOOKS),
        }
        if not number:  # theirs takes a second of Python a log
            sequences |= _peer_sequence(log)
        if "vw-estimators" in sequences:
            more = sequences["default"][-1].width - sequences["vw-estimators"][-1].width
            found[MORE].append((True, more))
        for name, looks in sequences.items():
            held = all(one.low <= judged.truth <= one.high for one in looks)
            found[name].append((held, looks[-1].width))
    return dict(found)


def sequence_of(judged: Judged, k: int) -> list[ope.Interval]:
    """Our sequence, with a model of the first tenth only, so that none has seen its row."""
    log, past = judged.log, LOOKS[-1] // 10
    assert log.action is not None
    assert log.reward_range is not None
    model = ope.RidgePerAction(k=k)
    model.fit(judged.context[:past], log.action[:past], log.reward[:past], np.ones(past))
    low, high = log.reward_range
    predicted = np.where(
        np.arange(log.n)[:, None] < past,
        (low + high) / 2.0,
        np.clip(model.predict(judged.context), low, high),
    )
    return ope.anytime_dr(log.with_predictions(predicted), looks=LOOKS)


def _peer_sequence(log: ope.LoggedBatch) -> dict[str, list[ope.Interval]]:
    if importlib.util.find_spec("estimators") is None:
        return {}
    from estimators.bandits.cs import Interval

    peer, looks = Interval(rmin=0, rmax=1), []
    rows = zip(log.propensity.tolist(), log.reward.tolist(), log.target.tolist(), strict=True)
    for number, (p, reward, target) in enumerate(rows, 1):
        peer.add_example(p, reward, target)
        if number in LOOKS:
            low, high = peer.get(0.05)
            looks.append(ope.Interval(low=low, high=high, alpha=0.05, method="peer", anytime=True))
    return {"vw-estimators": looks}


def peeking(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Who ever misses over 60 looks, and how wide the last interval is."""
    figures = []
    for place, world in enumerate(WORLDS):
        blocks = in_blocks(partial(watch, world), seed, repetitions, executor, part=place, block=5)
        found: Found = defaultdict(list)
        for block in blocks:
            for name, runs in block.items():
                found[name] += runs
        paired = [width for _, width in found.pop(MORE, [])]
        if len(paired) > 1:
            beside = f"{world.name}: width in the end − vw-estimators' on the same log"
            figures.append(mean(beside, paired, at_most=0.0))
        for name, runs in found.items():
            if len(runs) < 2:
                continue
            missed, widths = sum(not held for held, _ in runs), [width for _, width in runs]
            ours = name == "default"
            cell = f"{'' if ours else 'beside it: '}{world.name}: {name}"
            figures.append(
                rate(f"{cell} ever misses", missed, len(runs), at_most=0.05 if ours else None)
            )
            figures.append(mean(f"{cell} is wide in the end", widths))
    return figures


OPE_COVERAGE = Scenario(
    name="ope-coverage",
    claim="The default interval of another policy's value holds it, from 200 decisions on, also "
    "where few of them carry the weight; and it is narrower than vw-estimators' Cressie–Read.",
    target="covers ≥ 93 % in all nine cells; narrower in most",
    repetitions=400,
    short=4,
    study=coverage,
)
OPE_ANYTIME = Scenario(
    name="ope-anytime",
    claim="An anytime interval of another policy's value is never missed by the truth, however "
    "often one looks, and is narrower than vw-estimators' sequence.",
    target="ever misses in at most 5 % of 60-look runs; narrower in every world",
    repetitions=200,
    short=2,
    study=peeking,
)
