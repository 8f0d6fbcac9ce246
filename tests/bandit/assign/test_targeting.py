"""Targeting: what an expression means, what is refused, and that none can run away."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.assign import Facts, Targeting
from bandit.errors import BadSpec

PARTS = re.findall(
    r"\S+",
    "context unit_id .a .b [0] ['x'] ( ) ! - + * / % == != < <= && || ? : in has( size( .all(x, "
    ".exists(x, .contains( int( uint( double( string( 'a' '' \"é\" 0 1 -9223372036854775808 1.5 "
    "1e308 18446744073709551615u true false null [ ] { } , x // \\",
)
DEEP = b'{"a":' * 900 + b"1" + b"}" * 900


@pytest.mark.parametrize(
    ("expression", "context"),
    [
        ("true", {}),
        ("context.country == 'US' && context.age >= 18", {"country": "US", "age": 20}),
        ("context.country in ['US', 'CA']", {"country": "CA"}),
        ("'go' in context.tags", {"tags": ["go", "chess"]}),
        ("!has(context.country) || context.country != 'US'", {}),
        ("has(context.country) ? context.country == 'US' : true", {}),
        ("context.user.plan == 'pro'", {"user": {"plan": "pro"}}),
        ("context['first name'] == 'Zoë'", {"first name": "Zoë"}),
        ("unit_id.startsWith('u-') && !unit_id.contains(' ')", {}),
        ("context.tags.exists(tag, tag.endsWith('o'))", {"tags": ["chess", "go"]}),
        ("context.scores.all(score, score > 0.5)", {"scores": [1, 0.75]}),
        ("context.age > 17.5 && context.age < 19", {"age": 18}),
        ("size(context.tags) == 2 && double(context.n) == 2.0", {"tags": [1, 2], "n": "2"}),
        ("context.text == 'map(x) and // no comment'", {"text": "map(x) and // no comment"}),
        ("context.a == 1 // filter(x)", {"a": 1}),
        ("context.map == 1", {"map": 1}),
        ("context.l.exists(x, (x == 1)) && (context.a == 1)", {"l": [1], "a": 1}),
    ],
)
def test_targeting_holds(expression: str, context: dict[str, object]) -> None:
    assert Targeting(expression).holds(Facts("u-1", json.dumps(context).encode()))


@pytest.mark.parametrize(
    ("expression", "context"),
    [
        ("false", b"{}"),
        ("context.age >= 18", b"{}"),  # a member that is not there
        ("context.user.age >= 18", b'{"user":null}'),
        ("context.age >= 18", b'{"age":"20"}'),  # another type
        ("context.age", b'{"age":1}'),  # 1 is not true
        ("context.country", b'{"country":"US"}'),
        ("1 / context.n == 1", b'{"n":0}'),
        ("9223372036854775807 + context.n > 0", b'{"n":1}'),
        ("context.n > 0 || true", b'{"n":1'),  # no JSON
        ("context.a == 1", DEEP),
        ("true", b"[" * 100_000),
    ],
)
def test_what_can_not_be_told_to_hold_does_not(expression: str, context: bytes) -> None:
    assert not Targeting(expression).holds(Facts("u-1", context))


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "line 1, column 1"),
        ("context.age >", "line 1, column 14"),
        ("true &&\n  ) ", "line 2, column 3"),
        ("country == 'US'", r"names \['country'\], must name only context and unit_id"),
        ("context.age > limit && context.tags.exists(x, x == y)", r"names \['limit', 'x', 'y'\]"),
        ("unit_id.matches('^(a+)+$')", "calls 'matches', must call one of"),
        ("context.l.map(x, x).size() > 0", "calls 'map'"),
        ("context.l.filter(x, x).size() > 0", "calls 'filter'"),
        ("context.l.map // sly\n (x, x).size() > 0", "calls 'map'"),
        ("context.l . filter (x, x).size() > 0", "calls 'filter'"),
        ("context.l.exists(x, context.l.exists(y, x == y))", "must have at most one"),
        ("context.l.all(x, (x + 1) in context.l)", "names context inside one of"),
        ("now() > 1", "calls 'now'"),
        (r"r'\' == context.l.map(x, x)[0] || '\\'=='\\'", "raw, bytes or triple-quoted"),
        ("b'a' == b'a'", "raw, bytes or triple-quoted"),
        ("'''a''' == 'a'", "raw, bytes or triple-quoted"),
        ("(" * 1000 + "true" + ")" * 1000, "must be a CEL expression"),
    ],
)
def test_expression_that_could_not_be_trusted_is_refused(expression: str, says: str) -> None:
    with pytest.raises(BadSpec, match=says) as refused:
        Targeting(expression)
    assert str(refused.value).endswith(" - at `$.targeting`")
    assert len(str(refused.value)) < 400


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(PARTS),
        max_size=25,
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abx"), inner),
    ),
)
def test_whatever_is_declared_and_sent_gives_yes_or_no_or_a_reason(
    parts: list[str], context: object
) -> None:
    try:
        targeting = Targeting(" ".join(parts))
    except BadSpec:
        return
    assert targeting.holds(Facts("u", json.dumps({"a": context}).encode())) in (True, False)


def test_context_is_read_when_asked_first_and_only_once() -> None:
    facts = Facts("u", b'{"n":1}')
    assert facts.facts() is facts.facts()
    assert all(Targeting(f"context.n == {n}").holds(facts) is (n == 1) for n in range(3))


def test_a_macro_over_all_that_a_body_can_hold_comes_to_an_end() -> None:
    # In proportion to its length, some 0.3 s; the square of it would take an hour.
    half_a_million = b'{"l":[' + b"1," * 500_000 + b"1]}"
    targeting = Targeting("context.l.all(x, x + 1 > 0 && string(x) != '2')")
    assert targeting.holds(Facts("u", half_a_million))
