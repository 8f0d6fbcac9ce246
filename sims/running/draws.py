"""The numbers that decide a simulation's draws: those of made-up event ids, as in the service."""

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bandit.event_id import make_event_id, surface_tag
from bandit.policies import seed_of
from bandit.policies.pmf import uniform_of
from sims.learners import SURFACE

SALT = b"bandit simulate"
"""A simulation keeps no secret; its draws must be equal on every machine."""
FIRST_MS = 1_700_000_000_000
_KEPT_N = 2**21  # numbers that a process keeps: 16 MB


def generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """One for the rounds and one for the event ids of a seed."""
    for_rounds, for_ids = np.random.default_rng(seed).spawn(2)
    return for_rounds, for_ids


def seeds_of_draws(seed: int) -> Iterator[int]:
    """The seed of each round's draw, without end."""
    _, for_ids = generators(seed)
    tag = surface_tag(SURFACE)
    number = 0
    while True:
        yield seed_of(make_event_id(FIRST_MS + number, tag, for_ids.bytes(6), SALT), SALT)
        number += 1


def uniforms(seed: int, rounds_n: int, chunk_n: int) -> Iterator[npt.NDArray[np.float64]]:
    """What `draw_ranking` draws the top slot of each round with, some rounds at a time."""
    if rounds_n <= _KEPT_N // 64:
        whole = _whole(seed, rounds_n)
        yield from (whole[first : first + chunk_n] for first in range(0, rounds_n, chunk_n))
        return
    yield from _chunks(seed, rounds_n, chunk_n)


@functools.lru_cache(maxsize=64)  # the policies of a world are run one after the other
def _whole(seed: int, rounds_n: int) -> npt.NDArray[np.float64]:
    return next(_chunks(seed, rounds_n, rounds_n))


def _chunks(seed: int, rounds_n: int, chunk_n: int) -> Iterator[npt.NDArray[np.float64]]:
    seeds = seeds_of_draws(seed)
    for first in range(0, rounds_n, chunk_n):
        n = min(chunk_n, rounds_n - first)
        yield np.fromiter((uniform_of(next(seeds), 0) for _ in range(n)), float, n)
