"""What a run is to do, cut into cells that can be run anywhere and found again."""

import hashlib
import pickle
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
import numpy as np

import bandit
from bandit.errors import BadSpec, RecordError
from bandit.specs import PolicySpec
from sims.learners import Contender, contender_of
from sims.running.batched import can_be_batched
from sims.running.playing import Timing
from sims.worlds.base import BatchWorld, World

FORMAT = 1
"""Of a cell's file: another one is another cell."""
BLOCK_N = 50
"""Seeds that are stepped at once; what one comes to does not depend on the others."""
LOOKED_N = 20
"""Rounds by which worlds of one name are told apart."""


class Cell(NamedTuple):
    """One policy in one world with some seeds: what is run, kept and found again.

    Attributes:
        world, policy: Places in the plan.
        seeds: Those of a block if they are stepped together, else one.
        digest: Of all that its numbers depend on; names its file.
    """

    world: int
    policy: int
    seeds: tuple[int, ...]
    digest: str


class Plan(NamedTuple):
    """Policies × worlds × seeds.

    Attributes:
        rounds_n: Of each policy in each world and seed.
        timing: When lessons are learned.
        cells: World by world, and there the seeds block by block, so that policies that follow each
            other see the same rounds.
    """

    worlds: tuple[World, ...]
    contenders: tuple[Contender, ...]
    rounds_n: int
    seeds: tuple[int, ...]
    timing: Timing
    cells: tuple[Cell, ...]

    @property
    def rounds_in_all(self) -> int:
        """Rounds of all cells."""
        return sum(len(cell.seeds) for cell in self.cells) * self.rounds_n

    @property
    def digest(self) -> str:
        """Of everything, in hex."""
        text = "\n".join(cell.digest for cell in self.cells)
        return hashlib.sha256(text.encode()).hexdigest()


def plan_of(
    worlds: Sequence[World],
    policies: Sequence[PolicySpec | Contender],
    *,
    rounds_n: int,
    seeds: Sequence[int],
    timing: Timing = Timing(),  # noqa: B008 (frozen)
) -> Plan:
    """Check what is to be run, and cut it into cells.

    Raises:
        BadSpec: A spec can not be served.
        RecordError: Nothing to run, a name that comes twice, or numbers out of range.
    """
    timing.check()
    contenders = tuple(contender_of(policy) for policy in policies)
    _check("policies", [one.key for one in contenders])
    _check("worlds", [world.name for world in worlds])
    _check("seeds", list(map(str, seeds)))
    if min(seeds) < 0:
        raise RecordError(f"seeds hold {min(seeds)}, must be at least 0")
    if rounds_n < 1:
        raise RecordError(f"rounds_n is {rounds_n}, must be at least 1")
    looks = [fingerprint(world) for world in worlds]
    cells = []
    for place, world in enumerate(worlds):
        for first in range(0, len(seeds), BLOCK_N):
            block = tuple(seeds[first : first + BLOCK_N])
            for number, contender in enumerate(contenders):
                for some in _parts(contender, world, block):
                    known = [FORMAT, bandit.__version__, looks[place], contender.key]
                    known += [repr(contender), rounds_n, some, tuple(timing)]
                    digest = hashlib.sha256(msgspec.json.encode(known)).hexdigest()[:32]
                    cells.append(Cell(place, number, some, digest))
    return Plan(tuple(worlds), contenders, rounds_n, tuple(seeds), timing, tuple(cells))


def fingerprint(world: World) -> str:
    """Name and first rounds of a world, as a digest."""
    digest = hashlib.sha256(world.name.encode())
    for this in islice(world.rounds(np.random.default_rng(0)), LOOKED_N):
        digest.update(msgspec.json.encode(this))
    return digest.hexdigest()


def pickled(plan: Plan) -> bytes:
    """The plan as processes are handed it.

    Raises:
        BadSpec: A world or policy can not be sent to another process.
    """
    try:
        return pickle.dumps(plan)
    except Exception as exc:  # pickling runs anybody's code, which raises anything
        raise BadSpec(
            f"a world or policy can not be sent to another process ({exc}): its class must be in a "
            "module that can be imported; or run with one worker"
        ) from exc


def _parts(contender: Contender, world: World, block: tuple[int, ...]) -> list[tuple[int, ...]]:
    if isinstance(world, BatchWorld) and can_be_batched(contender, world):
        return [block]
    return [(seed,) for seed in block]


def _check(what: str, names: Sequence[str]) -> None:
    if not names:
        raise RecordError(f"there are no {what}, must be at least one")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RecordError(f"{what} hold {twice[0]!r} more than once, must all be different")
