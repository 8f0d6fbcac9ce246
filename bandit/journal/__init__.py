"""Accepted means durable: append, group-commit, drain, reconcile."""
