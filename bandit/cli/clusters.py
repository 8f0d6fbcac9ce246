"""Dask's workers as an executor."""

from typing import Any

from bandit.errors import BadSpec


def cluster(address: str) -> Any:
    """A client of a Dask scheduler; a context manager whose `get_executor()` is an executor.

    Raises:
        BadSpec: Dask is not installed, or nobody answers there.
    """
    try:
        from distributed import Client
    except ImportError as exc:
        raise BadSpec("--dask needs Dask: pip install bandit-service[dask]") from exc
    try:
        return Client(address)
    except (OSError, ValueError) as exc:
        raise BadSpec(f"Dask's scheduler is {address!r}, must be one that answers: {exc}") from exc
