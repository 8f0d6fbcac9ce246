"""Whatever an application passes: an answer, and nothing raised."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.client import AsyncBanditClient, BanditClient, Ranking
from tests.bandit.client.serving import QUICK, Service, async_client_of, client_of

plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)  # lone surrogates too
    | st.binary(max_size=8)
    | st.sampled_from([object(), object, ..., {1, 2}, range(3), Ranking(ids=(), source="default")])
)
rubbish = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = ["default", "context", "actions", "action_ids", "slots", "slot_features", "exclude"]
FIELDS += ["seen", "pins", "defer", "event_id", "deadline_s"]
asked = st.fixed_dictionaries(
    {"default": rubbish}, optional={field: rubbish for field in FIELDS if field != "default"}
)


@pytest.fixture(scope="module")
def client() -> Iterator[BanditClient]:
    with client_of(Service()) as client:
        yield client


@given(surface=rubbish, unit_id=rubbish, asked=asked)
@settings(deadline=None, max_examples=300)
def test_any_question_is_answered(
    client: BanditClient, surface: Any, unit_id: Any, asked: dict[str, Any]
) -> None:
    ranking = client.rank(surface, unit_id, **asked)
    assert all(isinstance(id_, str) for id_ in ranking.ids)
    assert ranking.served or ranking.reason


@given(unit_id=rubbish, default=rubbish, experiments=rubbish, context=rubbish, log=rubbish)
@settings(deadline=None, max_examples=150)
def test_any_assignment_is_answered(client: BanditClient, **asked: Any) -> None:
    found = client.assign(asked.pop("unit_id"), **asked)
    assert found.source == "served" or found.reason
    assert all(isinstance(given.variant, str) for given in found.variants.values())


@given(answer=rubbish, value=rubbish, slot=rubbish, name=rubbish, key=rubbish, surface=rubbish)
@settings(deadline=None, max_examples=300)
def test_any_record_is_queued_or_counted(client: BanditClient, **told: Any) -> None:
    answer, surface, slot = told["answer"], told["surface"], told["slot"]
    before, calls = client.stats(), 4
    client.reward(
        answer, told["value"], slot=slot, name=told["name"], reward_id=told["key"], surface=surface
    )
    client.exposed(answer, slot, surface=surface)
    client.overridden(answer, slot, told["key"], surface=surface)
    client.outcome(answer, told["name"], told["value"], outcome_id=told["key"])
    after = client.stats()
    taken = after.queued + after.withheld + after.bad_records
    assert taken - before.queued - before.withheld - before.bad_records == calls


@given(surface=rubbish, unit_id=rubbish, asked=asked)
@settings(deadline=None, max_examples=100)
def test_any_question_of_the_asynchronous_client_is_answered(
    surface: Any, unit_id: Any, asked: dict[str, Any]
) -> None:
    async def ask() -> Ranking:
        client: AsyncBanditClient = async_client_of(Service(), options=QUICK)
        ranking = await client.rank(surface, unit_id, **asked)
        await client.aclose()
        return ranking

    ranking = asyncio.run(ask())
    assert ranking.served or ranking.reason
