"""Worlds: simulated or replayed truths that a policy is run in."""

from collections.abc import Callable
from pathlib import Path

from sims.datasets import MOVIELENS, fetch
from sims.worlds.base import World
from sims.worlds.movielens import MovieLensWorld
from sims.worlds.synthetic import SyntheticWorld

__all__ = ["WORLDS"]

WORLDS: dict[str, Callable[[Path], World]] = {
    "movielens": lambda cache: MovieLensWorld(fetch(MOVIELENS, cache)),
    "synthetic": lambda _cache: SyntheticWorld(),
}
"""By name, how to build each world with the folder that keeps its data."""
