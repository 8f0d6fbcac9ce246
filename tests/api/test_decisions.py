"""Logged decisions over HTTP: explained and replayed."""

from litestar import Litestar
from litestar.testing import TestClient

from bandit.records import Decision, LoggedDecision
from bandit.wire import RankRequest
from tests.api.conftest import World
from tests.bandit.service.making import logged, request


def log_one(world: World) -> LoggedDecision:
    """Decide, and put the decision into the log as a drain would."""
    asked: RankRequest = request("a", "b", "c", unit_id="user-1", slots=2)
    kept: list[Decision] = []
    append = world.journal.append
    world.journal.append = kept.append  # type: ignore[assignment, method-assign]
    world.services.deciding.rank(asked, b"")
    world.journal.append = append  # type: ignore[method-assign]
    decision = logged(kept[0], asked)
    world.link.logged[decision.event_id] = decision
    return decision


def test_decision_is_explained(client: TestClient[Litestar], world: World) -> None:
    decision = log_one(world)
    told = client.get(f"/v1/decisions/{decision.event_id}").json()
    assert told["event_id"] == decision.event_id
    assert told["experiment"] == {"key": "feed", "variant": "control"}
    assert told["actions"][0] == {
        "id": "a",
        "features": {"topic": "a"},
        "eligible": True,
        "excluded": None,
        "probability": decision.pmf[0],
    }
    assert [slot["propensity"] for slot in told["ranking"]] == list(decision.propensities)
    assert "variant 'control'" in told["because"][0]
    assert (told["surface_version"], told["rules"]["pins"]) == (1, [])


def test_explanation_says_what_was_shown_instead(
    client: TestClient[Litestar], world: World
) -> None:
    decision = log_one(world)
    world.link.overridden[decision.event_id] = {1: "billboard"}
    told = client.get(f"/v1/decisions/{decision.event_id}").json()
    assert [slot["overridden"] for slot in told["ranking"]] == [None, "billboard"]


def test_decision_replays_identically(client: TestClient[Litestar], world: World) -> None:
    decision = log_one(world)
    replay = client.get(f"/v1/decisions/{decision.event_id}/replay").json()
    assert (replay["identical"], replay["differences"]) == (True, [])
    assert replay["propensities"] == list(decision.propensities)


def test_decision_that_is_not_in_the_log_is_not_found(client: TestClient[Litestar]) -> None:
    for path in ("/v1/decisions/x", "/v1/decisions/x/replay"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.json()["detail"] == "decision 'x' is not in the log"
