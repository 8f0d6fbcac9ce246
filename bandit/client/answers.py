"""What the client answers: what the service said, or the caller's own default and why."""

from collections.abc import Mapping
from typing import Any, Literal

from bandit.records import Record
from bandit.wire import AssignedVariant

Reason = Literal[
    "",
    "deadline",
    "away",
    "breaker",
    "busy",
    "failed",
    "refused",
    "unreadable",
    "arguments",
    "not assigned",
    "closed",
    "error",
]
"""Why a default was given.

| reason | what happened |
| --- | --- |
| `deadline` | no answer in time |
| `away` | no connection, or it broke |
| `breaker` | not asked: it was away or late several times in a row |
| `busy` | 429 or 503: asked to come back later |
| `failed` | another 5xx |
| `refused` | a 4xx: the request breaks a rule; logged once, with what the service said |
| `unreadable` | an answer that is not the service's |
| `arguments` | not asked: the arguments can not be sent; logged once |
| `not assigned` | the service answered, but has no variant for this unit |
| `closed` | the client was closed |
| `error` | something nobody thought of; logged once |
"""


class Ranking(Record, frozen=True, kw_only=True):
    """What to show.

    Attributes:
        ids: Slot order, the top first.
        source: `served` by the service, or the caller's `default`.
        reason: Why it is the default; empty if it was served.
        event_id: What rewards refer to; empty for a default, which can earn none.
        surface: Where it was asked.
        propensities: Of each slot, given the slots above; empty for a default.
        experiment: The variant that chose the policy.
        policy, snapshot: What drew.
        logged: False for a served answer that the service's log does not hold, because its disk is
            full or it sheds load. Record what comes back all the same: it is accepted, and counts
            nowhere.
        token: What rewards of a signed surface must bring; they do by themselves.
    """

    ids: tuple[str, ...]
    source: Literal["served", "default"]
    reason: Reason = ""
    event_id: str = ""
    surface: str = ""
    propensities: tuple[float, ...] = ()
    experiment: AssignedVariant | None = None
    policy: str = ""
    snapshot: str = ""
    logged: bool = True
    token: str = ""

    @property
    def served(self) -> bool:
        """Whether the service chose it."""
        return self.source == "served"


class Given(Record, frozen=True, kw_only=True):
    """A unit's variant of one experiment, and what it is given there."""

    variant: str
    payload: Any = None
    source: Literal["served", "default"] = "default"
    reason: Reason = ""


class Assignments(Record, frozen=True, kw_only=True):
    """The variants of a unit by experiment; every experiment that has a default is there.

    Attributes:
        source: `served` if the service answered at all.
        reason: Why it did not; empty if it did.
    """

    unit_id: str
    variants: Mapping[str, Given]
    source: Literal["served", "default"]
    reason: Reason = ""

    def variant(self, experiment: str) -> str:
        """Key of the unit's variant; empty for an experiment nobody knows."""
        given = self.variants.get(experiment)
        return given.variant if given else ""

    def payload(self, experiment: str) -> Any:
        """What the unit is given; None for an experiment nobody knows."""
        given = self.variants.get(experiment)
        return given.payload if given else None


class Stats(Record, frozen=True, kw_only=True):
    """Counts since the client was made, or since the fork that made this process.

    `queued` = `delivered` + `dropped` + `refused` + `lost` + `waiting`.

    Attributes:
        served: Questions that the service answered.
        defaults: Questions answered by the default, by reason.
        queued: Records taken into the queue.
        delivered: Records that the service accepted.
        dropped: Records pushed out, oldest first, because the queue was full.
        refused: Records that the service will never accept.
        lost: Records that were left when the client was closed.
        waiting: Records queued or under way now.
        retries: Requests with records that were sent again.
        withheld: Rewards and exposures of default answers, which are not sent.
        overrides: Defaults shown where the service may have decided otherwise, too late: told to
            it, so that it does not learn from what nobody saw.
        bad_records: Calls with arguments that can not be sent.
    """

    served: int
    defaults: Mapping[str, int]
    queued: int
    delivered: int
    dropped: int
    refused: int
    lost: int
    waiting: int
    retries: int
    withheld: int
    overrides: int
    bad_records: int
