"""Claims tested in simulated truths: one module per family, one list of all."""

from sims.scenarios.base import Scenario

SCENARIOS: tuple[Scenario, ...] = ()
"""Every scenario; `bandit simulate scenarios` runs them by name."""
