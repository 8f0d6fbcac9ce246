import msgspec
import pytest

from bandit.errors import StoreUnavailable
from bandit.learning.joiner import MINUTE_MS, SKEW_MS
from bandit.learning.learner import QUIET_S, STAND_BY_S, Learner, LearnStep, Pace
from tests.bandit.learning.conftest import Laboratory, policy_spec
from tests.bandit.learning.fakes import Diary
from tests.bandit.learning.making import T0, decision, reward
from tests.bandit.learning.making import surface as make_surface


def test_a_decision_is_learned_and_published_once_its_window_has_ended(lab: Laboratory) -> None:
    learner = lab.learner()
    one = decision(1)
    lab.log.write(one, reward(one, 0.5))
    lab.pass_s(9.9)
    waiting = learner.step()
    assert (waiting.rows_n, waiting.snapshot, waiting.waiting_n) == (2, None, 1)
    lab.pass_s(0.1)
    done = learner.step()
    assert (done.lessons_n, done.snapshot, done.waiting_n) == (1, 1, 0)
    assert lab.diary == [[["a0", "a1", "a2"], "a1", 0.3, 0.5]]
    (snapshot,) = lab.snapshots.stored["vw"]
    assert (snapshot.parent, snapshot.watermark_ms, snapshot.trained) == (0, T0, 1)
    assert snapshot.cursor == lab.log.end()
    assert (snapshot.spec_version, snapshot.surface_version) == (1, 1)


def test_a_learner_tells_up_to_when_it_has_closed(lab: Laboratory) -> None:
    learner = lab.learner()
    assert learner.watermark_ms is None
    lab.log.write(decision(1))
    lab.pass_s(10)
    learner.step()
    assert learner.watermark_ms == T0


def test_nothing_is_closed_before_every_host_has_delivered(lab: Laboratory) -> None:
    learner = lab.learner()
    lab.log.write(decision(1))
    lab.now_ms += 60_000
    assert learner.step() == LearnStep()
    lab.log.drained_ms = T0 + 9_999
    assert learner.step().snapshot is None
    lab.log.drained_ms = T0 + 10_000
    assert learner.step().snapshot == 1


def test_snapshots_are_at_least_an_interval_apart(lab: Laboratory) -> None:
    learner = lab.learner()
    lab.log.write(*(decision(n, T0 + 100 * n) for n in range(10)))
    lab.pass_s(10)
    published = []
    for _ in range(11):
        published.append(learner.step().snapshot)
        lab.pass_s(0.1)
    assert published == [1, *[None] * 4, 2, *[None] * 4, 3]
    assert [s.trained + s.defaulted for s in lab.snapshots.stored["vw"]] == [1, 6, 10]
    assert [s.parent for s in lab.snapshots.stored["vw"]] == [0, 1, 2]


def test_nothing_new_is_nothing_published(lab: Laboratory) -> None:
    learner = lab.learner()
    lab.log.write(decision(1))
    lab.pass_s(10)
    learner.step()
    lab.pass_s(3600)
    assert learner.step().snapshot is None
    assert learner.step(finish=True).snapshot is None


def test_counts_alone_are_published_seldom(lab: Laboratory) -> None:
    learner = lab.learner()
    one = decision(1)
    lab.log.write(one)
    lab.pass_s(10)
    learner.step()
    lab.log.write(reward(one))
    lab.pass_s(1)
    assert learner.step().snapshot is None
    lab.pass_s(QUIET_S)
    assert learner.step().snapshot == 2
    assert [s.late for s in lab.snapshots.stored["vw"]] == [0, 1]
    assert len(lab.diary) == 1


def test_finishing_publishes_what_can_be_published(lab: Laboratory) -> None:
    learner = lab.learner()
    lab.log.write(decision(1), decision(2, T0 + 1), decision(3, T0 + 60_000))
    lab.pass_s(10)
    learner.step()
    lab.pass_s(0.1)
    assert learner.step().snapshot is None
    assert learner.step(finish=True).snapshot == 2


def test_a_learner_resumes_exactly_where_the_snapshot_says(lab: Laboratory) -> None:
    one, two = decision(1), decision(2, T0 + 5_000)
    lab.log.write(one, two, reward(two, 0.7))
    lab.pass_s(10)
    lab.learner().step()

    late = reward(one, after_ms=11_000)
    lab.log.write(late, decision(2, T0 + 5_001, event_id=two.event_id, writer="w2"))
    lab.pass_s(10)
    lab.learner("second").step()
    assert [line[3] for line in lab.diary] == [0.0, 0.7]
    newest = lab.snapshots.stored["vw"][-1]
    assert (newest.trained, newest.defaulted, newest.late, newest.duplicate) == (1, 1, 1, 1)
    assert newest.learner == "second"


@pytest.mark.parametrize("outage", ["before", "after"])
def test_a_snapshot_of_unknown_fate_is_published_again_and_nothing_learned_twice(
    lab: Laboratory, outage: str
) -> None:
    learner = lab.learner()
    lab.log.write(decision(1))
    lab.pass_s(10)
    lab.snapshots.outages = [outage, outage]
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            learner.step()
    lab.log.write(decision(2, T0 + 1))
    assert learner.step().snapshot == 1
    lab.pass_s(1)
    assert learner.step().snapshot == 2
    assert len(lab.diary) == 2


def test_a_learner_that_was_overtaken_drops_everything_and_goes_on_from_the_newest(
    lab: Laboratory,
) -> None:
    slow, quick = lab.learner("slow"), lab.learner("quick")
    lab.log.write(decision(1))
    lab.pass_s(5)
    slow.step()
    lab.pass_s(5)
    assert quick.step().snapshot == 1
    assert slow.step() == LearnStep()
    lab.log.write(decision(2, T0 + 1))
    lab.pass_s(STAND_BY_S)
    assert slow.step().snapshot == 2
    assert len(lab.diary) == 2


def test_a_corrupt_snapshot_is_left_behind_and_its_lessons_are_learned_again(
    lab: Laboratory,
) -> None:
    learner = lab.learner()
    for n in range(3):
        lab.log.write(decision(n, T0 + 1_000 * n))
        lab.pass_s(11)
        learner.step()
    line = lab.snapshots.stored["vw"]
    line[2] = msgspec.structs.replace(line[2], weights=b"[]")
    line[1] = msgspec.structs.replace(line[1], weights=b"")
    lab.log.write(decision(5, T0 + 4_000))
    lab.pass_s(11)
    assert lab.learner().step().snapshot == 4
    assert (line[3].parent, line[3].defaulted, len(lab.diary)) == (1, 4, 4)


def test_weights_that_are_not_what_was_published_are_not_gone_on_with(lab: Laboratory) -> None:
    lab.log.write(decision(1))
    lab.pass_s(10)
    lab.learner().step()
    line = lab.snapshots.stored["vw"]
    line[0] = msgspec.structs.replace(line[0], digest="0" * 64)
    lab.pass_s(1)
    assert lab.learner().step().snapshot == 2
    assert (line[1].parent, len(lab.diary)) == (0, 1)


def test_a_policy_that_trains_otherwise_starts_from_scratch_over_the_whole_log(
    lab: Laboratory,
) -> None:
    learner = lab.learner()
    lab.log.write(decision(1))
    lab.pass_s(10)
    learner.step()
    lab.definitions.put(policy_spec(arguments="--epsilon 0.1"))
    learner.redeclare(lab.task())
    lab.log.write(decision(2, T0 + 1))
    lab.pass_s(1)
    assert learner.step().snapshot == 2
    newest = lab.snapshots.stored["vw"][-1]
    assert (newest.parent, newest.spec_version, newest.defaulted) == (1, 2, 2)
    assert len(lab.diary) == 2
    assert Diary(policy_spec(), newest.weights).lines[0] == "--epsilon 0.1"


def test_a_policy_that_is_only_described_otherwise_goes_on(lab: Laboratory) -> None:
    learner = lab.learner()
    lab.log.write(decision(1))
    lab.pass_s(10)
    learner.step()
    lab.definitions.put(policy_spec(description="the good one", floor=0.01))
    learner.redeclare(lab.task())
    lab.log.write(decision(2, T0 + 1))
    lab.pass_s(1)
    learner.step()
    newest = lab.snapshots.stored["vw"][-1]
    assert (newest.spec_version, newest.spec.floor, len(lab.diary)) == (2, 0.01, 2)


def test_a_learner_with_old_definitions_waits_for_the_new_ones(lab: Laboratory) -> None:
    stale = lab.learner()
    lab.definitions.put(policy_spec(arguments="--epsilon 0.1"))
    lab.log.write(decision(1))
    lab.pass_s(10)
    lab.learner("new").step()
    lab.log.write(decision(2, T0 + 1))
    lab.pass_s(1)
    assert stale.step() == LearnStep()
    stale.redeclare(lab.task())
    assert stale.step().snapshot == 2


def test_the_surface_as_it_is_declared_now_says_what_counts(lab: Laboratory) -> None:
    learner = lab.learner()
    one, two = decision(1), decision(2, T0 + 5_000)
    lab.log.write(one, two)
    lab.pass_s(10)
    learner.step()
    lab.definitions.put(make_surface(default_reward=-1.0, join_window_s=20.0))
    learner.redeclare(lab.task())
    lab.pass_s(14)
    assert learner.step().snapshot is None
    lab.pass_s(1)
    assert learner.step().snapshot == 2
    assert [line[3] for line in lab.diary] == [0.0, -1.0]
    assert [s.surface_version for s in lab.snapshots.stored["vw"]] == [1, 2]


def test_own_decisions_of_others_alone_do_not_make_snapshots_all_the_time(lab: Laboratory) -> None:
    lab.definitions.put(policy_spec(learns_from="own"))
    learner = lab.learner()
    published = []
    for n in range(130):
        lab.log.write(decision(n, lab.now_ms, policy="uniform"))
        lab.pass_s(1)
        published.append(learner.step().snapshot)
    assert [number for number in published if number] == [1, 2]
    assert learner.counts.defaulted == 0


def test_a_backlog_is_learned_in_many_snapshots_each_of_bounded_size(lab: Laboratory) -> None:
    for n in range(500):
        one = decision(n, T0 + n * 50)
        lab.log.write(one, reward(one, 0.25))
    lab.pass_s(3600)
    learner = lab.learner(pace=Pace(interval_s=0.5, rows_n=50))
    steps = run_until_idle(learner)
    assert sum(step.lessons_n for step in steps) == 500
    assert max(step.lessons_n for step in steps) <= 60
    assert max(step.waiting_n for step in steps) <= 300  # the window holds 200
    assert {line[3] for line in lab.diary} == {0.25}
    times = [s.watermark_ms for s in lab.snapshots.stored["vw"]]
    assert times == sorted(times)
    assert len(times) > 5


def test_decisions_that_were_held_up_are_learned_in_snapshots_of_bounded_size(
    lab: Laboratory,
) -> None:
    learner = lab.learner(pace=Pace(interval_s=0.5, rows_n=50))
    for n in range(120):
        lab.log.write(decision(n, lab.now_ms))
        lab.now_ms += 10
        lab.log.drained_ms = T0
        learner.step()
    lab.pass_s(60)
    steps = run_until_idle(learner)
    assert [step.lessons_n for step in steps if step.snapshot] == [50, 50, 20]


def test_an_orphan_is_counted_even_if_nothing_else_happens(lab: Laboratory) -> None:
    learner = lab.learner()
    lab.log.write(reward(decision(1)))
    lab.pass_s(10)
    learner.step()
    lab.pass_s((SKEW_MS + MINUTE_MS) / 1000 + 10)
    assert learner.step().snapshot == 1
    assert lab.snapshots.stored["vw"][0].orphan == 1


def run_until_idle(learner: Learner) -> list[LearnStep]:
    steps = []
    for _ in range(1_000):
        steps.append(learner.step())
        if not steps[-1].more:
            steps.append(learner.step(finish=True))
        if not steps[-1].more:
            return steps
    raise AssertionError("there is always more to do")
