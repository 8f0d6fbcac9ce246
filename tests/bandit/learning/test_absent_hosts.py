"""What a host brings that was away: learned once, with its rewards, and told if it was too late."""

import pytest

from bandit.errors import StoreUnavailable
from bandit.learning.learner import Learner, Pace
from bandit.learning.rebuilding import RebuildReport, rebuild
from tests.bandit.learning.conftest import Laboratory
from tests.bandit.learning.fakes import Diary
from tests.bandit.learning.making import T0, decision, event_id, reward

HOURS_MS = 3_600_000


def rebuilt(lab: Laboratory) -> RebuildReport:
    return rebuild(
        "vw",
        tail=lab.log,  # type: ignore[arg-type]
        snapshots=lab.snapshots,  # type: ignore[arg-type]
        definitions=lab.definitions,  # type: ignore[arg-type]
        build=Diary,
    )


def three_hours_later(lab: Laboratory) -> Learner:
    """A learner that has learned one decision, and another one three hours after it."""
    learner = lab.learner()
    for n in (1, 2):
        lab.log.write(decision(n, lab.now_ms))
        lab.pass_s(20)
        learner.step()
        lab.pass_s(3 * 3600)
    learner.step(finish=True)
    assert len(lab.diary) == 2
    return learner


@pytest.mark.parametrize("resumes", [False, True])
def test_a_decision_that_another_host_logged_too_is_learned_once_however_late_that_comes(
    lab: Laboratory, resumes: bool
) -> None:
    # Symptom, found by simulation: the joiner had forgotten that it was closed, and it was learned
    # a second time.
    learner = three_hours_later(lab)
    lab.log.write(decision(1, T0 + 5_000, event_id=event_id(1, T0), writer="w9"))
    if resumes:
        learner = lab.learner("another")
    learner.step(finish=True)
    assert (len(lab.diary), lab.snapshots.stored["vw"][-1].duplicate) == (2, 1)
    report = rebuilt(lab)
    assert (report.equal, report.counts_equal) == (True, True)


def test_a_store_that_goes_away_while_that_is_found_out_changes_nothing(lab: Laboratory) -> None:
    learner = three_hours_later(lab)
    lab.log.write(decision(1, T0 + 5_000, event_id=event_id(1, T0), writer="w9"))
    ask, away = lab.log.event_ids, [True]

    def event_ids(*given: object) -> object:
        if away:
            away.pop()
            raise StoreUnavailable("refused")
        return ask(*given)  # type: ignore[arg-type]

    lab.log.event_ids = event_ids  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable):
        learner.step(finish=True)
    learner.step(finish=True)
    assert (len(lab.diary), lab.snapshots.stored["vw"][-1].duplicate) == (2, 1)


def test_decisions_that_come_hours_late_wait_for_their_rewards_which_come_late_too(
    lab: Laboratory,
) -> None:
    # Symptom: what a host had kept for hours was closed slice by slice, each before the rewards of
    # its end were read: they were late, and their decisions learned as if they had earned nothing.
    learner = three_hours_later(lab)
    before_n = len(lab.diary)
    late = [decision(n, T0 + 1_000 * n, writer="w9") for n in range(10, 20)]
    lab.log.write(*late)
    lab.log.drained_ms = T0 + 60_000  # what its drain says while it catches up
    lab.now_ms += 1_000
    learner.step()
    lab.log.write(*(reward(one, 0.5, 9_000, writer="w9") for one in late))
    lab.pass_s(1)
    learner.step()
    newest = lab.snapshots.stored["vw"][-1]
    assert (newest.late, newest.trained) == (0, 10)
    assert [line[3] for line in lab.diary[before_n:]] == [0.5] * 10  # type: ignore[index]
    assert rebuilt(lab).equal


def test_a_host_that_never_catches_up_holds_late_decisions_for_five_minutes_at_most(
    lab: Laboratory,
) -> None:
    learner = three_hours_later(lab)
    lab.log.write(decision(10, T0 + 1_000, writer="w9"))
    for _ in range(5):
        lab.log.drained_ms = T0 + 60_000
        learner.step(finish=True)
        assert len(lab.diary) == 2
        lab.now_ms += 60_000
    learner.step(finish=True)
    assert len(lab.diary) == 3


def test_late_decisions_are_learned_in_time_if_they_are_too_many_to_keep(lab: Laboratory) -> None:
    learner = three_hours_later(lab)
    lab.log.write(*(decision(n, T0 + n, writer="w9") for n in range(10, 40)))
    learner = lab.learner("another", pace=Pace(interval_s=0.5, rows_n=10))
    lab.log.drained_ms = T0 + 60_000
    for _ in range(8):
        learner.step()
    assert len(lab.diary) == 32
