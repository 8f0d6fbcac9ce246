import gc
import json
import logging
import os
import threading
import weakref
from collections.abc import Iterator
from types import MappingProxyType

import httpx
import numpy as np
import pytest

from bandit.client import Action, BanditClient, Options, Ranking
from bandit.errors import RecordError
from bandit.event_id import read_event_id, surface_tag
from bandit.service.accepting import derived_reward_id
from tests.bandit.client.serving import (
    ACTIONS,
    NOW_MS,
    Clock,
    Service,
    Trouble,
    client_of,
    problem,
)
from tests.until import until


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def client(service: Service) -> Iterator[BanditClient]:
    with client_of(service) as client:
        yield client


def ask(client: BanditClient, **more: object) -> Ranking:
    given: dict[str, object] = {"actions": ACTIONS, "default": ["a2", "a1"], "slots": 2} | more
    return client.rank("home.feed", "u-1", **given)  # type: ignore[arg-type]


def test_served_ranking_is_what_the_service_said(client: BanditClient, service: Service) -> None:
    ranking = ask(client, context={"hour": 13}, exclude=["x"])
    assert (ranking.ids, ranking.source, ranking.reason) == (("a3", "a2"), "served", "")
    assert (ranking.policy, ranking.snapshot, ranking.propensities) == ("vw", "vw@3", (0.5, 0.5))
    assert ranking.experiment is not None
    assert ranking.experiment.variant == "treatment"
    assert service.asked == [
        {
            "surface": "home.feed",
            "unit_id": "u-1",
            "event_id": ranking.event_id,
            "context": {"hour": 13},
            "actions": ACTIONS,
            "slots": 2,
            "exclude": ["x"],
        }
    ]


def test_actions_may_be_records(client: BanditClient, service: Service) -> None:
    ask(client, actions=[Action.of("a", topic="go")], default="offered order")
    assert service.asked[0]["actions"] == [{"id": "a", "features": {"topic": "go"}}]


def test_numbers_of_numpy_and_frozen_mappings_are_sent(
    client: BanditClient, service: Service
) -> None:
    context = MappingProxyType({"a": np.float32(0.5), "b": np.int64(7), "c": range(2)})
    action = MappingProxyType({"id": "a1"})
    service.troubles["/v1/rank"] = [503]
    assert ask(client, context=context, actions=[action], default="offered order").ids == ("a1",)
    assert service.asked[0]["context"] == {"a": 0.5, "b": 7, "c": [0, 1]}


def test_event_id_is_a_uuid7_of_now_with_the_tag_of_its_surface(service: Service) -> None:
    with client_of(service, ambient=Clock().ambient()) as client:
        ids = {ask(client).event_id for _ in range(50)}
    assert len(ids) == 50
    for event_id in ids:
        # Whoever takes it for an id of the project's own reads the right surface.
        assert read_event_id(event_id, b"any").ts_ms == NOW_MS
        assert int(event_id[15:18], 16) == surface_tag("home.feed")


def test_clock_that_is_off_is_corrected_by_the_services(service: Service) -> None:
    date = httpx.Response(
        200,
        json={"event_id": "e", "ranking": [{"id": "a1", "slot": 0, "propensity": 1.0}]},
        headers={"date": "Mon, 21 Sep 2026 15:00:00 GMT"},
    )
    service.troubles["/v1/rank"] = [date]
    with client_of(service, ambient=Clock().ambient()) as client:
        ask(client)
        ask(client)
    first, second = (read_event_id(asked["event_id"], b"any").ts_ms for asked in service.asked)
    assert (first, second) == (NOW_MS, 1_790_002_800_000)  # 14:13:20 → 15:00:00


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ([httpx.ConnectError("refused")] * 2, "away"),
        ([httpx.ReadError("reset")] * 2, "away"),
        ([httpx.ReadTimeout("late")], "deadline"),
        ([httpx.PoolTimeout("busy")], "deadline"),
        ([503], "busy"),
        ([429], "busy"),
        ([500], "failed"),
        ([502], "failed"),
        ([400], "refused"),
        ([404], "refused"),
        ([301], "refused"),
        ([httpx.Response(200, text="<html>log in</html>")], "unreadable"),
        ([httpx.Response(200, json={"event_id": "e", "ranking": []})], "unreadable"),
        ([httpx.Response(200, content=b"\xff\xfe")], "unreadable"),
        ([RuntimeError("a bug")], "error"),
    ],
    ids=str,
)
def test_any_trouble_gives_the_default_and_its_reason(
    client: BanditClient, service: Service, trouble: list[Trouble], reason: str
) -> None:
    service.troubles["/v1/rank"] = list(trouble)
    ranking = ask(client)
    assert (ranking.ids, ranking.source, ranking.reason) == (("a2", "a1"), "default", reason)
    assert ranking.event_id == ""
    assert client.stats().defaults == {reason: 1}
    assert ask(client).served


def test_broken_connection_is_tried_again_as_the_same_decision(
    client: BanditClient, service: Service
) -> None:
    service.troubles["/v1/rank"] = [httpx.RemoteProtocolError("closed")]
    assert ask(client).served
    first, again = service.asked
    assert first == again


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"default": "offered order"}, ("a1", "a2")),
        ({"default": "offered order", "exclude": ["a1"]}, ("a2", "a3")),
        ({"default": ["z", "a2", "a1"]}, ("z", "a2")),
        ({"default": ["z", "a2", "a1"], "exclude": ["z"], "slots": 1}, ("a2",)),
        (
            {"default": "offered order", "actions": [], "action_ids": ["c1", "c2", "c3"]},
            ("c1", "c2"),
        ),
        ({"default": ["c7"], "actions": []}, ("c7",)),
    ],
    ids=str,
)
def test_default_is_never_longer_than_asked_and_never_what_is_excluded(
    client: BanditClient, service: Service, given: dict[str, object], ids: tuple[str, ...]
) -> None:
    service.troubles["/v1/rank"] = [503]
    ranking = ask(client, **given)
    assert (ranking.ids, ranking.reason) == (ids, "busy")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"default": None}, "default is NoneType"),
        ({"default": "a1"}, "must be a list of ids or 'offered order'"),
        ({"default": []}, "default is list"),
        ({"default": "offered order", "actions": []}, "names no actions"),
        ({"slots": 0}, "slots is 0"),
        ({"slots": "3"}, "slots is '3'"),
        ({"deadline_s": -1}, "deadline_s is -1"),
        ({"context": {"x": object()}}, "type object can not be sent"),
        ({"context": {"x": "\ud800"}}, "surrogates"),
    ],
    ids=lambda given: str(given).partition(" at 0x")[0],
)
def test_bad_arguments_are_told_once_and_answered_by_a_default(
    client: BanditClient,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    given: dict[str, object],
    text: str,
) -> None:
    answers = [ask(client, **given) for _ in range(3)]
    assert {answer.reason for answer in answers} == {"arguments"}
    assert not service.asked
    [told] = [r.message for r in caplog.records if r.name == "bandit.client"]
    assert text in told
    with (
        client_of(service, options=Options(strict=True)) as strict,
        pytest.raises(RecordError, match="can not be sent"),
    ):
        ask(strict, **given)


def test_refusal_is_told_once_with_what_the_service_said(
    client: BanditClient, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    detail = {"detail": "surface 'home.feed' is not declared", "place": "$.surface"}
    service.troubles["/v1/rank"] = [problem(404, **detail) for _ in range(3)]
    for _ in range(2):
        ask(client)
    [told] = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert "404: surface 'home.feed' is not declared - at `$.surface`" in told
    with (
        client_of(service, options=Options(strict=True)) as strict,
        pytest.raises(RecordError, match="is not declared"),
    ):
        ask(strict)


def test_service_that_is_away_is_not_asked_again_until_a_probe(service: Service) -> None:
    clock = Clock()
    options = Options(breaker_failures=3, breaker_pause_s=1.0)
    service.troubles["/v1/rank"] = [503] * 4
    with client_of(service, options=options, ambient=clock.ambient()) as client:
        reasons = [ask(client).reason for _ in range(6)]
        assert reasons == ["busy"] * 3 + ["breaker"] * 3
        clock.s = 1.0
        assert [ask(client).reason for _ in range(3)] == ["busy", "breaker", "breaker"]
        clock.s = 2.0
        assert ask(client).served
        assert ask(client).served
    assert len(service.asked) == 6


def test_refusals_do_not_open_the_breaker(client: BanditClient, service: Service) -> None:
    service.troubles["/v1/rank"] = [400] * 20
    assert {ask(client).reason for _ in range(20)} == {"refused"}


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
    client = client_of(service, options=Options(linger_s=60.0))
    client.reward(ask(client), 1.0)
    threads = {t for t in threading.enumerate() if t.name == "bandit-client"}
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    assert len(service.accepted["/v1/rewards"]) == 1
    until(lambda: not any(t.is_alive() for t in threads), "the thread's end")


def test_dripping_answer_is_given_up_at_the_deadline() -> None:
    clock = Clock()

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock.s += 0.04
                yield b" "

    client = client_of(lambda _: httpx.Response(200, stream=Drip()), ambient=clock.ambient())
    assert ask(client, deadline_s=0.1).reason == "deadline"
    assert clock.s == pytest.approx(0.12)
    assert not client.warm()
    client.close()


def test_assignments_are_the_services_and_the_defaults_of_what_it_does_not_name(
    client: BanditClient, service: Service
) -> None:
    found = client.assign(
        "u", default={"button": "blue", "text": ("short", {"words": 3})}, context={"a": 1}
    )
    assert service.asked == [{"unit_id": "u", "context": {"a": 1}, "log": True}]
    assert (found.source, found.variant("button"), found.payload("button")) == (
        "served",
        "green",
        {"c": 1},
    )
    assert (found.variant("text"), found.payload("text")) == ("short", {"words": 3})
    assert found.variants["text"].reason == "not assigned"
    assert (found.variant("nobody knows"), found.payload("nobody knows")) == ("", None)
    service.troubles["/v1/assignments"] = [503]
    fallen = client.assign("u", default={"button": "blue"})
    assert (fallen.source, fallen.reason, fallen.variant("button")) == ("default", "busy", "blue")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_has_connections_queue_and_thread_of_its_own(service: Service) -> None:
    reading, writing = os.pipe()
    client = client_of(service, options=Options(linger_s=60.0))
    client.reward(ask(client), 1.0, reward_id="parent's")  # waits, and its thread runs
    child = os.fork()
    if child == 0:  # nothing may escape into the test runner of the child
        try:
            told = client.stats().waiting
            client.reward(ask(client), 1.0, reward_id="child's")
            client.flush(5.0)
            ids = [r["reward_id"] for r in service.accepted.get("/v1/rewards", [])]
            os.write(writing, json.dumps([told, ids]).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert json.loads(os.read(reading, 1000)) == [0, ["child's"]]
    os.close(reading)
    os.close(writing)
    client.close()
    assert [r["reward_id"] for r in service.accepted["/v1/rewards"]] == ["parent's"]


def test_each_phase_of_a_request_gets_what_is_left_of_the_deadline() -> None:
    clock, left = Clock(), []

    def slow(request: httpx.Request) -> httpx.Response:
        phases = request.extensions["timeout"]
        for phase in ("pool", "connect", "write", "read"):
            left.append(round(phases.get(phase), 3))
            clock.s += 0.03
        raise httpx.ReadTimeout("late", request=request)

    client = client_of(slow, ambient=clock.ambient())
    assert ask(client, deadline_s=0.1, defer=True).reason == "deadline"
    client.close()
    assert left == [0.1, 0.07, 0.04, 0.01]


def test_options_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="deadline_s is 0, must be above 0"):
        Options(deadline_s=0)
    with pytest.raises(ValueError, match="batch_n is 1001"):
        Options(batch_n=1001)
