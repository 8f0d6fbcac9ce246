"""Eligibility: who may be drawn, and the reason of every other."""

import pytest
from msgspec.structs import replace

from bandit.errors import RecordError
from bandit.service.eligibility import DenyLists, eligible
from bandit.specs import Rules
from bandit.wire import RankRequest
from tests.bandit.service.making import request


def asked(*ids: str, exclude: tuple[str, ...] = (), seen: tuple[str, ...] = ()) -> RankRequest:
    return replace(request(*ids, exclude=exclude), seen=list(seen))


def test_every_action_is_eligible_where_no_rule_names_one() -> None:
    given = asked("a", "b", exclude=("x",), seen=("y",))
    assert eligible(given, {"z"}, given.actions) == (None, {})


def test_each_excluded_action_has_the_first_reason_that_holds() -> None:
    given = asked(*"abcdef", exclude=("a", "b", "x"), seen=("a", "c", "d"))
    assert eligible(given, {"b", "c"}, given.actions) == (
        [4, 5],
        {"request": (0, 1), "denied": (2,), "seen": (3,)},
    )


def test_seen_actions_come_back_where_nothing_else_is_left() -> None:
    given = asked("a", "b", "c", exclude=("c",), seen=("a", "b"))
    assert eligible(given, (), given.actions) == ([0, 1], {"request": (2,)})


@pytest.mark.parametrize(
    ("exclude", "denied", "says"),
    [
        (("a", "b"), (), r"2 by the request's exclude\).*at `\$\.exclude`"),
        (("a",), ("b",), r"1 by the request's exclude and 1 by rules\.denied of surface 'home"),
        ((), ("a", "b"), r"2 by rules\.denied of surface 'home\.feed'\).*at `\$\.actions`"),
    ],
)
def test_a_request_that_leaves_nothing_is_refused_with_the_rule_that_did_it(
    exclude: tuple[str, ...], denied: tuple[str, ...], says: str
) -> None:
    given = asked("a", "b", exclude=exclude, seen=("a", "b"))
    with pytest.raises(RecordError, match=says):
        eligible(given, denied, given.actions)


def test_a_deny_list_is_made_a_set_once_and_anew_when_the_rules_change() -> None:
    lists, rules = DenyLists(), Rules(denied=["a"])
    first = lists.of("home", rules)
    assert lists.of("home", rules) is first
    assert lists.of("home", Rules(denied=["b"])) == {"b"}
    assert lists.of("home", Rules()) == ()
