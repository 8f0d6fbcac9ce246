"""Policies × worlds × seeds: one game, many at once, runs that can be killed and gone on with."""
