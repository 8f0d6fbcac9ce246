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
├── VersionConflict                 somebody else changed the definition first
├── NotOffered                      a protocol's operation that has no place here
├── NotEnoughData                   a number that can not be given honestly yet
├── SnapshotCorrupt                 snapshot bytes that fail their digest or canary
├── JournalUnavailable              an accepted record could not be made durable
└── StoreError
    ├── StoreUnavailable            ClickHouse can not be reached or did not answer in time
│   └── StorageFull                 because there is no room for it
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


class StoreError(BanditError):
    """Anything ClickHouse did not do."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """ClickHouse can not be reached, or did not answer in time: the outcome is unknown."""

    code = "store_unavailable"


class StoreRejected(StoreError):
    """ClickHouse answered, and refused."""

    code = "store_rejected"
class StorageFull(JournalUnavailable):
    """The disk has no room for records: send them again later."""

    code = "storage_full"


