"""Secrets made once and kept under the data directory."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bandit.settings import Settings

Entropy = Callable[[int], bytes]
"""n → n unpredictable bytes: `os.urandom`."""


def project_salt(settings: Settings, entropy: Entropy) -> bytes:
    """The secret that seeds every draw, made on first use unless it is set."""
    return (settings.salt or secret(settings.data_dir, "salt", entropy)).encode()


def secret(data_dir: Path, name: str, entropy: Entropy) -> str:
    """The secret called `name`, made on first use.

    It is written under another name and then linked, so that it is there as a whole or not at
    all, and of two processes that make it at once both get the first one's.

    Args:
        data_dir: Secrets are in its folder `secrets`, readable by their owner only.
        name: File name.
        entropy: Where 32 bytes come from.
    """
    folder = data_dir / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        fresh = folder / f".{name}.{entropy(8).hex()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(entropy(32).hex())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first
                path.hardlink_to(fresh)
        finally:
            fresh.unlink()
    return path.read_text().strip()
