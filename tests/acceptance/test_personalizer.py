"""Microsoft's own Personalizer clients, unmodified, against `bandit api` as it is started."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from azure.ai.personalizer import PersonalizerAdministrationClient
from azure.ai.personalizer import PersonalizerClient as NewClient
from azure.cognitiveservices.personalizer import PersonalizerClient as OldClient
from azure.cognitiveservices.personalizer.models import (
    ErrorResponseException,
    RankableAction,
    RankRequest,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from msrest.authentication import CognitiveServicesCredentials

from tests.acceptance.test_api import Service

# Microsoft's libraries warn of Python's own changes, not of us.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
KEY = "any key: a service on loopback asks for none"
SURFACES = [f"news.home{n}" for n in range(8)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clickhouse_url: str) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), clickhouse_url)
    service.start()
    put: dict[str, Any] = {}
    for surface in SURFACES:
        policy = policy_of(surface)
        put[f"policies/{policy}"] = {"type": "vw", "surface": surface, "floor": 0.004}
        put[f"surfaces/{surface}"] = {"policy": policy, "max_actions": 50}
    for path, body in put.items():
        service.until("declaring", "PUT", f"/v1/{path}", 201, json=body)
    served: set[str] = set()
    while len(served) < 2:
        health = service.until("readiness", "GET", "/health/ready", 200).json()
        if health["revision"] == len(put):
            served.add(health["writer"])
    yield service
    service.client.close()
    service.stop()


@pytest.fixture(scope="module")
def fresh_surfaces() -> Iterator[str]:
    return iter(SURFACES)


@pytest.fixture
def surface(fresh_surfaces: Iterator[str]) -> str:
    """One that no other test has."""
    return next(fresh_surfaces)


def policy_of(surface: str) -> str:
    return f"{surface}.learned"


def endpoint(service: Service, surface: str) -> str:
    return f"http://127.0.0.1:{service.port}/s/{surface}"


def explained(service: Service, event_id: str) -> dict[str, Any]:
    """What the log holds of a decision."""
    path = f"/v1/decisions/{event_id}"
    found: dict[str, Any] = service.until("the log", "GET", path, 200).json()
    return found


def test_client_of_1_0_ranks_rewards_and_activates(service: Service, surface: str) -> None:
    client = OldClient(endpoint(service, surface), CognitiveServicesCredentials(KEY))
    actions = [RankableAction(id=f"a{n}", features=[{"topic": f"t{n}"}]) for n in range(4)]
    request = RankRequest(
        actions=actions,
        context_features=[{"hour": 13}, {"user": {"country": "US"}}],
        excluded_actions=["a0"],
        event_id="visit 7 of Zoë",
        defer_activation=True,
    )
    answer = client.rank(request)
    assert answer.event_id == "visit 7 of Zoë"
    assert [action.id for action in answer.ranking] == ["a0", "a1", "a2", "a3"]
    probabilities = {action.id: action.probability for action in answer.ranking}
    assert probabilities["a0"] == 0.0
    assert sum(probabilities.values()) == pytest.approx(1.0)
    assert probabilities[answer.reward_action_id] > 0.0
    client.events.activate(answer.event_id)
    client.events.reward(answer.event_id, value=0.7)

    unnamed = client.rank(RankRequest(actions=actions))
    client.events.reward(unnamed.event_id, value=1.0)
    told = explained(service, unnamed.event_id)
    assert told["surface"] == surface
    assert told["ranking"][0]["id"] == unnamed.reward_action_id

    with pytest.raises(ErrorResponseException) as refused:
        client.rank(RankRequest(actions=[]))
    assert refused.value.error.error.code == "BadRequest"
    assert refused.value.error.error.inner_error.code == "InvalidRankRequest"


def test_client_of_the_preview_fills_slots(service: Service, surface: str) -> None:
    client = NewClient(endpoint(service, surface), AzureKeyCredential(KEY))
    body = {
        "contextFeatures": [{"hour": 13}],
        "actions": [{"id": f"a{n}", "features": [{"topic": f"t{n}"}]} for n in range(5)],
        "slots": [
            {"id": "hero", "baselineAction": "a3", "features": [{"size": "big"}]},
            {"id": "side", "baselineAction": "a1", "features": [{"size": "small"}]},
        ],
        "eventId": "m-1",
        "deferActivation": False,
    }
    answer = client.rank_multi_slot(body)
    assert answer["eventId"] == "m-1"
    assert [slot["id"] for slot in answer["slots"]] == ["hero", "side"]
    assert client.rank_multi_slot(body) == answer  # whichever worker is asked
    client.activate_multi_slot("m-1")
    client.reward_multi_slot("m-1", {"reward": [{"slotId": "side", "value": 0.5}]})

    single = client.rank({"actions": body["actions"]})
    client.reward(single["eventId"], {"value": 0.5})
    client.activate(single["eventId"])
    assert single["rewardActionId"] in {action["id"] for action in single["ranking"]}

    with pytest.raises(HttpResponseError) as refused:
        client.reward_multi_slot("m-1", {"reward": [{"slotId": "foot", "value": 0.5}]})
    assert refused.value.status_code == 400


def test_event_is_rewarded_by_workers_that_never_saw_it(service: Service, surface: str) -> None:
    actions = [{"id": f"a{n}", "features": [{"topic": f"t{n}"}]} for n in range(3)]
    slots = [{"id": "hero", "baselineAction": "a0"}, {"id": "side", "baselineAction": "a1"}]
    client = NewClient(endpoint(service, surface), AzureKeyCredential(KEY))
    asked = {"actions": actions, "slots": slots, "eventId": "page 7"}
    answer = client.rank_multi_slot(asked)
    last = client.rank({"actions": actions})
    explained(service, last["eventId"])  # the journal is in order, so the slots are in the log, too
    before = service.workers().values()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    service.workers(but=before)
    client.reward_multi_slot("page 7", {"reward": [{"slotId": "side", "value": 0.5}]})
    client.activate_multi_slot("page 7")
    assert client.rank_multi_slot(asked) == answer


def test_administration_client_reads_and_changes_the_surface(
    service: Service, surface: str
) -> None:
    admin = PersonalizerAdministrationClient(endpoint(service, surface), AzureKeyCredential(KEY))
    config = admin.get_service_configuration()
    assert config["rewardWaitTime"] == "PT10M"
    assert config["explorationPercentage"] == 0.2  # 50 actions of at least 0.004 each
    assert config["learningMode"] == "Online"
    config |= {
        "rewardWaitTime": "PT1H",
        "defaultReward": 0.1,
        "rewardAggregation": "earliest",
        "explorationPercentage": 0.1,
        "learningMode": "Apprentice",
    }
    changed = admin.update_service_configuration(config)
    dated = {"lastConfigurationEditDate"}
    assert {k: v for k, v in changed.items() if k not in dated} == {
        k: v for k, v in config.items() if k not in dated
    }
    learned = policy_of(surface)
    told = service.until("the surface", "GET", f"/v1/surfaces/{surface}", 200).json()
    assert (told["policy"], told["shadows"]) == (f"{surface}.baseline", [learned])
    assert (told["join_window_s"], told["aggregation"]) == (3600.0, "first")
    policy = service.until("the policy", "GET", f"/v1/policies/{learned}", 200).json()
    assert policy["floor"] == 0.002

    assert admin.get_policy() == {"name": learned, "arguments": ""}
    settings = {"name": "news2", "arguments": "--cb_explore_adf --epsilon 0.2"}
    assert admin.update_policy(settings)["name"] == "news2"
    assert admin.reset_policy()["name"] == f"{surface}.default"
    assert admin.update_service_configuration({**changed, "learningMode": "Online"})

    assert set(admin.get_model_properties()) == {"creationTime", "lastModifiedTime"}
    assert list(admin.list_evaluations()) == []
    with pytest.raises(ResourceNotFoundError):
        admin.delete_evaluation("x")
    with pytest.raises(HttpResponseError) as refused:
        admin.reset_model()
    assert refused.value.status_code == 501
    assert refused.value.error is not None
    assert refused.value.error.code == "OperationNotAllowed"


def test_log_of_a_client_spans_its_decisions(service: Service, surface: str) -> None:
    admin = PersonalizerAdministrationClient(endpoint(service, surface), AzureKeyCredential(KEY))
    assert admin.get_log_properties()["dateRange"] is None
    client = NewClient(endpoint(service, surface), AzureKeyCredential(KEY))
    answer = client.rank({"actions": [{"id": "a", "features": []}]})
    at = explained(service, answer["eventId"])["time"].replace("+00:00", "Z")
    assert admin.get_log_properties()["dateRange"] == {"from": at, "to": at}
