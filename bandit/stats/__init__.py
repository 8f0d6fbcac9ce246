"""Moments in, estimate and interval out; pure."""
