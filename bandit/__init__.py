"""The core: decide, log, learn and judge; no HTTP framework and no user interface in here."""

__version__ = "0.1.0"
