"""What a surface may not know: gone before anything looks, and gone from the log."""

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import BadSpec, RecordError
from bandit.records import Action, Decision
from bandit.service.assigning import AssigningService
from bandit.service.deciding import DecisionService
from bandit.service.declared import Declared
from bandit.service.defining import check
from bandit.service.repeats import PastDecisions
from bandit.service.replaying import ReplayService
from bandit.service.withholding import Withholding, withholding
from bandit.specs import AnySpec, ContextRule, Experiment, PolicySpec, Surface, Variant
from bandit.wire import AssignmentRequest, RankRequest
from tests.bandit.service.making import (
    FIXED,
    NOW_MS,
    SALT,
    UNIFORM,
    MemoryDefinitions,
    MemoryJournal,
    MemorySnapshots,
    counting_entropy,
    defined,
    logged,
    serving,
)

KEEP, DROP, HASH = (ContextRule(rule=rule) for rule in ("keep", "drop", "hash"))
AGE = ContextRule(rule="bucket", edges=[18, 25.5, 65])


def surface(unnamed: str = "keep", **rules: ContextRule) -> Surface:
    named = {name.replace("__", "."): rule for name, rule in rules.items()}
    return Surface(key="home.feed", policy="random", context=named, context_unnamed=unnamed)  # type: ignore[arg-type]


def left(spec: Surface, context: Any, salt: bytes = SALT) -> Any:
    raw = context if isinstance(context, bytes) else json.dumps(context).encode()
    return json.loads(Withholding(spec).context(raw, salt))


@pytest.mark.parametrize(
    ("spec", "context", "expected"),
    [
        (surface(mail=DROP), {"mail": "a@b.c", "hour": 9}, {"hour": 9}),
        (surface("drop", hour=KEEP), {"mail": "a@b.c", "hour": 9}, {"hour": 9}),
        (surface(home=DROP), {"home": {"city": "Rome"}, "homes": 2}, {"homes": 2}),
        (surface(home__city=DROP), {"home": {"city": "Rome", "n": 2}}, {"home": {"n": 2}}),
        (surface(home=DROP, home__n=KEEP), {"home": {"city": "Rome", "n": 2}}, {"home": {"n": 2}}),
        (surface("drop", home__n=KEEP), {"home": {"city": "Rome", "n": 2}}, {"home": {"n": 2}}),
        # Features know no difference between these two, so rules know none either.
        (surface(home=DROP), {"home.city": "Rome", "n": 1}, {"n": 1}),
        (surface(home__city=DROP), {"home.city": "Rome", "n": 1}, {"n": 1}),
        (surface(tags=DROP), {"tags": ["a", "b"], "n": 1}, {"n": 1}),
        (surface("drop"), {"a": 1, "b": {"c": 2}, "d": [3]}, {}),
        (surface(mail=DROP), b'{"mail": "a@b.c", "n": 1, "mail": "d@e.f"}', {"n": 1}),
    ],
)
def test_what_is_dropped_is_gone(spec: Surface, context: Any, expected: Any) -> None:
    assert left(spec, context) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (17.9, "(-inf,18)"),
        (18, "[18,25.5)"),
        (25.5, "[25.5,65)"),
        (65, "[65,inf)"),
        (-1e300, "(-inf,18)"),
        (10**30, "[65,inf)"),
        ([17, 70, "seventy"], ["(-inf,18)", "[65,inf)"]),
    ],
)
def test_numbers_in_buckets_are_the_interval_they_are_in(value: Any, expected: Any) -> None:
    assert left(surface(age=AGE), {"age": value}) == {"age": expected}


@pytest.mark.parametrize("value", ["31", True, None, "secret"])
def test_what_is_no_number_is_not_left_in_a_bucket(value: Any) -> None:
    assert left(surface(age=AGE), {"age": value}) in ({}, {"age": None})


def test_hashes_are_short_stable_and_keyed() -> None:
    spec = surface(mail=HASH, user=HASH)
    once = left(spec, {"mail": "a@b.c", "user": {"id": 7, "zip": 7.0}, "tags": ["x"]})
    by_hand = hashlib.blake2b(b'mail\0"a@b.c"', digest_size=8, key=SALT, person=b"context")
    assert once["mail"] == by_hand.hexdigest()
    assert left(spec, {"mail": "a@b.c"})["mail"] == once["mail"]
    assert left(spec, {"mail": "a@b.d"})["mail"] != once["mail"]
    assert left(spec, {"mail": "a@b.c"}, salt=b"other")["mail"] != once["mail"]
    assert once["user"]["id"] != once["user"]["zip"]  # one value of two members is two texts
    assert left(spec, {"user": {"id": 7.0}})["user"]["id"] == once["user"]["id"]
    assert left(spec, {"user": {"id": "7"}})["user"]["id"] != once["user"]["id"]
    big = [left(spec, {"user": {"id": n}})["user"]["id"] for n in (2**60, 2**60 + 1, 10**40)]
    assert len(set(big)) == 3


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "a.b", "secret", "secret.x"]),
        st.recursive(
            st.just("SECRET") | st.just(123456789),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["x", "secret"]), inner, max_size=2)
            ),
            max_leaves=4,
        ),
    ),
    st.sampled_from([HASH, DROP, AGE]),
)
def test_no_value_passes_a_rule_that_withholds_it(context: dict[str, Any], rule: Any) -> None:
    spec = surface("drop", a=rule, secret=rule)
    try:
        text = Withholding(spec).context(json.dumps(context).encode(), SALT)
    except RecordError as exc:
        text = str(exc).encode()
    assert b"SECRET" not in text
    assert b"123456789" not in text


@pytest.mark.parametrize(
    "context",
    [
        b'["secret-1"]',
        b'"secret-1"',
        b'{"a": secret-1}',
        b'{"a": "secret-1\xff"}',
        b'{"a":{"b":{"c":{"d":{"secret-1":1}}}}}',
        b'{"a":' * 5_000 + b'"secret-1"' + b"}" * 5_000,
        b'{"a":' + b"[" * 5_000 + b'"secret-1"' + b"]" * 5_000 + b"}",
        b'{"a": 1e999}',
    ],
)
def test_a_context_that_can_not_be_read_is_refused_without_quoting_it(context: bytes) -> None:
    for spec in (surface(a=HASH), surface("drop"), surface(b=DROP)):
        with pytest.raises(RecordError, match=r"context .*`\$\.context`") as refused:
            Withholding(spec).context(context, SALT)
        assert "secret" not in str(refused.value)
        assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"rule": "bucket"}, "must have at least one"),
        ({"rule": "drop", "edges": [1]}, "and none for others"),
        ({"rule": "bucket", "edges": [2, 2]}, "must ascend"),
        ({"rule": "mask"}, "Invalid enum value 'mask'"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert({"key": "s", "policy": "p", "context": {"a": rule}}, Surface)


def test_where_everything_is_kept_nobody_looks() -> None:
    assert withholding(surface()) is None
    assert withholding(surface(a=KEEP)) is None
    assert serving(UNIFORM, surface()).state.surface("home.feed").withholding is None


TARGETED = Experiment(
    key="grown-ups",
    surface="home.feed",
    salt="grown-ups",
    status="running",
    control="control",
    targeting='context.age == "[25.5,65)"',
    variants=[
        Variant(key="control", policy="random", allocation=[(0, 5000)]),
        Variant(key="treatment", policy="order", allocation=[(5000, 10000)]),
    ],
)
CLEAR = Experiment(
    key="payloads",
    salt="payloads",
    status="running",
    control="control",
    targeting='context.mail == "a@b.c"',
    variants=[
        Variant(key="control", allocation=[(0, 5000)]),
        Variant(key="treatment", allocation=[(5000, 10000)]),
    ],
)
PRIVATE = surface("drop", age=AGE, mail=HASH)
LEARNED = PolicySpec(key="shadow", type="linear", surface="home.feed", floor=0.01)
CONTEXT = {"age": 31, "mail": "a@b.c", "phone": "555-0199"}


def rank(*specs: AnySpec, context: Any = CONTEXT) -> tuple[Decision, RankRequest]:
    journal = MemoryJournal()
    service = DecisionService(
        serving(UNIFORM, FIXED, *specs),
        journal,  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: NOW_MS,
        entropy=counting_entropy(),
        past=PastDecisions(lambda _: pytest.fail("asked"), monotonic_s=lambda: 0.0),
    )
    body = msgspec.json.encode(
        {
            "surface": "home.feed",
            "unit_id": "user-1",
            "context": context,
            "actions": [Action.of("a", x=1), Action.of("b", x=2)],
            "slots": 2,
            "exclude": ["c"],
        }
    )
    service.rank(msgspec.json.decode(body, type=RankRequest), body)
    (decision,) = journal.records
    assert isinstance(decision, Decision)
    return decision, msgspec.json.decode(decision.request, type=RankRequest)


def test_the_log_holds_what_was_used_and_nothing_of_what_was_withheld() -> None:
    shadowed = msgspec.structs.replace(PRIVATE, shadows=["shadow"])
    decision, asked = rank(LEARNED, shadowed)
    journaled = msgspec.msgpack.encode(decision)
    for secret in (b"a@b.c", b"555-0199", b"31,", b"phone"):
        assert secret not in journaled
    assert json.loads(bytes(asked.context)) == left(PRIVATE, CONTEXT)
    assert (asked.slots, asked.exclude, len(asked.actions)) == (2, ["c"], 2)
    assert "shadow" in decision.shadows


def test_policies_never_see_what_would_have_been_refused() -> None:
    decision, _ = rank(PRIVATE, context={"age": 31, "phone": [{"no": "feature"}]})
    assert decision.policy == "random"


def test_targeting_sees_the_same_as_the_log_so_a_replay_is_identical() -> None:
    decision, asked = rank(PRIVATE, TARGETED)
    assert decision.experiment == "grown-ups"
    definitions = MemoryDefinitions(UNIFORM, FIXED, PRIVATE, TARGETED)
    replays = ReplayService(
        lambda: definitions,  # type: ignore[arg-type, return-value]
        lambda: MemorySnapshots(),  # type: ignore[arg-type, return-value]
        salt=SALT,
    )
    assert replays.replay(logged(decision, asked)).differences == ()


def test_assignments_see_what_decisions_see_and_payloads_see_all() -> None:
    assigning = AssigningService(
        serving(UNIFORM, FIXED, PRIVATE, TARGETED, CLEAR),
        MemoryJournal(),  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: NOW_MS,
    )
    asked = AssignmentRequest(unit_id="user-1", context=msgspec.Raw(json.dumps(CONTEXT).encode()))
    told = {one.key: one.variant for one in assigning.assign(asked).assignments}
    assert told.keys() == {"grown-ups", "payloads"}
    assert told["grown-ups"] == rank(PRIVATE, TARGETED)[0].variant


def test_a_killed_surface_withholds_too() -> None:
    decision, _ = rank(msgspec.structs.replace(PRIVATE, killed=True))
    assert decision.policy == "kill-switch"
    assert b"555-0199" not in decision.request


def test_what_targeting_looks_at_stays_while_an_experiment_runs() -> None:
    known = Declared(defined(UNIFORM, FIXED, PRIVATE, TARGETED))
    with pytest.raises(BadSpec, match="experiment 'grown-ups' with targeting runs"):
        check(msgspec.structs.replace(PRIVATE, context_unnamed="keep"), known)
    check(msgspec.structs.replace(PRIVATE, description="as it was"), known)
