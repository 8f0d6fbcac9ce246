"""The whole of it over the real engine and Vowpal Wabbit; only the clock is ours."""

import itertools

from bandit.learning.fleet import Fleet
from bandit.learning.learner import Learner, LearnStep, Pace, Task
from bandit.learning.rebuilding import rebuild
from bandit.policies import build
from bandit.records import LoggedDecision
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.gaps import Gap, declare
from bandit.store.snapshots import Snapshot, Snapshots
from bandit.store.tail import Tail
from tests.bandit.learning.conftest import policy_spec
from tests.bandit.learning.fakes import AnyRow
from tests.bandit.learning.filling import RealLog
from tests.bandit.learning.making import T0, decision, exposure, reward
from tests.bandit.learning.making import surface as make_surface


class Town:
    """A store with a surface and a policy, and processes that come and go."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.log = RealLog(store)
        self.now_ms = T0
        self.ids = itertools.count(1)
        self.decided_n = 0
        definitions = Definitions(store)
        for spec in (make_surface(), policy_spec()):
            definitions.put(spec, expected=None, author="", change_id=spec.key, now_ms=T0)

    def hire(self, task: Task) -> Learner:
        return Learner(
            task,
            tail=Tail(self.store),
            snapshots=Snapshots(self.store),
            build=build,
            now_ms=lambda: self.now_ms,
            new_id=lambda: f"change-{next(self.ids)}",
            name="learner",
            pace=Pace(interval_s=0.5, rows_n=40),
        )

    def new_process(self) -> Fleet:
        definitions = Definitions(self.store)
        return Fleet((), definitions=definitions, hire=self.hire, now_ms=lambda: self.now_ms)

    def live_s(self, seconds: int) -> None:
        """Two decisions a second by two writers; what happens is delivered at once."""
        rows: list[AnyRow] = []
        for n in range(2 * seconds):
            one = self.decide(self.now_ms + 500 * n)
            rows.append(one)
            if one.seq % 2:
                rows.append(reward(one, one.seq % 7 / 7, 800, writer="w1"))
            if one.deferred and one.seq % 3:
                rows.append(exposure(one, 0))
        self.log.write(*rows)
        self.now_ms += 1000 * seconds
        self.log.drained(self.now_ms, self.now_ms)

    def decide(self, at_ms: int) -> LoggedDecision:
        self.decided_n += 1
        n = self.decided_n
        drawn = n % 3
        return decision(
            n,
            at_ms,
            writer=f"w{n % 2 + 1}",
            ranking=(drawn,),
            propensities=((0.2, 0.3, 0.5)[drawn],),
            deferred=n % 5 == 0,
        )

    @property
    def newest(self) -> Snapshot:
        found = Snapshots(self.store).newest("vw")
        assert found is not None
        return found


def only(steps: dict[str, LearnStep]) -> LearnStep:
    return steps["vw"]


def test_what_is_served_is_what_the_log_says_through_restarts(store: Store) -> None:
    town = Town(store)
    fleet = town.new_process()
    for round_n in range(8):
        town.live_s(5)
        only(fleet.step())
        if round_n % 3 == 2:
            fleet = town.new_process()
    town.live_s(5)
    town.now_ms += 60_000
    town.log.drained(town.now_ms, town.now_ms)
    step = only(fleet.step(finish=True))
    while step.more:
        step = only(fleet.step(finish=True))

    newest = town.newest
    assert newest.trained + newest.defaulted + newest.unseen == town.decided_n == 90
    assert (newest.late, newest.orphan, newest.duplicate, newest.out_of_bounds) == (0, 0, 0, 0)
    assert newest.unseen > 0
    served = build(newest.spec, newest.weights)
    one = decision(1)
    assert served.pmf(one.context, one.actions) != [1 / 3] * 3

    report = rebuild(
        "vw",
        tail=Tail(store),
        snapshots=Snapshots(store),
        definitions=Definitions(store),
        build=build,
    )
    assert (report.equal, report.counts_equal) == (True, True)
    assert report.steps_n == newest.number > 5


def test_a_hole_is_waited_for_and_then_learned(store: Store) -> None:
    town = Town(store)
    fleet = town.new_process()
    rows = [decision(n, T0 + n) for n in (1, 2, 3)]
    town.log.put((rows[0], 1), (rows[2], 3))
    town.log.drained(T0, T0)
    assert only(fleet.step()).rows_n == 1
    town.log.put((rows[1], 2))
    town.now_ms += 20_000
    town.log.drained(town.now_ms, town.now_ms)
    step = only(fleet.step())
    assert (step.rows_n, step.lessons_n) == (2, 3)


def test_what_is_given_up_is_counted_and_learned_by_nobody_even_if_it_comes(store: Store) -> None:
    town = Town(store)
    fleet = town.new_process()
    rows = [decision(n, T0 + n) for n in (1, 2, 3)]
    town.log.put((rows[0], 1), (rows[2], 3))
    declare(store, [Gap("decisions", "home", "w1", 2, 2)], reason="rejected", now_ms=T0)
    town.now_ms += 20_000
    town.log.drained(town.now_ms, town.now_ms)
    step = only(fleet.step())
    assert (step.rows_n, step.lessons_n, town.newest.given_up) == (2, 2, 1)
    town.log.put((rows[1], 2))
    assert only(fleet.step(finish=True)).rows_n == 0
    assert only(town.new_process().step(finish=True)).rows_n == 0
    report = rebuild(
        "vw",
        tail=Tail(store),
        snapshots=Snapshots(store),
        definitions=Definitions(store),
        build=build,
    )
    assert (report.equal, report.counts_equal, report.lessons_n) == (True, True, 2)
