"""Decide out of a changing catalogue, learn, rebuild and replay, over the real engine and VW."""

import itertools
from pathlib import Path

import msgspec
import pytest

from bandit.journal.base import Entry, Progress
from bandit.learning.learner import Learner, Pace, Task
from bandit.learning.rebuilding import rebuild
from bandit.policies import build
from bandit.records import Action, AnyLogRecord, Decision, Reward
from bandit.service.catalogue_feed import CatalogueFeed
from bandit.service.cataloguing import CatalogueService
from bandit.service.deciding import DecisionService
from bandit.service.explaining import explain
from bandit.service.last_good import LastGood
from bandit.service.repeats import PastDecisions
from bandit.service.replaying import ReplayService
from bandit.service.serving_state import RunnablePolicy, Serving, ServingState, assemble
from bandit.specs import PolicySpec, Surface
from bandit.store.catalogue import Catalogues
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.definitions import Definitions
from bandit.store.sink import ClickHouseSink
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail
from bandit.wire import RankRequest
from tests.bandit.service.making import NOW_MS, SALT, MemoryJournal, counting_entropy, defined

POLICY = PolicySpec(key="vw", type="vw", surface="home.feed", floor=0.02)
SURFACE = Surface(key="home.feed", policy="vw", join_window_s=2.0, max_actions=20)


class Shop:
    """One worker over a store, a second at a time."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.now_ms = NOW_MS
        self.ids = (f"change-{n}" for n in itertools.count())
        self.snapshots = Snapshots(store)
        self.definitions = Definitions(store)
        self.sink = ClickHouseSink(store, now_ms=lambda: self.now_ms)
        self.seqs = {"decisions": itertools.count(1), "rewards": itertools.count(1)}
        for spec in (POLICY, SURFACE):
            self.definitions.put(
                spec, expected=None, author="", change_id=next(self.ids), now_ms=NOW_MS
            )
        self.cataloguing = CatalogueService(
            lambda: Catalogues(store),
            lambda: self.definitions,
            now_ms=lambda: self.now_ms,
            new_id=lambda: next(self.ids),
        )
        self.feed = CatalogueFeed(lambda: Catalogues(store), LastGood(folder, writer="w"))
        self.learner = Learner(
            Task.of(*(self.definitions.get(s.kind, s.key) for s in (POLICY, SURFACE))),
            tail=Tail(store),
            snapshots=self.snapshots,
            build=build,
            now_ms=lambda: self.now_ms,
            new_id=lambda: next(self.ids),
            name="learner",
            pace=Pace(interval_s=0.5),
        )
        self.serving = Serving()
        self.policy = RunnablePolicy(POLICY, 0, 0, build(POLICY))
        self.journal = MemoryJournal()
        self.deciding = DecisionService(
            self.serving,
            self.journal,  # type: ignore[arg-type]
            salt=SALT,
            now_ms=lambda: self.now_ms,
            entropy=counting_entropy(),
            past=PastDecisions(lambda _: pytest.fail("asked"), monotonic_s=lambda: 0.0),
        )

    def change(self, *upsert: Action, delete: tuple[str, ...] = ()) -> None:
        self.cataloguing.change(SURFACE.key, upsert, delete, author="")
        self.serve()

    def serve(self) -> None:
        self.feed.look()
        declared, policies = defined(POLICY, SURFACE), {"vw": self.policy}
        state = assemble(1, declared, policies, ServingState(), self.feed.current)
        self.serving.swap(state)

    def live_s(self, seconds: int, *requests: dict[str, object]) -> None:
        """Each second, every request once; who is recommended `go` clicks."""
        for _ in range(seconds):
            for n, fields in enumerate(requests):
                self.rank(f"user-{n}", fields)
            self.now_ms += 1000
            self.sink.report(Progress("host", self.now_ms, 0, 0))
            published = self.learner.step().snapshot
            if published:
                weights = self.snapshots.get("vw", published).weights
                self.policy = RunnablePolicy(POLICY, published, 0, build(POLICY, weights))
                self.serve()

    def rank(self, unit_id: str, fields: dict[str, object]) -> None:
        asked = {"surface": SURFACE.key, "unit_id": unit_id, "slots": 2, **fields}
        body = msgspec.json.encode(asked)
        answer = self.deciding.rank(msgspec.json.decode(body, type=RankRequest), body)
        decision = self.journal.records[-1]
        assert isinstance(decision, Decision)
        self.deliver(decision)
        held = self.feed.current[SURFACE.key].actions
        is_liked = b"go" in bytes(held[answer.ranking[0].id].features)
        self.deliver(
            Reward(
                ts_ms=self.now_ms + 1,
                surface=SURFACE.key,
                event_id=answer.event_id,
                decision_ts_ms=decision.ts_ms,
                value=float(is_liked),
                reward_id=answer.event_id,
            )
        )

    def deliver(self, record: AnyLogRecord) -> None:
        seq = next(self.seqs[record.table])
        self.sink.insert(record.table, "w", [Entry(seq, record)], f"{record.table}/{seq}")


def test_learning_rebuilding_and_replaying_go_by_what_the_catalogue_was(
    store: Store, tmp_path: Path
) -> None:
    shop = Shop(store, tmp_path)
    shop.change(*(Action.of(id_, topic="py") for id_ in "abc"), Action.of("d", topic="go"))
    shop.live_s(5, {}, {"action_ids": ["d", "a"]}, {"exclude": ["b"]})
    shop.change(Action.of("a", topic="go"), Action.of("e", topic="py"), delete=("d",))
    shop.live_s(4, {}, {"action_ids": ["e", "a", "b"]})
    shop.change(Action.of("d", topic="chess"))
    shop.live_s(4, {}, {"action_ids": ["d", "c"]})

    decisions = Decisions(store)
    sample = decisions.sample(SURFACE.key, 99, seed=1)
    assert {one.catalogue for one in sample} == {1, 2, 3}
    assert len({one.snapshot for one in sample}) > 5
    topics = {
        (one.catalogue, action.id): msgspec.json.decode(action.features)["topic"]
        for one in sample
        for action in one.actions
    }
    assert [topics.get((version, "d")) for version in (1, 2, 3)] == ["go", None, "chess"]
    assert [topics.get((version, "a")) for version in (1, 2, 3)] == ["py", "go", "go"]

    replays = ReplayService.of_store(lambda: store, salt=SALT)
    assert [replays.replay(one).differences for one in sample] == [()] * 31

    report = rebuild(
        "vw", tail=Tail(store), snapshots=shop.snapshots, definitions=shop.definitions, build=build
    )
    assert (report.equal, report.counts_equal) == (True, True)
    assert report.lessons_n > 10

    one = next(one for one in sample if one.catalogue == 1 and len(one.actions) == 4)
    shown = explain(decisions.find(one.event_id)).actions
    assert [(each.id, each.features) for each in shown] == [
        *((id_, {"topic": "py"}) for id_ in "abc"),
        ("d", {"topic": "go"}),
    ]


def test_a_policy_sees_the_same_in_a_catalogue_as_in_requests(store: Store, tmp_path: Path) -> None:
    shop = Shop(store, tmp_path)
    actions = [Action.of("a", topic="py"), Action.of("b", topic="go")]
    shop.change(*actions)
    by_value = {"actions": [{"id": one.id, "features": one.features} for one in actions]}
    for fields in ({}, {"action_ids": ["a", "b"]}, by_value):
        shop.rank("u", fields)
    logged = Tail(store).read(SURFACE.key, {}).decisions
    assert [one.catalogue for one in logged] == [1, 1, 0]
    assert [list(one.actions) for one in logged] == [actions] * 3
    assert len({one.pmf for one in logged}) == 1
