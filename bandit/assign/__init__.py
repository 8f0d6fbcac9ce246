"""Unit → bucket → variant; pure.

>>> bucket("exp-7", "user-0")
7655
"""

from bandit.assign.hashing import bucket
from bandit.assign.placing import Placement, Placing, placement_of
from bandit.assign.targeting import Facts, Targeting

__all__ = ["Facts", "Placement", "Placing", "Targeting", "bucket", "placement_of"]
