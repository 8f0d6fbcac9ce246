"""A policy's weights from nothing but the log: the proof that its snapshots are its cache."""

from bandit.errors import NotFound
from bandit.learning.counts import Counts
from bandit.learning.lineage import check_not_erased, learn_steps, started, steps_of
from bandit.learning.training import Build
from bandit.records import Record
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail


class RebuildReport(Record, frozen=True, kw_only=True):
    """What came of retraining a policy.

    Attributes:
        policy: Which.
        number: The snapshot that was rebuilt.
        digest: Of the weights that came out.
        expected: What the snapshot says.
        equal: Whether they are the same.
        counts_equal: Whether as much was trained, defaulted, late … as the snapshot says.
        steps_n: Snapshots from scratch to that one.
        lessons_n: Lessons learned on the way.
    """

    policy: str
    number: int
    digest: str
    expected: str
    equal: bool
    counts_equal: bool
    steps_n: int
    lessons_n: int


def rebuild(
    policy: str,
    *,
    tail: Tail,
    snapshots: Snapshots,
    definitions: Definitions,
    build: Build,
) -> RebuildReport:
    """Retrain a policy from the log, step by step as its lineage says, and compare the weights.

    Args:
        policy: Key of a policy that has snapshots.
        tail: The log.
        snapshots: Whose newest lineage is followed from where it started from scratch.
        definitions: The surface's rules at each step.
        build: `bandit.policies.build`.

    Raises:
        NotFound: The policy has no snapshot, or the log does not hold all that it learned from.
        NotDeclared: Its surface is not declared, or not in a version it was learned by.
        StoreUnavailable: The store did not answer.
    """
    steps = steps_of(snapshots.lineage(policy))
    if not steps:
        raise NotFound(f"policy {policy!r} has no snapshot to rebuild")
    newest = steps[-1]
    check_not_erased(newest, snapshots.erasures(policy))
    training = started(newest.spec, definitions, build)
    lessons_n = learn_steps(training, steps, after={}, tail=tail, definitions=definitions)
    digest = training.policy.digest()
    return RebuildReport(
        policy=policy,
        number=newest.number,
        digest=digest,
        expected=newest.digest,
        equal=digest == newest.digest,
        counts_equal=training.joiner.counts == Counts.of(newest),
        steps_n=len(steps),
        lessons_n=lessons_n,
    )
