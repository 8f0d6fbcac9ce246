"""Logged decisions in, value of another policy out; pure."""
