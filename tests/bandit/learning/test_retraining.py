import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import NotFound, SnapshotCorrupt
from bandit.learning.retraining import Retrainer
from bandit.policies.base import LearningPolicy
from bandit.specs import PolicySpec
from bandit.store.snapshots import Snapshot
from tests.bandit.learning.conftest import Laboratory, policy_spec
from tests.bandit.learning.fakes import Diary
from tests.bandit.learning.making import decision, reward
from tests.bandit.learning.making import surface as make_surface


class Workshop:
    """A retrainer, and how many lessons it learns."""

    def __init__(self, lab: Laboratory) -> None:
        self.lab = lab
        self.lessons_n = 0
        self.retrainer = Retrainer(
            tail=lab.log,  # type: ignore[arg-type]
            snapshots=lab.snapshots,  # type: ignore[arg-type]
            definitions=lab.definitions,  # type: ignore[arg-type]
            build=self.build,
        )

    def build(self, spec: PolicySpec, weights: bytes | None = None) -> LearningPolicy:
        diary = Diary(spec, weights)
        learn = diary.learn

        def counting(lesson: object) -> None:
            self.lessons_n += 1
            learn(lesson)  # type: ignore[arg-type]

        diary.learn = counting  # type: ignore[assignment, method-assign]
        return diary

    def weights(self, number: int) -> bytes:
        return self.retrainer.retrain("vw", number).save()


def live(lab: Laboratory, seconds: int) -> list[Snapshot]:
    """Three decisions a second, some rewards late; learners that come and go; all weights kept."""
    learner = lab.learner()
    for n in range(seconds * 3):
        one = decision(n, lab.now_ms, writer=f"w{n % 2}")
        lab.log.write(one)
        if n % 2:
            lab.log.write(reward(decision(n // 2 * 2, lab.now_ms - 4_000), n % 5 / 10, 4_000))
        lab.pass_s(1 / 3)
        learner.step()
        if n % 40 == 39:
            learner = lab.learner()
    return list(lab.snapshots.stored["vw"])


def thin_all_but(lab: Laboratory, *kept: int) -> None:
    line = lab.snapshots.stored["vw"]
    lab.snapshots.thin("vw", *(s.number for s in line if s.number not in kept))


@pytest.mark.parametrize("kept", [(), (1,), (7, 19), (12,)])
def test_weights_come_again_whichever_are_kept(lab: Laboratory, kept: tuple[int, ...]) -> None:
    published = live(lab, 25)
    assert len(published) > 20
    thin_all_but(lab, *kept)
    for snapshot in published:
        assert Workshop(lab).weights(snapshot.number) == snapshot.weights


def test_only_the_steps_from_the_nearest_kept_ancestor_are_learned(lab: Laboratory) -> None:
    published = live(lab, 25)
    thin_all_but(lab, 3, 10)
    workshop = Workshop(lab)
    workshop.weights(14)
    assert workshop.lessons_n == lessons_n(published[13]) - lessons_n(published[9]) > 0
    workshop.lessons_n = 0
    workshop.weights(10)
    assert workshop.lessons_n == 0


def test_ascending_numbers_learn_each_step_once(lab: Laboratory) -> None:
    published = live(lab, 25)
    thin_all_but(lab)
    workshop = Workshop(lab)
    for number in (4, 4, 9, 17):
        assert workshop.weights(number) == published[number - 1].weights
    assert workshop.lessons_n == lessons_n(published[16])
    assert workshop.weights(9) == published[8].weights  # and back again


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, 20)), st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_any_number_in_any_order_gives_the_weights_that_were_published(
    kept: set[int], asked: list[int]
) -> None:
    lab = Laboratory()
    published = live(lab, 25)
    thin_all_but(lab, *kept)
    workshop = Workshop(lab)
    for number in asked:
        assert workshop.weights(number) == published[number - 1].weights


def test_what_started_from_scratch_needs_nothing_older(lab: Laboratory) -> None:
    before_n = len(live(lab, 15))
    lab.definitions.put(policy_spec(arguments="--epsilon 0.1"))
    lab.learner().step(finish=True)
    newest = lab.snapshots.stored["vw"][-1]
    assert newest.number == before_n + 1
    thin_all_but(lab, before_n)
    assert Workshop(lab).weights(newest.number) == newest.weights


def test_rewards_are_joined_by_the_surface_as_it_was_declared_then(lab: Laboratory) -> None:
    live(lab, 12)
    lab.definitions.put(make_surface(default_reward=-1.0))
    published = live(lab, 12)
    lab.definitions.put(make_surface(default_reward=0.5))
    assert {snapshot.surface_version for snapshot in published} == {1, 2}
    thin_all_but(lab, 2)
    assert Workshop(lab).weights(len(published)) == published[-1].weights


def test_an_unusable_snapshot_and_one_that_nobody_learned_from_are_passed_over(
    lab: Laboratory,
) -> None:
    live(lab, 12)
    line = lab.snapshots.stored["vw"]
    broken_n = len(line)
    line[-1] = msgspec.structs.replace(line[-1], weights=b"broken")
    newest = live(lab, 1)[-1]  # a learner resumed from the one before
    line[broken_n - 1] = msgspec.structs.replace(line[broken_n - 1], sha256=sha256(b"broken"))
    lab.snapshots.thin("vw", *range(broken_n + 1, newest.number + 1))
    assert line[broken_n].parent == broken_n - 1
    assert Workshop(lab).weights(newest.number) == newest.weights
    lab.snapshots.thin("vw", newest.number)
    line[broken_n - 2] = msgspec.structs.replace(line[broken_n - 2], weights=b"[]")
    assert Workshop(lab).weights(newest.number) == newest.weights


def test_a_different_log_is_told_with_both_digests(lab: Laboratory) -> None:
    published = live(lab, 20)
    thin_all_but(lab)
    stream = lab.log.streams["decisions/home/w0"]
    changed = msgspec.structs.replace(stream[3], propensities=(0.31,))  # type: ignore[type-var]
    stream[3] = changed
    with pytest.raises(SnapshotCorrupt, match=f"[0-9a-f]{{64}}, must be {published[-1].digest}"):
        Workshop(lab).weights(len(published))


def test_a_number_that_was_never_published_is_not_found(lab: Laboratory) -> None:
    published = live(lab, 12)
    workshop = Workshop(lab)
    workshop.weights(len(published))
    for number in (0, len(published) + 1):
        with pytest.raises(NotFound, match=f"vw@{number} was never published"):
            workshop.weights(number)


def lessons_n(snapshot: Snapshot) -> int:
    return snapshot.trained + snapshot.defaulted


def sha256(weights: bytes) -> str:
    return hashlib.sha256(weights).hexdigest()
