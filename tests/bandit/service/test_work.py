"""How much one request may have policies look at."""

import msgspec
import pytest

from bandit.errors import RecordError
from bandit.policies.interactions import Interaction, interactions_of
from bandit.records import Action
from bandit.service.work import check_work
from bandit.specs import Part, PolicySpec
from bandit.wire import RankRequest

UA = Interaction(1, 1, 0, by_slot=False)


def spec(arguments: str = "", slot_model: str = "shared") -> PolicySpec:
    return PolicySpec(
        key="p",
        type="vw",
        surface="s",
        arguments=arguments,
        slot_model=slot_model,  # type: ignore[arg-type]
    )


def asked(context_n: int, actions_n: int, features_n: int) -> RankRequest:
    features = {f"f{n}": 1 for n in range(features_n)}
    return RankRequest(
        surface="s",
        unit_id="u",
        context=msgspec.Raw(msgspec.json.encode({f"c{n}": 1 for n in range(context_n)})),
        actions=[Action.of(f"a{n}", **features) for n in range(actions_n)],
    )


def check(request: RankRequest, most: int, *interactions: Interaction) -> None:
    body = msgspec.json.encode(request)
    check_work(interactions or [UA], request, request.actions, 1 + len(body) // 2, most)


def test_interactions_are_those_of_the_arguments() -> None:
    assert interactions_of(spec()) == {UA}
    assert interactions_of(spec("--cubic UUA --interactions AAAA")) == {
        Interaction(2, 1, 0, by_slot=False),
        Interaction(0, 4, 0, by_slot=False),
    }
    assert interactions_of(spec(slot_model="ccb")) == {
        Interaction(1, 1, 0, by_slot=True),
        Interaction(0, 1, 1, by_slot=True),
    }
    parts = [Part(weight=0.5, type="vw"), Part(weight=0.5, type="uniform")]
    assert interactions_of(PolicySpec(key="m", type="mixture", surface="s", parts=parts)) == {UA}
    assert interactions_of(PolicySpec(key="r", type="uniform")) == frozenset()


def test_request_may_have_as_many_products_as_it_may() -> None:
    check(asked(10, 5, 3), 10 * 5 * (3 + 1))  # each action's id is a feature too
    with pytest.raises(RecordError, match=r"200 products .* must be at most 199 - at `\$\.actions"):
        check(asked(10, 5, 3), 199)


def test_features_that_interact_with_themselves_count_by_action() -> None:
    cubic = Interaction(1, 2, 0, by_slot=False)
    check(asked(10, 5, 3), 10 * 5 * 4**2, cubic)
    with pytest.raises(RecordError, match="800 products"):
        check(asked(10, 5, 3), 799, cubic)


def test_slots_count_where_each_is_asked_for_anew() -> None:
    request = msgspec.structs.replace(asked(10, 5, 3), slots=4)
    by_slot = Interaction(1, 1, 0, by_slot=True)
    with pytest.raises(RecordError, match="800 products"):
        check(request, 799, by_slot)
    check(request, 799, UA)


def test_arrays_hold_two_bytes_a_feature() -> None:
    """The bound by bytes must never be below what is there."""
    dense = msgspec.Raw(b'{"a":[' + b",".join([b"1"] * 999) + b"]}")
    request = RankRequest(
        surface="s", unit_id="u", context=dense, actions=[Action(id="a", features=dense)]
    )
    with pytest.raises(RecordError, match="999000 products"):
        check(request, 998_999)
    check(request, 999_000)
