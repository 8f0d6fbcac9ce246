"""The published hash of a unit."""

import hashlib

from bandit.specs import BUCKETS


def bucket(salt: str, unit_id: str) -> int:
    """The unit's bucket under a salt.

    First 8 bytes, big-endian, of the SHA-256 of `salt:unit_id` in UTF-8, modulo 10,000. A hash
    needs no memory, is the same on every host and in every language, and two salts give
    independent buckets. Changing it is a migration: it would move every unit.

    >>> [bucket("exp-7", f"user-{i}") for i in range(3)]
    [7655, 3369, 6366]

    Args:
        salt: Separates this hash from every other experiment's.
        unit_id: Who is randomised.

    Returns:
        In `[0, 10000)`. Uniform to 1 in 2⁵⁰: the modulo favours no bucket by more.

    Source:
        Kohavi, Tang & Xu 2020, "Trustworthy Online Controlled Experiments", chapter 4.
    """
    digest = hashlib.sha256(f"{salt}:{unit_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS
