"""Unit → bucket → variant; pure.

>>> bucket("exp-7", "user-0")
7655
"""

from bandit.assign.hashing import bucket
from bandit.assign.variants import variant_of

__all__ = ["bucket", "variant_of"]
