"""What became of decisions and rewards: the numbers every snapshot carries."""

import msgspec

from bandit.store.snapshots import Snapshot


class Counts(msgspec.Struct, kw_only=True):
    """Cumulative since the weights were last started from scratch.

    Every closed decision that the policy may learn from is in exactly one of `trained`,
    `defaulted` and `unseen`. The others count rows of the streams that the learner reads.

    Attributes:
        trained: Decisions learned from with at least one reward.
        defaulted: Decisions learned from with nothing but the default reward.
        unseen: Decisions with nothing to learn from: no slot was seen, or none that was seen is
            fit for this policy.
        late: Rewards outside the join window, or read after their decision was closed.
        duplicate: Rewards whose `reward_id` had come, decisions whose `event_id` had come.
        orphan: Rewards that waited their window for a decision or slot that never came.
        out_of_bounds: Rewards outside the surface's bounds (ignored) and slot totals outside
            (clipped).
        given_up: Rows that will never come (`bandit.store.gaps`), so that nobody waits for them.
    """

    trained: int = 0
    defaulted: int = 0
    unseen: int = 0
    late: int = 0
    duplicate: int = 0
    orphan: int = 0
    out_of_bounds: int = 0
    given_up: int = 0

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Counts":
        """The numbers that a snapshot carries."""
        return cls(**{name: getattr(snapshot, name) for name in cls.__struct_fields__})

    def copy(self) -> "Counts":
        """The numbers now."""
        return msgspec.structs.replace(self)
