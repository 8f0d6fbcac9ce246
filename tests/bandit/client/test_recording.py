"""What is recorded in the background: rewards, exposures, outcomes, and what a default overrode."""

import gc
import threading
import weakref

import httpx
import numpy as np
import pytest

from bandit.client import BanditClient, Options
from bandit.service.accepting import derived_reward_id
from tests.bandit.client.serving import (
    Service,
    Trouble,
    ask,
    client_of,
)
from tests.until import until


def test_rewards_arrive_once_and_name_their_surface(client: BanditClient, service: Service) -> None:
    service.troubles["/v1/rewards"] = [503, httpx.ReadError("reset"), 502]
    ranking = ask(client)
    client.reward(ranking, 1.0, slot=1, name="click")
    assert client.flush(5.0)
    assert service.accepted["/v1/rewards"] == [
        {
            "event_id": ranking.event_id,
            "value": 1.0,
            "slot": 1,
            "name": "click",
            "reward_id": derived_reward_id(ranking.event_id, "click", 1),
            "surface": "home.feed",
        }
    ]
    stats = client.stats()
    assert (stats.queued, stats.delivered, stats.waiting, stats.retries) == (1, 1, 0, 3)


def test_reward_may_name_the_event_id_alone(client: BanditClient, service: Service) -> None:
    event_id = ask(client).event_id
    client.reward(event_id, 0.5, surface="home.feed", reward_id="r-1")
    client.flush(5.0)
    [reward] = service.accepted["/v1/rewards"]
    assert (reward["event_id"], reward["surface"], reward["reward_id"]) == (
        event_id,
        "home.feed",
        "r-1",
    )


def test_nothing_is_sent_for_what_a_default_earned(client: BanditClient, service: Service) -> None:
    service.troubles["/v1/rank"] = [httpx.ConnectError("refused")] * 2
    ranking = ask(client)
    client.reward(ranking, 1.0)
    client.reward(ranking.event_id, 1.0)
    client.exposed(ranking)
    client.overridden(ranking, 0, "x")
    client.flush(5.0)
    assert service.posts == ["/v1/rank"] * 2
    assert client.stats().withheld == 4


def test_exposures_and_outcomes_are_sent(client: BanditClient, service: Service) -> None:
    ranking = ask(client)
    client.exposed(ranking)
    client.exposed(ranking, [1])
    client.overridden(ranking, 0, "ad-7")
    client.outcome("u-1", "revenue", 9.5)
    client.outcome("u-1", "revenue", 9.5)
    client.outcome("u-1", "revenue", 9.5, outcome_id="order-7")
    client.flush(5.0)
    assert [(e.get("slots"), e.get("overridden")) for e in service.accepted["/v1/exposures"]] == [
        ([0, 1], None),
        ([1], None),
        (None, [{"slot": 0, "id": "ad-7"}]),
    ]
    ids = [o["outcome_id"] for o in service.accepted["/v1/outcomes"]]
    assert len(set(ids)) == 3
    assert ids[2] == "order-7"


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (httpx.ReadTimeout("late"), True),
        (httpx.Response(200, text="half an ans"), True),
        (500, True),
        (503, False),
        (400, False),
        (httpx.ConnectTimeout("late"), False),
    ],
    ids=str,
)
def test_default_shown_over_a_decision_is_told_as_an_override(
    client: BanditClient, service: Service, trouble: Trouble, told: bool
) -> None:
    service.troubles["/v1/rank"] = [trouble]
    ask(client, slots=3)
    client.flush(5.0)
    expected = {
        "event_id": service.asked[0]["event_id"],
        "surface": "home.feed",
        "overridden": [
            {"slot": 0, "id": "a2"},
            {"slot": 1, "id": "a1"},
            {"slot": 2, "id": "-"},
        ],
    }
    assert service.accepted.get("/v1/exposures", []) == [expected] * told
    assert client.stats().overrides == told


def test_deferred_decision_that_came_too_late_needs_no_override(
    client: BanditClient, service: Service
) -> None:
    service.troubles["/v1/rank"] = [httpx.ReadTimeout("late")]
    ask(client, defer=True)
    client.flush(5.0)
    assert not service.accepted


def test_reward_may_be_a_number_of_numpy(client: BanditClient, service: Service) -> None:
    client.reward(ask(client), np.float32(0.5), slot=np.int64(1))  # type: ignore[arg-type]
    client.flush(5.0)
    [reward] = service.accepted["/v1/rewards"]
    assert (reward["value"], reward["slot"]) == (0.5, 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e16, "1", None], ids=str)
def test_record_that_could_spoil_its_batch_is_not_queued(
    client: BanditClient, service: Service, value: float
) -> None:
    ranking = ask(client)
    client.reward(ranking, value)
    client.reward(ranking, 1.0, name="click")
    client.outcome("u", "revenue", value)
    client.flush(5.0)
    assert [r["name"] for r in service.accepted["/v1/rewards"]] == ["click"]
    assert client.stats().bad_records == 2


def test_many_records_go_in_few_requests(client: BanditClient, service: Service) -> None:
    ranking = ask(client)
    for number in range(2500):
        client.reward(ranking, 1.0, reward_id=f"r-{number}")
    assert client.flush(10.0)
    ids = [r["reward_id"] for r in service.accepted["/v1/rewards"]]
    assert ids == [f"r-{number}" for number in range(2500)]
    assert service.posts.count("/v1/rewards") < 250


def test_every_record_is_counted_somewhere(service: Service) -> None:
    options = Options(queue_n=5, linger_s=60.0, flush_s=0.01, pause_s=0.001, pause_most_s=0.001)
    service.troubles["/v1/rewards"] = [503] * 1_000_000
    with client_of(service, options=options) as client:
        ranking = ask(client)
        for number in range(12):
            client.reward(ranking, 1.0, reward_id=str(number))
        before = client.stats()
    assert (before.queued, before.dropped, before.waiting) == (12, 7, 5)
    client.reward(ranking, 1.0)
    after = client.stats()
    assert (after.queued, after.dropped, after.lost, after.waiting) == (13, 7, 6, 0)


def test_close_delivers_what_is_queued_and_answers_by_defaults_from_then_on(
    service: Service,
) -> None:
    client = client_of(service, options=Options(linger_s=60.0))
    client.reward(ask(client), 1.0)
    client.close()
    client.close()
    assert len(service.accepted["/v1/rewards"]) == 1
    assert ask(client).reason == "closed"


def test_forgotten_client_delivers_and_leaves_no_thread(service: Service) -> None:
    others = set(threading.enumerate())  # clients of other tests may be alive
    client = client_of(service, options=Options(linger_s=60.0))
    client.reward(ask(client), 1.0)
    threads = {t for t in threading.enumerate() if t.name == "bandit-client"} - others
    assert threads
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    assert len(service.accepted["/v1/rewards"]) == 1
    until(lambda: not any(t.is_alive() for t in threads), "the thread's end")
