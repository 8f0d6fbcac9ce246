"""Worlds with a known truth, and everything of the service under test in them.

`sims.run(worlds, policies, n, seeds)` compares policies in worlds; README.md has the rest.
"""

from typing import Any

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    """`run`, imported when it is first asked for: clients of a running service need no pandas."""
    if name == "run":
        from sims.simulating import run

        return run
    raise AttributeError(f"module 'sims' has no attribute {name!r}")
