"""Every error raised on purpose.

```
BanditError
├── RecordError (also ValueError)   a record or spec that breaks its own rule
│   ├── BadPropensity               a propensity outside (0, 1]
│   ├── BadPmf                      probabilities that are not a distribution
│   └── BadSpec                     a declaration that could never be served
├── SettingsError                   BANDIT_<NAME> holds something unusable
├── NotDeclared                     a surface, policy, experiment or metric nobody declared
├── NotFound                        a decision or snapshot that the log does not hold
├── BadToken                    a reward or exposure without the token of its decision
├── TooManyRewards              more rewards of one unit than its surface takes in an hour
├── VersionConflict                 somebody else changed the definition first
├── NotOffered                      a protocol's operation that has no place here
├── NotEnoughData                   a number that can not be given honestly yet
├── SnapshotCorrupt                 snapshot bytes that fail their digest or canary
├── JournalUnavailable              an accepted record could not be made durable
│   └── StorageFull                 because there is no room for it
└── StoreError
    ├── StoreUnavailable            ClickHouse can not be reached or did not answer in time
    │   └── QueryCut                because the question took more time or memory than it may
    └── StoreRejected               ClickHouse answered, and refused
```

Programming mistakes stay `TypeError`, `ValueError` or `AssertionError`.
"""


class BanditError(Exception):
    """Root of every error raised on purpose."""

    code = "error"


class RecordError(BanditError, ValueError):
    """A record or spec that breaks its own rule.

    It is a `ValueError` so that msgspec reports it with its place while decoding.
    """

    code = "bad_record"


class BadPropensity(RecordError):
    """A propensity that is not in (0, 1]."""

    code = "bad_propensity"

    def __init__(self, value: float) -> None:
        super().__init__(f"propensity is {value!r}, must be in (0, 1]")
        self.value = value


class BadPmf(RecordError):
    """Probabilities that are not finite, not ≥ 0, or do not sum to 1."""

    code = "bad_pmf"


class BadSpec(RecordError):
    """A declaration that could never be served."""

    code = "bad_spec"


class SettingsError(BanditError):
    """A setting that is missing or unusable."""

    code = "bad_setting"


class NotDeclared(BanditError):
    """A surface, policy, experiment or metric that nobody declared."""

    code = "not_declared"

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"{kind} {key!r} is not declared")
        self.kind = kind
        self.key = key


class NotFound(BanditError):
    """A decision or snapshot that the log does not hold."""

    code = "not_found"


class NotOffered(BanditError):
    """An operation of a protocol that has no place here."""

    code = "not_offered"


class BadToken(BanditError):
    """A reward or exposure without the token of its decision.

    One wording for all causes: who guesses is not told how near it was.
    """

    code = "bad_token"

    def __init__(self, place: str = "$.token") -> None:
        super().__init__(
            "token is not the one that this decision was answered with, or its time is over; must "
            f"be sent as it came, within the join window - at `{place}`"
        )


class TooManyRewards(BanditError):
    """More rewards of one unit than its surface takes in an hour."""

    code = "too_many_rewards"

    def __init__(self, cap: int, place: str, retry_after_s: int) -> None:
        super().__init__(
            f"the unit of this decision has earned its {cap} rewards of an hour, must earn the "
            f"next later - at `{place}`"
        )
        self.retry_after_s = retry_after_s


class VersionConflict(BanditError):
    """A definition that somebody else changed first."""

    code = "version_conflict"

    def __init__(self, kind: str, key: str, have: int, given: int | None) -> None:
        was = "no version" if given is None else f"version {given}"
        super().__init__(f"{kind} {key!r} is at version {have}, the change was made against {was}")
        self.have = have
        self.given = given


class NotEnoughData(BanditError):
    """A number that can not be given honestly yet."""

    code = "not_enough_data"

    def __init__(self, what: str, have: int, need: int) -> None:
        super().__init__(f"{what} has n = {have}, must be at least {need}")
        self.have = have
        self.need = need


class SnapshotCorrupt(BanditError):
    """Snapshot bytes that fail their digest or their canary."""

    code = "snapshot_corrupt"


class JournalUnavailable(BanditError):
    """An accepted record could not be made durable."""

    code = "journal_unavailable"


class StorageFull(JournalUnavailable):
    """The disk has no room for records: send them again later."""

    code = "storage_full"


class StoreError(BanditError):
    """Anything ClickHouse did not do."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """ClickHouse can not be reached, or did not answer in time: the outcome is unknown."""

    code = "store_unavailable"


class QueryCut(StoreUnavailable):
    """A question that ClickHouse cut, because it took more time or memory than it may."""

    code = "query_cut"


class StoreRejected(StoreError):
    """ClickHouse answered, and refused."""

    code = "store_rejected"
