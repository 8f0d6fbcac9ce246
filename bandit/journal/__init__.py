"""Accepted means durable: append, group-commit, drain, reconcile."""

from bandit.journal.drain import Drain, DrainStep
from bandit.journal.writer import Journal

__all__ = ["Drain", "DrainStep", "Journal"]
