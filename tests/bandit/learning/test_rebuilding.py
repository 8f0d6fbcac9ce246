import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit import policies
from bandit.errors import NotFound, StoreUnavailable
from bandit.learning import lineage
from bandit.learning.learner import Pace
from bandit.learning.rebuilding import RebuildReport, rebuild
from bandit.learning.training import Build
from bandit.specs import Part
from tests.bandit.learning.conftest import Laboratory, policy_spec
from tests.bandit.learning.fakes import Diary, FakeDefinitions, ts_ms
from tests.bandit.learning.making import AnyRow, decision, exposure, reward
from tests.bandit.learning.making import surface as make_surface


def rebuilt(lab: Laboratory, build: Build = Diary) -> RebuildReport:
    return rebuild(
        "vw",
        tail=lab.log,  # type: ignore[arg-type]
        snapshots=lab.snapshots,  # type: ignore[arg-type]
        definitions=lab.definitions,  # type: ignore[arg-type]
        build=build,
    )


def live(lab: Laboratory, seconds: int, build: Build = Diary) -> None:
    """Three decisions a second, rewards of which some are late."""
    learner = lab.learner(build=build)
    for n in range(seconds * 3):
        one = decision(n, lab.now_ms, writer=f"w{n % 2}")
        lab.log.write(one)
        if n % 2:
            lab.log.write(reward(decision(n // 2 * 2, lab.now_ms - 4_000), n % 5 / 10, 4_000))
        lab.pass_s(1 / 3)
        learner.step()


def test_retraining_from_the_log_gives_the_same_digest(lab: Laboratory) -> None:
    live(lab, 60)
    report = rebuilt(lab)
    assert report.equal
    assert report.digest == lab.snapshots.stored["vw"][-1].digest
    assert report.steps_n == len(lab.snapshots.stored["vw"]) > 20
    assert report.lessons_n == len(lab.diary) > 100


@pytest.mark.parametrize(
    "arguments", ["--bag 3 --epsilon 0.1 -q UA", "--cover 3", "--rnd 2", "--cb_type dr"]
)
def test_a_policy_that_forgets_something_at_each_save_is_rebuilt_with_the_same_saves(
    arguments: str,
) -> None:
    lab = Laboratory()
    spec = policy_spec(arguments=arguments, floor=0.01)
    lab.definitions = FakeDefinitions(make_surface(), spec)
    live(lab, 15, policies.build)
    live(lab, 15, policies.build)  # another learner, which resumes
    report = rebuilt(lab, policies.build)
    assert report.equal
    assert report.steps_n > 20
    assert report.lessons_n > 50


@pytest.mark.parametrize(
    "given",
    [
        {"type": "thompson", "parameters": {"posterior": "gaussian", "ids": 2}},
        {"type": "ucb"},
        {"type": "popularity"},
        {"type": "linear", "parameters": {"forgetting": 0.9}},
        {
            "type": "mixture",
            "parts": [
                Part(weight=0.5, type="vw", arguments="--bag 3 -q UA"),
                Part(weight=0.5, type="linear"),
            ],
        },
    ],
    ids=lambda given: given["type"],
)
def test_policies_of_every_type_are_rebuilt_with_the_same_digest(given: dict[str, object]) -> None:
    lab = Laboratory()
    lab.definitions = FakeDefinitions(make_surface(), policy_spec(floor=0.01, **given))
    live(lab, 15, policies.build)
    live(lab, 15, policies.build)  # another learner, which resumes
    report = rebuilt(lab, policies.build)
    assert report.equal
    assert report.steps_n > 20
    assert report.lessons_n > 50


def test_a_different_log_gives_a_different_digest(lab: Laboratory) -> None:
    live(lab, 20)
    stream = lab.log.streams["decisions/home/w0"]
    changed = msgspec.structs.replace(stream[3], propensities=(0.31,))  # type: ignore[type-var]
    stream[3] = changed
    report = rebuilt(lab)
    assert not report.equal
    assert report.digest != report.expected == lab.snapshots.stored["vw"][-1].digest


def test_many_small_steps_are_fetched_together_with_the_same_result(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(lab, 30)
    together = rebuilt(lab)
    monkeypatch.setattr(lineage, "ROWS_N", 0)
    assert rebuilt(lab) == together


def test_a_rebuild_starts_where_the_weights_were_last_started_from_scratch(
    lab: Laboratory,
) -> None:
    live(lab, 15)
    before_n = len(lab.snapshots.stored["vw"])
    lab.definitions.put(policy_spec(arguments="--epsilon 0.1"))
    lab.learner().step(finish=True)
    report = rebuilt(lab)
    assert (report.equal, report.steps_n, report.number) == (True, 1, before_n + 1)


def test_a_rebuild_joins_by_the_surface_as_it_was_declared_then(lab: Laboratory) -> None:
    live(lab, 15)
    lab.definitions.put(make_surface(default_reward=-1.0))
    live(lab, 15)
    lab.definitions.put(make_surface(default_reward=0.5))
    assert {s.surface_version for s in lab.snapshots.stored["vw"]} == {1, 2}
    assert rebuilt(lab).equal


def test_a_policy_without_snapshots_can_not_be_rebuilt(lab: Laboratory) -> None:
    with pytest.raises(NotFound, match="no snapshot"):
        rebuilt(lab)


@st.composite
def days(draw: st.DrawFn) -> list[tuple[str, object]]:
    """What happens: rows are accepted, time passes, learners live and die, the store is away."""
    events: list[tuple[str, object]] = []
    for n in range(draw(st.integers(5, 30))):
        kind = draw(st.sampled_from(["decide", "decide", "step", "step", "pass", "die", "outage"]))
        writer = draw(st.sampled_from(["w1", "w2"]))
        events.append(
            {
                "decide": ("decide", (n, writer, draw(st.booleans()), draw(REWARDS))),
                "step": ("step", draw(st.booleans())),
                "pass": ("pass", draw(st.sampled_from([0.2, 1.0, 9.0, 11.0, 70.0, 4000.0]))),
                "die": ("die", None),
                "outage": ("outage", draw(st.sampled_from(["before", "after"]))),
            }[kind]
        )
    return events


REWARDS = st.lists(
    st.tuples(
        st.sampled_from([0, 5_000, 9_999, 10_000, 12_000, 100_000]),
        st.sampled_from([0.1, 0.5, 2.0]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(days(), st.integers(2, 20))
def test_whatever_happened_to_its_learners_a_policy_is_rebuilt_and_none_saw_a_decision_twice(
    events: list[tuple[str, object]], rows_n: int
) -> None:
    lab = Laboratory()
    pace = Pace(interval_s=0.5, rows_n=rows_n)
    learner = lab.learner(pace=pace)
    accepted: list[AnyRow] = []
    for kind, what in [*events, ("pass", 10_000.0), ("settle", None)]:
        if kind == "decide":
            accepted += rows_of(lab.now_ms, *what)  # type: ignore[misc]
        elif kind == "pass":
            lab.pass_s(what)  # type: ignore[arg-type]
            deliver(accepted, lab)
        elif kind == "die":
            learner = lab.learner(pace=pace)
        elif kind == "outage":
            lab.snapshots.outages.append(str(what))
        else:
            for _ in range(100 if kind == "settle" else 1):
                with contextlib.suppress(StoreUnavailable):
                    learner.step(finish=kind == "settle" or bool(what))
                lab.pass_s(0.0 if kind == "step" else 1.0)
    if "vw" not in lab.snapshots.stored:
        assert not lab.log.streams
        return
    report = rebuilt(lab)
    assert (report.equal, report.counts_equal) == (True, True)
    newest = lab.snapshots.stored["vw"][-1]
    decisions = lab.log.between("home", {}, lab.log.end()).decisions
    decided_n = len({one.event_id for one in decisions})
    assert newest.trained + newest.defaulted + newest.unseen == decided_n


def rows_of(
    now_ms: int, n: int, writer: str, deferred: bool, rewards: list[tuple[int, float, str]]
) -> list[AnyRow]:
    one = decision(n, now_ms, writer=writer, deferred=deferred)
    rows: list[AnyRow] = [one]
    rows += [
        reward(one, value, after_ms, reward_id=f"{id_}", writer=writer)
        for after_ms, value, id_ in rewards
    ]
    if len(rewards) == 1:
        rows.append(exposure(one, 0))
    if len(rewards) == 2:
        rows.append(decision(n, now_ms + 1, event_id=one.event_id, writer="w3"))
    return rows


def deliver(accepted: list[AnyRow], lab: Laboratory) -> None:
    """Everything accepted by now is in the store."""
    due = sorted((row for row in accepted if ts_ms(row) < lab.now_ms), key=ts_ms)
    accepted[:] = [row for row in accepted if ts_ms(row) >= lab.now_ms]
    lab.log.write(*due)
