"""What the log holds, held against the client's ledger and the rules of every decision."""

from typing import NamedTuple

from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.snapshots import Snapshots
from sims.ledger import Ledger


class Check(NamedTuple):
    """One thing that must hold, with the numbers that say whether it does."""

    name: str
    passed: bool
    numbers: str


class Audit(NamedTuple):
    """What must hold of every decision, counted; see `queries/audit.sql`."""

    rows_n: int
    events_n: int
    bad_propensities_n: int
    bad_sums_n: int
    below_floor_n: int
    not_drawn_with_n: int


class Late(NamedTuple):
    """Rewards that came when the join window had ended."""

    rewards_n: int
    worth: float


class Learned(NamedTuple):
    """What a policy's newest snapshot says became of the decisions."""

    snapshot: int
    trained_n: int
    defaulted_n: int
    unseen_n: int

    @property
    def decisions_n(self) -> int:
        """How many decisions were closed."""
        return self.trained_n + self.defaulted_n + self.unseen_n


def audit(store: Store, surface: str) -> Audit:
    """Count what the log holds of a surface's decisions."""
    return Audit(*store.rows("audit_decisions", surface=surface)[0])


def late_rewards(store: Store, surface: Surface) -> Late:
    """Find what came too late to count."""
    window_ms = round(surface.join_window_s * 1000)
    rows = store.rows("audit_late_rewards", surface=surface.key, window_ms=window_ms)
    return Late(*rows[0])


def learned(store: Store, policy: str) -> Learned:
    """Read the counts of a policy's newest snapshot."""
    lineage = Snapshots(store).lineage(policy)
    if not lineage:
        return Learned(0, 0, 0, 0)
    newest = lineage[-1]
    return Learned(newest.number, newest.trained, newest.defaulted, newest.unseen)


def check_log(store: Store, ledger: Ledger, surface: str, policy: str) -> list[Check]:
    """Check that nothing was lost, doubled or drawn otherwise than it was logged."""
    found = audit(store, surface)
    return [
        check_decisions(ledger, {row[0] for row in store.rows("audit_event_ids", surface=surface)}),
        check_rewards(ledger, {row[0] for row in store.rows("audit_reward_ids", surface=surface)}),
        check_learned(found, learned(store, policy)),
        check_probabilities(found),
    ]


def check_decisions(ledger: Ledger, in_log: set[str]) -> Check:
    """Every answered decision is in the log, and no other but those whose answer was lost."""
    answered = {shown.event_id for shown in ledger.shown}
    unanswered_n = len(in_log - answered)
    numbers = f"{len(answered):,} answered = {len(answered & in_log):,} of them in ClickHouse"
    if ledger.unknown_n or unanswered_n:
        numbers += (
            f"; {unanswered_n} in ClickHouse without an answer, "
            f"of {ledger.unknown_n} requests that broke under way"
        )
    passed = answered <= in_log and unanswered_n <= ledger.unknown_n
    return Check("accepted decisions are in the log", passed, numbers)


def check_rewards(ledger: Ledger, in_log: set[str]) -> Check:
    """Every accepted reward is in the log, and no other."""
    numbers = f"{len(ledger.reward_ids):,} accepted = {len(in_log):,} in ClickHouse"
    return Check("accepted rewards are in the log", ledger.reward_ids == in_log, numbers)


def check_learned(found: Audit, learned: Learned) -> Check:
    """Every decision of the log was learned from exactly once."""
    numbers = (
        f"{found.events_n:,} in ClickHouse = {learned.trained_n:,} trained "
        f"+ {learned.defaulted_n:,} defaulted"
    )
    if learned.unseen_n:
        numbers += f" + {learned.unseen_n:,} unseen"
    passed = found.events_n == found.rows_n == learned.decisions_n
    return Check("decisions in the log are learned from", passed, numbers)


def check_probabilities(found: Audit) -> Check:
    """Every propensity is in (0, 1], every pmf sums to 1, and the draw was made with it."""
    broken = {
        "propensities outside (0, 1]": found.bad_propensities_n,
        "pmfs that do not sum to 1 ± 1e-6": found.bad_sums_n,
        "pmfs below the floor": found.below_floor_n,
        "draws with another propensity": found.not_drawn_with_n,
    }
    numbers = ", ".join(f"{n} {what}" for what, n in broken.items() if n)
    passed = not numbers and found.rows_n > 0
    return Check("probabilities are sound", passed, numbers or f"{found.rows_n:,} decisions")
