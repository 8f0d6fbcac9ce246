"""Decisions under every rule at once: what is logged replays, and strings stay what they are."""

import asyncio
import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bandit.errors import RecordError
from bandit.policies import seed_of
from bandit.records import Action, Decision, LoggedDecision
from bandit.service.deciding import DecisionService
from bandit.service.explaining import explain, known_of
from bandit.service.repeats import PastDecisions, answer_of
from bandit.service.replaying import ReplayService
from bandit.service.serving_state import Serving, ServingState, assemble
from bandit.specs import (
    KILL_SWITCH,
    UNIFORM_SLICE,
    Diversity,
    PolicySpec,
    Rules,
    Surface,
)
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.sink import ClickHouseSink
from bandit.wire import Pin, RankAnswer, RankRequest
from tests.bandit.service.making import (
    FIXED,
    NOW_MS,
    SALT,
    SURFACE,
    UNIFORM,
    MemoryDefinitions,
    MemoryJournal,
    MemorySnapshots,
    counting_entropy,
    defined,
    logged,
    runnable,
    serving,
)
from tests.bandit.store.making import Entry

GREEDY = "--epsilon 0.2"
BY_SLOT = "--epsilon 0.2 -q SA"
POLICIES = [
    UNIFORM,
    FIXED,
    PolicySpec(key="one", type="vw", arguments=GREEDY, surface="home.feed", floor=0.02),
    PolicySpec(
        key="each", type="vw", arguments=BY_SLOT, surface="home.feed", floor=0.02, slot_model="ccb"
    ),
    PolicySpec(
        key="place",
        type="vw",
        arguments=GREEDY,
        surface="home.feed",
        floor=0.01,
        slot_model="position",
    ),
]
RUNNABLE = {spec.key: runnable(spec) for spec in POLICIES}
RULES = Rules(
    denied=["a9"],
    least={"a1": 0.2, "a2": 0.05},
    most={"a0": 0.1, "a1": 0.5, "a3": 0.3},
    pins=[Pin(id="a4", slot=1)],
    diversity=[Diversity(feature="topic", most=2), Diversity(feature="tags", most=1)],
)


def ruled(policy: str, rules: Rules = RULES, **changes: object) -> Surface:
    shadows = [spec.key for spec in POLICIES]
    return replace(SURFACE, policy=policy, rules=rules, shadows=shadows, **changes)


def decided(asked: RankRequest, surface: Surface) -> tuple[RankAnswer, Decision]:
    journal = MemoryJournal()
    service = DecisionService(
        Serving(assemble(1, defined(*POLICIES, surface), RUNNABLE, ServingState())),
        journal,  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: NOW_MS,
        entropy=counting_entropy(),
        past=PastDecisions(lambda _: pytest.fail("asked"), monotonic_s=lambda: 0.0),
    )
    answer = service.rank(asked, msgspec.json.encode(asked))
    assert service.shadows_failed == 0
    (decision,) = journal.records
    assert isinstance(decision, Decision)
    return answer, decision


def offered(*topics: str, tags: tuple[int, ...] = ()) -> list[Action]:
    return [
        Action.of(f"a{i}", topic=topic, n=i, **({"tags": ["x"]} if i in tags else {}))
        for i, topic in enumerate(topics)
    ]


def asking(actions: list[Action], **changes: Any) -> RankRequest:
    return RankRequest(surface="home.feed", unit_id="u", actions=actions, **changes)


def replaying(surface: Surface) -> ReplayService:
    definitions = MemoryDefinitions(*POLICIES, surface)
    return ReplayService(
        lambda: definitions,  # type: ignore[arg-type, return-value]
        lambda: MemorySnapshots(),  # type: ignore[arg-type, return-value]
        salt=SALT,
    )


IDS = [f"a{i}" for i in range(10)]
REQUESTS = st.builds(
    lambda topics, tags, slots, exclude, seen, pin, context, features: asking(
        offered(*topics, tags=tuple(tags)),
        slots=slots,
        exclude=exclude,
        seen=seen,
        pins=[Pin(id=pin[0], slot=pin[1])] if pin else [],
        context=msgspec.Raw(msgspec.json.encode(context)),
        slot_features=[msgspec.Raw(msgspec.json.encode({"w": w})) for w in features],
    ),
    topics=st.lists(st.sampled_from(["go", "chess", "hiking"]), min_size=1, max_size=10),
    tags=st.sets(st.integers(0, 9), max_size=3),
    slots=st.integers(1, 12),
    exclude=st.lists(st.sampled_from(IDS), max_size=3),
    seen=st.lists(st.sampled_from(IDS), max_size=10),
    pin=st.none() | st.tuples(st.sampled_from(IDS), st.integers(0, 5)),
    context=st.dictionaries(st.sampled_from(["hour", "day"]), st.integers(0, 23)),
    features=st.lists(st.integers(0, 3), max_size=3),
)


@given(asked=REQUESTS, policy=st.sampled_from(POLICIES))
@settings(deadline=None, max_examples=120)
def test_every_decision_under_every_rule_replays_and_conserves_probability(
    asked: RankRequest, policy: PolicySpec
) -> None:
    surface = ruled(policy.key)
    try:
        answer, decision = decided(asked, surface)
    except RecordError:  # which requests are refused is tested below
        reject()
    found = logged(decision, asked)
    replay = replaying(surface).replay(found)
    assert replay.identical, replay.differences
    assert answer_of(found) == answer
    assert math.fsum(found.pmf) == pytest.approx(1.0, abs=1e-6)
    excluded = set(found.excluded)
    assert all(found.pmf[index] == 0.0 for index in excluded)
    for slot, index in enumerate(found.ranking):
        pool = set(range(len(found.actions))) - excluded - set(found.ranking[:slot])
        pool -= set(found.blocked[slot]) if found.blocked else set()
        assert index in pool
        assert slot not in found.pinned or found.propensities[slot] == 1.0
    for shadow, probabilities in found.shadows.items():
        assert len(probabilities) == len(found.ranking)
        assert all(0.0 <= p <= 1.0 for p in probabilities)
        assert found.shadow_tops[shadow] not in excluded
    assert found.shadows[policy.key] == pytest.approx(found.propensities)
    explained = explain(found, known_of(found, MemoryDefinitions(*POLICIES, surface), {}))  # type: ignore[arg-type]
    assert explained.rules == RULES
    assert [slot.pinned for slot in explained.ranking] == [
        slot in found.pinned for slot in range(len(found.ranking))
    ]


def test_excluded_actions_are_logged_by_reason() -> None:
    asked = asking(offered(*"abcdefghij"), exclude=["a0"], seen=["a1", "a2"])
    _, decision = decided(asked, ruled("random"))
    assert decision.excluded == {"request": (0,), "denied": (9,), "seen": (1, 2)}
    assert struct.unpack("<10f", decision.pmf)[:3] == (0.0, 0.0, 0.0)
    assert set(decision.shadow_tops.values()) <= {3, 4, 5, 6, 7, 8}


def test_bounds_hold_at_the_top_and_are_what_was_drawn_from() -> None:
    rules = Rules(least={"a2": 0.5}, most={"a0": 0.125})
    _, decision = decided(asking(offered(*"abcd")), ruled("random", rules))
    pmf = struct.unpack("<4f", decision.pmf)
    assert pmf == (0.125, 0.125, 0.625, 0.125)
    assert decision.propensities[0] == pmf[decision.ranking[0]]


def test_a_request_under_rules_that_touch_nothing_is_decided_as_without() -> None:
    rules = Rules(denied=["x"], least={"x": 0.1}, pins=[Pin(id="x", slot=0)])
    for policy in ("random", "order", "one"):
        asked = asking(offered(*"abcd"), slots=3)
        plain, ruled_ = decided(asked, ruled(policy, Rules())), decided(asked, ruled(policy, rules))
        assert ruled_ == plain


def test_fixed_policy_keeps_the_offered_order_around_pins() -> None:
    asked = asking(offered(*"ggghh"), slots=5, pins=[Pin(id="a3", slot=0)])
    rules = Rules(diversity=[Diversity(feature="topic", most=2)], most={"a0": 0.1})
    answer, decision = decided(asked, ruled("order", rules))
    assert [one.id for one in answer.ranking] == ["a3", "a0", "a1", "a4"]
    assert decision.propensities == (1.0, 1.0, 1.0, 1.0)
    assert decision.pinned == (0,)


@pytest.mark.parametrize(
    ("surface", "policy"),
    [
        (ruled("one", killed=True), KILL_SWITCH),
        (ruled("one", uniform_share=1.0), UNIFORM_SLICE),
    ],
)
def test_policies_that_nobody_declared_replay_and_explain_themselves(
    surface: Surface, policy: str
) -> None:
    asked = asking(offered(*"abcdef"), slots=4)
    _, decision = decided(asked, surface)
    found = logged(decision, asked)
    assert found.policy == policy
    assert replaying(surface).replay(found).identical
    told = explain(found)
    assert ("switched off" if policy == KILL_SWITCH else "drawn uniformly") in told.because[0]


def test_replay_asks_for_the_rules_that_held_then() -> None:
    asked = asking(offered(*"abcdef"), slots=4)
    surface = ruled("random")
    _, decision = decided(asked, surface)
    definitions = MemoryDefinitions(*POLICIES, surface)
    definitions.put(replace(surface, rules=Rules()), expected=1, author="", change_id="", now_ms=0)
    service = ReplayService(
        lambda: definitions,  # type: ignore[arg-type, return-value]
        lambda: MemorySnapshots(),  # type: ignore[arg-type, return-value]
        salt=SALT,
    )
    found = logged(decision, asked)
    assert service.replay(found).identical
    later = service.replay(replace(found, surface_version=2))
    assert any(said.startswith("pmf[") for said in later.differences)
    blocked = service.replay(replace(found, blocked=((0,),) * len(found.ranking)))
    assert any(said.startswith("blocked was") for said in blocked.differences)


def test_repeated_event_id_is_answered_with_its_pins_and_short_ranking_by_another_worker() -> None:
    own = f"{NOW_MS - 60_000:012x}"
    own = f"{own[:8]}-{own[8:]}-7abc-8def-0123456789ab"
    asked = asking(offered(*"gggg"), slots=4, event_id=own)
    surface = ruled("one", replace(RULES, pins=[Pin(id="a2", slot=0)]))
    first, decision = decided(asked, surface)
    assert first.ranking[0].id == "a2"
    assert len(first.ranking) == 2
    found = logged(decision, asked)
    other = DecisionService(
        serving(UNIFORM, FIXED, replace(SURFACE, policy="order")),  # nothing is as it was
        MemoryJournal(),  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: NOW_MS,
        entropy=counting_entropy(),
        past=PastDecisions(lambda _: found, monotonic_s=lambda: 0.0),
    )
    asyncio.run(other.recall(own))
    assert other.rank(asked, b"") == first


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"slot_features": [msgspec.Raw(b"{}"), msgspec.Raw(b"[1]")]}, r"\$\.slot_features\[1\]"),
        ({"slot_features": [msgspec.Raw(b'{"x":1e39}')]}, r"\$\.slot_features\[0\]"),
        ({"pins": [Pin(id="a9", slot=0)]}, r"\$\.pins\[0\]\.id"),
        ({"pins": [Pin(id="a0", slot=4)]}, r"\$\.pins\[0\]\.slot"),
    ],
)
@pytest.mark.parametrize("policy", ["one", "each"])
def test_what_can_not_hold_is_refused_with_its_place(
    policy: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(RecordError, match=says):
        decided(asking(offered(*"abcdefghij"), slots=2, **changes), ruled(policy))


NASTY = [
    "\u202eevil",
    "\x00",
    "a\r\nb",
    "|ns x:1",
    "'); DROP--",
    "é" * 256,
    "\ud7ff😀",
    " ",
    "\\",
    "a|b",
]


def test_ids_come_out_of_the_log_byte_for_byte(store: Store) -> None:
    actions = [Action(id=id_, features=msgspec.Raw(b'{"topic":"t"}')) for id_ in NASTY]
    asked = RankRequest(
        surface="home.feed",
        unit_id="\u202e\x01unit",
        actions=actions,
        slots=3,
        exclude=["x" * 10_000, NASTY[3], "\x00" * 10_000],
        seen=["\u202e" * 10_000, NASTY[4]],
        pins=[Pin(id=NASTY[5], slot=1)],
        slot_features=[msgspec.Raw(b'{"\\u202e":"\\u0000"}')],
    )
    surface = ruled("each", replace(RULES, denied=[NASTY[6]]))
    answer, decision = decided(asked, surface)
    ClickHouseSink(store, now_ms=lambda: NOW_MS).insert(
        "decisions", "w", [Entry(1, decision)], "token"
    )
    found = Decisions(store).find(decision.event_id)
    assert [action.id for action in found.actions] == NASTY
    assert found.unit_id == "\u202e\x01unit"
    assert found.slot_features == (b'{"\\u202e":"\\u0000"}',)
    reasons = dict(zip(found.excluded, found.excluded_reasons, strict=True))
    assert reasons == {3: "request", 4: "seen", 6: "denied"}
    assert answer_of(found) == answer
    assert answer.ranking[1].id == NASTY[5]
    assert replaying(surface).replay(found).identical
    assert found.seed == seed_of(found.event_id, SALT)


@given(st.lists(st.text(min_size=1, max_size=256), min_size=1, max_size=8, unique=True))
@settings(deadline=None, max_examples=60)
def test_no_id_changes_how_many_candidates_there_are(ids: list[str]) -> None:
    ids = [id_ for id_ in ids if not any("\ud800" <= c <= "\udfff" for c in id_)] or ["a"]
    asked = asking([Action.of(id_, of=id_) for id_ in ids], slots=10)
    body = msgspec.json.encode(asked)
    asked = msgspec.json.decode(body, type=RankRequest)
    answer, decision = decided(asked, ruled("one", Rules()))
    assert sorted(one.id for one in answer.ranking) == sorted(ids)
    assert len(decision.pmf) == 4 * len(ids)


def test_types_of_the_log_survive(store: Store) -> None:
    """What is logged is what comes back: every field of a decision under rules."""
    asked = asking(
        offered(*"ggghh", tags=(0, 3)), slots=4, pins=[Pin(id="a1", slot=2)], seen=["a0"]
    )
    _, decision = decided(asked, ruled("each"))
    ClickHouseSink(store, now_ms=lambda: NOW_MS).insert(
        "decisions", "w", [Entry(1, decision)], "token"
    )
    found: LoggedDecision = Decisions(store).find(decision.event_id)
    assert found == logged(decision, asked)
