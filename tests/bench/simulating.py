"""Steps per second and core of simulations: ours and peers', in one world and one run.

The world has 10 actions and 8 numbers in a context; rewards are 1 with a chance that is linear in
them. Everybody is given the same contexts and rewards, and regresses each action by itself on the
context with a constant. Processor time, so that neighbours on the machine count for little.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bandit.specs import PolicySpec
from sims.baselines import Baseline
from sims.learners import SURFACE, Declared
from sims.running.cells import run_cell
from sims.running.plan import plan_of
from sims.running.playing import Game, Timing, play
from sims.worlds.formulas import FormulaWorld

SEEDS = range(1, 51)
ROUNDS_N = 2_000
ALONE_N = 2_000
COBA_N = 2_000
CONTEXTUAL_N = 300
BLOCK_N = 50
"""Rows that contextualbandits is asked and taught at once in its batched form."""
COBA, CONTEXTUAL = 10.0, 5.0
"""Targets: ours ÷ theirs."""


def simulating() -> None:
    """Linear policies, steps per second and core."""
    world = FormulaWorld()
    spec = PolicySpec(key="linear", type="linear", surface=SURFACE, floor=0.002)
    ours = {
        "linear, exact propensities": Declared(spec),
        "LinUCB": Baseline(kind="linucb", scale=1.0),
        "LinTS": Baseline(kind="lints", scale=1.0),
    }
    print(f"10 actions, 8 numbers; ours: {len(SEEDS)} seeds at once, cells written as Parquet")
    speeds: dict[str, float] = {}
    for name, contender in ours.items():
        plan = plan_of([world], [contender], rounds_n=ROUNDS_N, seeds=SEEDS)
        speeds[name] = _told(name, len(SEEDS) * ROUNDS_N, lambda p=plan: run_cell(p, p.cells[0]))
    one = Game(world, ours["linear, exact propensities"], 1, Timing())
    _told("linear, one seed, as it serves", ALONE_N, lambda: play(one, ALONE_N))
    theirs = {
        **_measured("coba", lambda: _coba(world)),
        **_measured("contextualbandits", lambda: _contextual(world)),
    }
    for name, speed in theirs.items():
        target = COBA if name.startswith("coba") else CONTEXTUAL
        ratios = ", ".join(f"{mine} {fast / speed:.1f}×" for mine, fast in speeds.items())
        print(f"ours ÷ {name}: {ratios} (target {target:g}×)")


def _told(name: str, steps_n: int, run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    seconds = time.process_time() - began
    print(
        f"  {name:<44}{steps_n / seconds:>10,.0f}/s {seconds / steps_n * 1e6:>9.1f} µs", flush=True
    )
    return steps_n / seconds


def _measured(name: str, run: Callable[[], dict[str, float]]) -> dict[str, float]:
    try:
        return run()
    except ImportError as exc:
        print(f"  {name} can not be imported ({exc}): pip install 'bandit-service[bakeoff]'")
        return {}


def _coba(world: FormulaWorld) -> dict[str, float]:
    """Through coba's own Experiment, which is what its users run."""
    from coba import Environments, Experiment
    from coba.learners import LinTSLearner, LinUCBLearner, VowpalEpsilonLearner
    from coba.primitives import SimulatedInteraction

    batch = next(world.batches(np.random.default_rng(1), COBA_N))
    actions = [tuple(row) for row in np.eye(len(world.actions)).tolist()]

    class Same:
        """The same rounds as ours."""

        params: dict[str, Any] = {}

        def read(self) -> Iterator[SimulatedInteraction]:
            for context, rewards in zip(
                batch.contexts.tolist(), batch.rewards.tolist(), strict=True
            ):
                yield SimulatedInteraction(context, actions, rewards)

    learners = {
        "coba LinUCB": LinUCBLearner(alpha=1),
        "coba LinTS": LinTSLearner(v=1),
        "coba VowpalEpsilon (linear, in C++)": VowpalEpsilonLearner(),
    }
    return {
        name: _told(
            name,
            COBA_N,
            lambda one=learner: Experiment(Environments.from_custom(Same()), one).run(quiet=True),
        )
        for name, learner in learners.items()
    }


def _contextual(world: FormulaWorld) -> dict[str, float]:
    """A lesson at a time, as ours learn, and in blocks, as its examples do."""
    from contextualbandits.online import LinUCB

    k = len(world.actions)
    batch = next(world.batches(np.random.default_rng(1), CONTEXTUAL_N * BLOCK_N))

    def run(rows_n: int, block_n: int) -> None:
        model = LinUCB(k, random_state=1)
        for first in range(0, rows_n, block_n):
            rows = slice(first, first + block_n)
            x, rewards = batch.contexts[rows], batch.rewards[rows]
            drawn = np.asarray(model.predict(x)) if first else np.zeros(len(x), dtype=int)
            model.partial_fit(x, drawn, rewards[np.arange(len(x)), drawn])

    one, many = "contextualbandits LinUCB", f"contextualbandits LinUCB, {BLOCK_N} at a time"
    return {
        one: _told(one, CONTEXTUAL_N, lambda: run(CONTEXTUAL_N, 1)),
        many: _told(many, CONTEXTUAL_N * BLOCK_N, lambda: run(CONTEXTUAL_N * BLOCK_N, BLOCK_N)),
    }
