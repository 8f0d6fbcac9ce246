"""Decisions: who chooses, what may be drawn, what the log gets."""

import asyncio
import math
import struct
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from bandit.errors import NotDeclared, RecordError, StoreUnavailable
from bandit.event_id import EventId, make_event_id, read_event_id, surface_tag
from bandit.journal.pressure import kept
from bandit.policies import draw_ranking, seed_of
from bandit.records import Action, Decision, LoggedDecision
from bandit.service.deciding import OLDEST_MS, DecisionService
from bandit.service.event_ids import AHEAD_MS
from bandit.service.repeats import PastDecisions
from bandit.service.serving_state import RunnablePolicy, Serving, ServingState, assemble
from bandit.specs import AnySpec, PolicySpec
from bandit.wire import AssignedVariant, RankRequest
from tests.bandit.service.making import (
    EXPERIMENT,
    FIXED,
    NOW_MS,
    SALT,
    SURFACE,
    UNIFORM,
    MemoryJournal,
    counting_entropy,
    defined,
    logged,
    request,
    serving,
)

T = TypeVar("T")


def client_id(ts_ms: int, n: int = 0x0123456789AB) -> str:
    """A client's own UUIDv7."""
    time = f"{ts_ms:012x}"
    return f"{time[:8]}-{time[8:]}-7abc-8def-{n:012x}"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


class Rig:
    """A service over a memory journal, with the store's look-up as a list of answers."""

    def __init__(self, *specs: AnySpec, state: Serving | None = None) -> None:
        self.journal = MemoryJournal()
        self.now_ms = NOW_MS
        self.log: dict[str, LoggedDecision] = {}
        self.asked: list[str] = []
        self.serving = state or serving(*specs)
        self.past = PastDecisions(self.find, monotonic_s=lambda: 0.0)
        self.service = DecisionService(
            self.serving,
            self.journal,  # type: ignore[arg-type]
            salt=SALT,
            now_ms=lambda: self.now_ms,
            entropy=counting_entropy(),
            past=self.past,
        )

    def find(self, event_id: str) -> LoggedDecision:
        from bandit.errors import NotFound

        self.asked.append(event_id)
        if event_id not in self.log:
            raise NotFound(event_id)
        return self.log[event_id]

    @property
    def decision(self) -> Decision:
        record = self.journal.records[-1]
        assert isinstance(record, Decision)
        return record


def test_rank_answers_what_it_logs_and_logs_what_it_drew_from() -> None:
    rig = Rig(UNIFORM, SURFACE)
    asked = request("a", "b", "c", "d", slots=3)
    answer = rig.service.rank(asked, b"the body")
    decision = rig.decision
    pmf = struct.unpack("<4f", decision.pmf)
    assert pmf == (0.25,) * 4
    assert decision.seed == seed_of(answer.event_id, SALT)
    assert (list(decision.ranking), list(decision.propensities)) == draw_ranking(
        pmf, 3, decision.seed
    )
    assert [asked.actions[i].id for i in decision.ranking] == [r.id for r in answer.ranking]
    assert [r.propensity for r in answer.ranking] == list(decision.propensities)
    assert [r.slot for r in answer.ranking] == [0, 1, 2]
    assert decision.request == b"the body"
    assert (decision.policy, decision.snapshot, answer.snapshot) == ("random", 0, "random@0")
    assert decision.ts_ms == NOW_MS


def test_event_ids_of_ours_carry_time_and_surface() -> None:
    rig = Rig(UNIFORM, SURFACE)
    answer = rig.service.rank(request("a"), b"")
    assert read_event_id(answer.event_id, SALT)[:2] == (NOW_MS, surface_tag("home.feed"))


def test_unit_gets_the_policy_of_its_variant() -> None:
    rig = Rig(UNIFORM, FIXED, SURFACE, EXPERIMENT)
    expected = {
        "user-0": ("random", None),  # bucket 7655 belongs to nobody
        "user-1": ("random", AssignedVariant(key="feed", variant="control")),
        "user-2": ("order", AssignedVariant(key="feed", variant="treatment")),
    }
    for unit_id, (policy, experiment) in expected.items():
        answer = rig.service.rank(request("a", "b", unit_id=unit_id), b"")
        assert (answer.policy, answer.experiment) == (policy, experiment)
        assert rig.decision.experiment_version == (1 if experiment else 0)
        assert rig.decision.variant == (experiment.variant if experiment else "")


def test_excluded_actions_are_never_drawn_and_have_probability_zero() -> None:
    rig = Rig(UNIFORM, SURFACE)
    asked = request("a", "b", "c", "d", slots=4, exclude=["a", "c", "unheard-of"])
    answer = rig.service.rank(asked, b"")
    assert sorted(r.id for r in answer.ranking) == ["b", "d"]
    assert struct.unpack("<4f", rig.decision.pmf) == (0.0, 0.5, 0.0, 0.5)
    assert set(rig.decision.ranking) == {1, 3}


def test_floor_is_mixed_in_and_logged() -> None:
    class Greedy:
        def pmf(self, context: bytes, actions: list[Action]) -> list[float]:
            return [1.0] + [0.0] * (len(actions) - 1)

    spec = PolicySpec(key="random", type="uniform", floor=0.0625)
    policies = {"random": RunnablePolicy(spec, 3, 0, Greedy())}  # type: ignore[arg-type]
    state = assemble(1, defined(spec, SURFACE), policies, ServingState())
    rig = Rig(state=Serving(state))
    answer = rig.service.rank(request("a", "b", "c", "d"), b"")
    assert struct.unpack("<4f", rig.decision.pmf) == (0.8125, 0.0625, 0.0625, 0.0625)
    assert (rig.decision.floor, answer.snapshot) == (0.0625, "random@3")


def test_ranking_ends_where_a_policy_can_draw_no_more() -> None:
    class TwoOfThree:
        def pmf(self, context: bytes, actions: list[Action]) -> list[float]:
            return [0.5, 0.0, 0.5]

    policies = {"random": RunnablePolicy(UNIFORM, 0, 0, TwoOfThree())}  # type: ignore[arg-type]
    rig = Rig(state=Serving(assemble(1, defined(UNIFORM, SURFACE), policies, ServingState())))
    answer = rig.service.rank(request("a", "b", "c", slots=3), b"")
    assert sorted(r.id for r in answer.ranking) == ["a", "c"]


def test_shadows_log_their_propensity_of_what_was_drawn() -> None:
    surface = msgspec.structs.replace(SURFACE, shadows=["order", "random"])
    rig = Rig(UNIFORM, FIXED, surface)
    rig.service.rank(request("a", "b", slots=2, exclude=[]), b"")
    shadows = rig.decision.shadows
    assert shadows["random"] == (0.5, 1.0)
    assert shadows["order"] == ((1.0, 1.0) if rig.decision.ranking[0] == 0 else (0.0, 1.0))


def test_shadow_that_gives_no_distribution_does_not_cost_the_answer() -> None:
    class Broken:
        def pmf(self, context: bytes, actions: list[Action]) -> list[float]:
            return [float("nan")] * len(actions)

    surface = msgspec.structs.replace(SURFACE, shadows=["order"])
    policies = {
        "random": serving(UNIFORM).state.policies["random"],
        "order": RunnablePolicy(FIXED, 0, 0, Broken()),  # type: ignore[arg-type]
    }
    state = assemble(1, defined(UNIFORM, FIXED, surface), policies, ServingState())
    rig = Rig(state=Serving(state))
    rig.service.rank(request("a", "b"), b"")
    assert (rig.decision.shadows, rig.service.shadows_failed) == ({}, 1)


def test_repeated_event_id_is_answered_again_and_logged_once() -> None:
    rig = Rig(UNIFORM, SURFACE)
    own = client_id(NOW_MS)
    first = rig.service.rank(request("a", "b", "c", event_id=own), b"")
    again = rig.service.rank(request("x", "y", event_id=own), b"")
    assert again is first
    assert len(rig.journal.records) == 1


def test_fresh_event_id_is_not_looked_up_in_the_store() -> None:
    rig = Rig(UNIFORM, SURFACE)
    run(rig.service.recall(client_id(NOW_MS - 500)))
    assert rig.asked == []


def test_older_event_id_is_answered_as_the_log_has_it() -> None:
    rig = Rig(UNIFORM, SURFACE)
    own = client_id(NOW_MS - 60_000)
    asked = request("a", "b", "c", "d", slots=2, event_id=own)
    other_worker = Rig(UNIFORM, SURFACE)
    first = other_worker.service.rank(asked, b"")
    rig.log[own] = logged(other_worker.decision, asked)
    run(rig.service.recall(own))
    assert rig.service.rank(asked, b"") == first
    assert rig.journal.records == []


def test_event_id_that_the_log_does_not_hold_is_drawn() -> None:
    rig = Rig(UNIFORM, SURFACE)
    own = client_id(NOW_MS - 60_000)
    run(rig.service.recall(own))
    assert rig.service.rank(request("a", event_id=own), b"").event_id == own
    assert rig.asked == [own]


@pytest.mark.parametrize("old_ms", [OLDEST_MS + 1000, -AHEAD_MS - 1000])
def test_event_id_far_from_now_is_refused(old_ms: int) -> None:
    rig = Rig(UNIFORM, SURFACE)
    with pytest.raises(RecordError, match=r"3601 s old, must be between -3600 and 3600"):
        rig.service.rank(request("a", event_id=client_id(NOW_MS - old_ms)), b"")


def test_event_id_of_another_surface_is_refused() -> None:
    rig = Rig(UNIFORM, SURFACE)
    theirs = make_event_id(NOW_MS, surface_tag("other"), b"123456", SALT)
    with pytest.raises(RecordError, match="belongs to a decision of another surface"):
        rig.service.rank(request("a", event_id=theirs), b"")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (request("a", "b", "a"), r"action id 'a' is repeated.*\$.actions\[2\].id"),
        (request(*"abcdefghijk"), r"11 actions are offered, must be at most 10.*\$.actions"),
        (request("a", exclude=["a"]), r"every action is excluded.*\$.exclude"),
        (request("a", event_id="no-uuid"), "must be a UUIDv7"),
        (
            RankRequest(
                surface="home.feed",
                unit_id="u",
                actions=[Action(id="a", features=msgspec.Raw(b'{"x":1e39}'))],
            ),
            r"\$.actions\[0\].features.x",
        ),
        (
            RankRequest(
                surface="home.feed",
                unit_id="u",
                context=msgspec.Raw(b"[1]"),
                actions=[Action.of("a")],
            ),
            r"\$.context",
        ),
    ],
)
def test_bad_request_is_refused_with_its_place_and_never_logged(
    asked: RankRequest, says: str
) -> None:
    rig = Rig(UNIFORM, SURFACE)
    with pytest.raises(RecordError, match=says):
        rig.service.rank(asked, b"")
    assert rig.journal.records == []


def test_features_of_an_excluded_action_are_checked_too() -> None:
    rig = Rig(UNIFORM, SURFACE)
    asked = RankRequest(
        surface="home.feed",
        unit_id="u",
        actions=[Action(id="a", features=msgspec.Raw(b'{"x":1e39}')), Action.of("b")],
        exclude=["a"],
    )
    with pytest.raises(RecordError, match=r"\$.actions\[0\]"):
        rig.service.rank(asked, b"")


def test_surface_that_nobody_declared_is_said_so_only_once_definitions_are_known() -> None:
    with pytest.raises(NotDeclared, match="surface 'home\\.feed' is not declared"):
        Rig(UNIFORM).service.rank(request("a"), b"")
    with pytest.raises(StoreUnavailable, match="not loaded yet"):
        Rig(state=Serving()).service.rank(request("a"), b"")


@pytest.mark.parametrize("own", [None, client_id(NOW_MS)])
def test_decision_that_the_journal_does_not_take_is_answered_and_says_so(own: str | None) -> None:
    rig = Rig(UNIFORM, SURFACE)
    rig.journal.broken = True
    answer = rig.service.rank(request("a", "b", event_id=own), b"")
    assert (len(answer.ranking), answer.logged, rig.journal.records) == (1, False, [])
    told = EventId(NOW_MS, surface_tag("home.feed"), logged=False)
    assert read_event_id(answer.event_id, SALT) == told
    rig.journal.broken = False
    # Whoever asks again, here or under the id of the answer, is told the same.
    for again in filter(None, (own, answer.event_id)):
        assert rig.service.rank(request("b", "a", event_id=again), b"") == answer
    assert rig.journal.records == []


def test_decision_not_logged_is_drawn_alike_by_a_worker_that_does_not_know_it() -> None:
    asked = request("a", "b", "c", "d", slots=3, event_id=client_id(NOW_MS))
    rigs = [Rig(UNIFORM, SURFACE) for _ in range(3)]
    for rig in rigs[:2]:
        rig.journal.broken = True
    first, second, logged = (rig.service.rank(asked, b"") for rig in rigs)
    assert first == second
    assert (logged.logged, logged.event_id) == (True, asked.event_id)
    assert logged.ranking == first.ranking


def test_id_that_says_unlogged_is_never_logged() -> None:
    rig = Rig(UNIFORM, SURFACE)
    given = make_event_id(NOW_MS, surface_tag("home.feed"), b"123456", SALT, logged=False)
    answer = rig.service.rank(request("a", "b", event_id=given), b"")
    assert (answer.event_id, answer.logged, rig.journal.records) == (given, False, [])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_decisions_are_kept_by_a_share_that_each_of_them_tells(share: float) -> None:
    rig = Rig(UNIFORM, FIXED, replace(SURFACE, shadows=["order"]))
    rig.journal.keep_share = share
    answers = [rig.service.rank(request("a", "b"), b"") for _ in range(400)]
    decisions = {one.event_id: one for one in rig.journal.records if isinstance(one, Decision)}
    assert decisions.keys() == {answer.event_id for answer in answers if answer.logged}
    assert {one.keep_share for one in decisions.values()} == ({share} if share else set())
    assert all(kept(event_id, share) for event_id in decisions)
    assert abs(len(decisions) - 400 * share) <= 4.4 * math.sqrt(400 * share * (1 - share))
    assert len({answer.event_id for answer in answers}) == 400


def test_share_of_a_client_s_own_id_does_not_depend_on_the_worker() -> None:
    ids = [client_id(NOW_MS, n) for n in range(50)]
    told = []
    for _ in range(2):
        rig = Rig(UNIFORM, SURFACE)
        rig.journal.keep_share = 0.5
        told.append([rig.service.rank(request("a", event_id=id_), b"").logged for id_ in ids])
    assert told[0] == told[1] == [kept(id_, 0.5) for id_ in ids]


def test_decision_that_the_disk_did_not_confirm_keeps_its_id() -> None:
    rig = Rig(UNIFORM, SURFACE)
    own = client_id(NOW_MS)
    answer = rig.service.rank(request("a", event_id=own), b"")
    unsure = rig.service.not_durable(answer)
    assert (unsure.event_id, unsure.logged) == (own, False)
    assert rig.service.rank(request("a", event_id=own), b"") == unsure


def test_nobody_is_given_what_was_decided_for_another_project_under_the_same_event_id() -> None:
    """An answer that is repeated would tell what they rank, and to whom."""
    theirs = [replace(UNIFORM, key="b.random", project="b")]
    theirs.append(replace(SURFACE, key="b.feed", policy="b.random", project="b"))  # type: ignore[arg-type]
    rig = Rig(UNIFORM, SURFACE, *theirs)
    own = client_id(NOW_MS - 60_000)
    asked = request("secret-1", "secret-2", surface="b.feed", event_id=own)
    answer = rig.service.rank(asked, b"", "b")
    assert rig.service.rank(asked, b"", "b") == answer
    mine = request("a", "b", event_id=own)
    assert {one.id for one in rig.service.rank(mine, b"", "default").ranking} <= {"a", "b"}

    elsewhere = Rig(UNIFORM, SURFACE, *theirs)  # another worker, which finds it in the log
    elsewhere.log[own] = logged(rig.journal.records[0], asked)  # type: ignore[arg-type]
    run(elsewhere.service.recall(own, "default"))
    assert {one.id for one in elsewhere.service.rank(mine, b"", "default").ranking} <= {"a", "b"}
    run(elsewhere.service.recall(own, "b"))
    assert elsewhere.service.rank(asked, b"", "b").ranking == answer.ranking
