"""Worlds, scenarios and load drivers."""
