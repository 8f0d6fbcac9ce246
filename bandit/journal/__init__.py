"""Accepted means durable: append, group-commit, drain, reconcile."""

from bandit.journal.writer import Journal

__all__ = ["Journal"]
