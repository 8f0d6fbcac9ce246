"""Replays of decisions whose snapshots were thinned out, over the real engine and Vowpal Wabbit."""

import itertools

import pytest
from click.testing import CliRunner

from bandit.cli.replay import command
from bandit.errors import NotFound, SnapshotCorrupt
from bandit.learning.learner import Learner, Pace, Task
from bandit.policies import build
from bandit.records import Decision, LoggedDecision
from bandit.service.deciding import DecisionService
from bandit.service.repeats import PastDecisions
from bandit.service.replaying import ReplayService
from bandit.service.retraining import retraining
from bandit.service.serving_state import RunnablePolicy, Serving, ServingState, assemble
from bandit.specs import PolicySpec, Surface
from bandit.store import snapshots as snapshots_module
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail
from tests.bandit.learning.fakes import AnyRow
from tests.bandit.learning.filling import RealLog
from tests.bandit.learning.making import reward
from tests.bandit.service.making import (
    NOW_MS,
    SALT,
    MemoryJournal,
    counting_entropy,
    defined,
    logged,
    request,
)

POLICY = PolicySpec(key="vw", type="vw", surface="home.feed", floor=0.02)
SURFACE = Surface(key="home.feed", policy="vw", join_window_s=2.0)
WORTH = {"a": 0.1, "b": 0.9, "c": 0.4, "d": 0.6}


class Town:
    """A surface that is decided, learned and served from, a second at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now_ms = NOW_MS
        self.log = RealLog(store)
        self.snapshots = Snapshots(store)
        self.definitions = Definitions(store)
        self.decided: list[LoggedDecision] = []
        for spec in (POLICY, SURFACE):
            self.definitions.put(
                spec, expected=None, author="", change_id=spec.key, now_ms=self.now_ms
            )
        ids = itertools.count()
        self.learner = Learner(
            Task.of(*(self.definitions.get(s.kind, s.key) for s in (POLICY, SURFACE))),
            tail=Tail(store),
            snapshots=self.snapshots,
            build=build,
            now_ms=lambda: self.now_ms,
            new_id=lambda: f"change-{next(ids)}",
            name="learner",
            pace=Pace(interval_s=0.5),
        )
        self.serving = Serving()
        self.serve(0, None)
        self.journal = MemoryJournal()
        self.deciding = DecisionService(
            self.serving,
            self.journal,  # type: ignore[arg-type]
            salt=SALT,
            now_ms=lambda: self.now_ms,
            entropy=counting_entropy(),
            past=PastDecisions(lambda _: pytest.fail("asked"), monotonic_s=lambda: 0.0),
        )

    def live_s(self, seconds: int) -> None:
        for _ in range(seconds):
            rows = [row for _ in range(2) for row in self.decide()]
            self.log.write(*rows)
            self.now_ms += 1000
            self.log.drained(self.now_ms, self.now_ms)
            published = self.learner.step().snapshot
            if published:
                self.serve(published, self.snapshots.get("vw", published).weights)

    def serve(self, number: int, weights: bytes | None) -> None:
        policy = RunnablePolicy(POLICY, number, 0, build(POLICY, weights))
        declared = defined(POLICY, SURFACE)
        self.serving.swap(assemble(1, declared, {"vw": policy}, ServingState()))

    def decide(self) -> list[AnyRow]:
        n = len(self.decided)
        asked = request(*WORTH, unit_id=f"user-{n}", slots=2)
        self.deciding.rank(asked, b"")
        decision = self.journal.records[-1]
        assert isinstance(decision, Decision)
        one = logged(decision, asked)
        self.decided.append(one)
        top = asked.actions[one.ranking[0]].id
        return [one, reward(one, WORTH[top], 1 + 7 * n % 900, surface="home.feed")]

    def thin_out(self) -> list[LoggedDecision]:
        """Wait until the store has forgotten what it should; the decisions of those snapshots."""
        self.store.apply(
            "ALTER TABLE snapshots$local UPDATE format = format WHERE 1 SETTINGS mutations_sync = 1"
        )
        numbers = {one.snapshot for one in self.decided}
        kept = {number for number in numbers if self.snapshots.kept("vw", number) == number}
        return [one for one in self.decided if one.snapshot not in kept]

    def replays(self, *, retrained: bool = True) -> ReplayService:
        return ReplayService(
            lambda: self.definitions,
            lambda: self.snapshots,
            salt=SALT,
            retrain=retraining(lambda: self.store) if retrained else None,
        )


@pytest.fixture
def town(store: Store, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr(snapshots_module, "KEEP", 4)
    monkeypatch.setattr(snapshots_module, "KEEP_ROWS_N", 40)
    return Town(store)


def test_decisions_of_snapshots_that_were_thinned_out_replay_identically(town: Town) -> None:
    town.live_s(24)
    thinned = town.thin_out()
    assert len({one.snapshot for one in thinned}) > 10
    sample = Decisions(town.store).sample("home.feed", 48, seed=1)
    assert len({one.event_id for one in sample} & {one.event_id for one in thinned}) > 15
    assert len({one.pmf for one in sample}) > 15  # it did matter which weights it were
    for order in (sorted(sample, key=lambda one: one.snapshot), sample[:10]):
        replays = town.replays()
        assert [replays.replay(one).differences for one in order] == [()] * len(order)


def test_the_command_line_replays_them_too(town: Town, clickhouse_url: str) -> None:
    town.live_s(12)
    assert len(town.thin_out()) > 5
    environ = {
        "BANDIT_CLICKHOUSE_URL": clickhouse_url,
        "BANDIT_CLICKHOUSE_DATABASE": town.store.database,
        "BANDIT_SALT": SALT.decode(),
    }
    said = CliRunner().invoke(command, ["home.feed", "--sample", "99"], env=environ)
    assert (
        said.output == "24 identical, 0 differing, 0 without their snapshot, 0 with a corrupt one\n"
    )
    assert said.exit_code == 0


def test_decisions_of_snapshots_that_are_damaged_in_the_store_replay_identically(
    town: Town, clickhouse_url: str
) -> None:
    # They were refused ("with a corrupt one"), though the log holds all that is needed.
    town.live_s(6)
    damaged = town.decided[-1].snapshot
    town.store.apply(
        f"ALTER TABLE snapshots$local UPDATE weights = reverse(weights) WHERE number = {damaged}"
        " SETTINGS mutations_sync = 1"
    )
    with pytest.raises(SnapshotCorrupt, match="SHA-256"):
        town.replays(retrained=False).replay(town.decided[-1])
    replays = town.replays()
    assert replays.replay(town.decided[-1]).differences == ()
    assert replays.damaged == [f"vw@{damaged}"]
    environ = {
        "BANDIT_CLICKHOUSE_URL": clickhouse_url,
        "BANDIT_CLICKHOUSE_DATABASE": town.store.database,
        "BANDIT_SALT": SALT.decode(),
    }
    said = CliRunner().invoke(command, ["home.feed", "--sample", "99"], env=environ)
    assert said.output.splitlines() == [
        "12 identical, 0 differing, 0 without their snapshot, 0 with a corrupt one",
        f"learned again from the log, since what the store holds is damaged: vw@{damaged}",
    ]


def test_what_comes_otherwise_out_of_the_log_is_refused(town: Town) -> None:
    town.live_s(6)
    damaged = town.decided[-1].snapshot
    town.store.apply(
        "ALTER TABLE snapshots$local UPDATE weights = reverse(weights), digest = 'another'"
        f" WHERE number = {damaged} SETTINGS mutations_sync = 1"
    )
    with pytest.raises(SnapshotCorrupt, match="must be another"):
        town.replays().replay(town.decided[-1])


def test_a_decision_of_a_log_that_was_cut_is_not_found(town: Town) -> None:
    town.live_s(12)
    one = town.thin_out()[-1]
    with pytest.raises(NotFound, match="only its lineage"):
        town.replays(retrained=False).replay(one)
    assert town.replays().replay(one).identical
    town.store.apply("TRUNCATE TABLE rewards$local")
    with pytest.raises(NotFound, match="rows to learn from"):
        town.replays().replay(one)
