"""Saved runs, as `bandit.service.simulations` reads them."""

from bandit.service.simulations import SavedRun, SavedRuns, load, runs

__all__ = ["SavedRun", "SavedRuns", "load", "runs"]
