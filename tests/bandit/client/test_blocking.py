import json
import logging
import os
from collections.abc import Iterator
from types import MappingProxyType

import httpx
import numpy as np
import pytest

from bandit.client import Action, BanditClient, Options
from bandit.errors import RecordError
from bandit.event_id import read_event_id, surface_tag
from tests.bandit.client.serving import (
    ACTIONS,
    NOW_MS,
    Clock,
    Service,
    Trouble,
    ask,
    client_of,
    problem,
)


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
