"""Replays: identical when nothing changed, and what differs is named."""

import re
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from bandit.errors import NotDeclared, NotFound, SnapshotCorrupt
from bandit.policies import build
from bandit.policies.base import Policy
from bandit.records import Decision, LoggedDecision
from bandit.service.deciding import DecisionService
from bandit.service.repeats import PastDecisions
from bandit.service.replaying import Replay, ReplayService
from tests.bandit.service.making import (
    EXPERIMENT,
    FIXED,
    NOW_MS,
    SALT,
    SURFACE,
    UNIFORM,
    MemoryDefinitions,
    MemoryJournal,
    MemorySnapshots,
    counting_entropy,
    logged,
    request,
    serving,
)

DECLARED = (UNIFORM, FIXED, SURFACE, EXPERIMENT)


def decided(unit_id: str = "user-1") -> LoggedDecision:
    journal = MemoryJournal()
    service = DecisionService(
        serving(*DECLARED),
        journal,  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: NOW_MS,
        entropy=counting_entropy(),
        past=PastDecisions(lambda _: pytest.fail("asked"), monotonic_s=lambda: 0.0),
    )
    asked = request("a", "b", "c", "d", unit_id=unit_id, slots=3, exclude=["b"])
    service.rank(asked, b"")
    (decision,) = journal.records
    assert isinstance(decision, Decision)
    return logged(decision, asked)


def service(
    definitions: MemoryDefinitions | None = None,
    salt: bytes = SALT,
    retrain: Callable[[str, int], Policy] | None = None,
) -> ReplayService:
    definitions = definitions or MemoryDefinitions(*DECLARED)
    snapshots = MemorySnapshots()
    return ReplayService(
        lambda: definitions,  # type: ignore[arg-type, return-value]
        lambda: snapshots,  # type: ignore[arg-type, return-value]
        salt=salt,
        retrain=retrain,
    )


@pytest.mark.parametrize("unit_id", ["user-0", "user-1", "user-2"])
def test_decision_comes_out_identical(unit_id: str) -> None:
    decision = decided(unit_id)
    replay = service().replay(decision)
    assert replay.identical
    assert replay.differences == ()
    assert (replay.pmf, replay.ranking) == (decision.pmf, decision.ranking)
    assert replay.propensities == decision.propensities


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 1}, "seed was 1, comes out as"),
        ({"variant": "treatment"}, "variant was 'treatment', comes out as 'control'"),
        ({"propensities": (0.5, 0.5, 1.0)}, r"propensities\[0\] was 0.5, comes out as 0.333"),
        ({"ranking": (3, 2)}, "ranking"),
        ({"pmf": (0.1, 0.0, 0.45, 0.45)}, r"pmf\[0\] was 0.1"),
    ],
)
def test_what_differs_is_named(changes: dict[str, object], says: str) -> None:
    replay = service().replay(replace(decided(), **changes))
    assert not replay.identical
    assert any(re.search(says, difference) for difference in replay.differences)


def test_another_salt_gives_another_seed() -> None:
    replay = service(salt=b"other").replay(decided())
    assert replay.differences[0].startswith("seed was")


def test_experiment_version_that_decided_is_the_one_that_is_asked() -> None:
    definitions = MemoryDefinitions(*DECLARED)
    definitions.put(
        replace(EXPERIMENT, status="stopped"), expected=1, author="", change_id="", now_ms=0
    )
    assert service(definitions).replay(decided()).identical


def test_policy_that_is_gone_is_said() -> None:
    with pytest.raises(NotDeclared, match="policy 'random' is not declared"):
        service(MemoryDefinitions()).replay(decided())


def test_weights_that_are_not_kept_are_asked_for_once() -> None:
    asked: list[tuple[str, int]] = []

    def retrain(policy: str, number: int) -> Policy:
        asked.append((policy, number))
        return build(UNIFORM)

    replays = service(retrain=retrain)
    decisions = [replace(decided(f"user-{n}"), snapshot=7) for n in (0, 1)]
    assert all(replays.replay(one).identical for one in decisions)
    assert asked == [("random", 7)]


def test_without_a_way_to_retrain_weights_that_are_not_kept_are_not_found() -> None:
    with pytest.raises(NotFound, match="random@7 is not kept"):
        service().replay(replace(decided(), snapshot=7))


def test_many_are_replayed_in_the_order_of_snapshots_whatever_became_of_one() -> None:
    def retrain(policy: str, number: int) -> Policy:
        if number == 8:
            raise SnapshotCorrupt("random@8 has another digest")
        if number == 7:
            raise NotFound("random@7 is not kept")
        return build(UNIFORM)

    decisions = [replace(decided(), snapshot=number) for number in (9, 8, 7, 0)]
    found = list(service(retrain=retrain).replay_all(decisions))
    assert [type(one) for one in found] == [Replay, NotFound, SnapshotCorrupt, Replay]
    assert [one.snapshot for one in found if isinstance(one, Replay)] == [0, 9]
