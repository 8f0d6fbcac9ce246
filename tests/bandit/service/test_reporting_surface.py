"""What a surface shows, to whom, and what came back: against a log counted as it was made."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import pytest

from bandit.errors import NotDeclared, NotFound, RecordError
from bandit.journal.base import Progress
from bandit.policies import build
from bandit.policies.base import Lesson
from bandit.records import Action, Decision
from bandit.service.browsing import DecisionBrowser
from bandit.service.refreshing_allocation import keep_allocation
from bandit.service.refreshing_reports import ReportRefresher
from bandit.service.reporting_surface import SurfaceReports
from bandit.specs import PolicySpec, Surface
from bandit.store.allocation import Allocations
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.kept import KeptNumbers
from bandit.store.sink import ClickHouseSink
from tests.bandit.logs import T0, LogMaker, publish
from tests.conftest import Databases, lent

N, STEP_MS, WINDOW_MS = 200, 1000, 10_000
END_MS = T0 + N * STEP_MS
SURFACE = Surface(
    key="home", policy="lin", join_window_s=WINDOW_MS / 1000, default_reward=0.25, project="ours"
)
LINEAR = PolicySpec(key="lin", type="linear", surface="home", project="ours")
THOMPSON = PolicySpec(key="ts", type="thompson", surface="home", project="ours")
ACTIONS = tuple(Action(id=f"a{i}") for i in range(4))


class Told(NamedTuple):
    """A store that the tests only read, and how it was made."""

    store: Store
    decisions: list[Decision]
    countries: list[str]
    rewarded: dict[str, int]
    """Event id → how long after the decision its reward came."""

    @property
    def reports(self) -> SurfaceReports:
        return SurfaceReports(self.store, lambda: END_MS)

    @property
    def browser(self) -> DecisionBrowser:
        return DecisionBrowser(self.store, lambda: END_MS)


@pytest.fixture(scope="module")
def told(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Told]:
    for store in lent(databases, request):
        for spec in (
            LINEAR,
            THOMPSON,
            PolicySpec(key="new", type="linear", surface="home"),
            SURFACE,
        ):
            Definitions(store).put(
                spec, expected=None, author="test", change_id=spec.key, now_ms=T0
            )
        yield told_of(store)


def told_of(store: Store) -> Told:
    rng, log = random.Random(7), LogMaker(store)
    told = Told(store, [], [], {})
    for n in range(N):
        country = rng.choice(["US", "US", "DE"])
        actions_n = 5 if n >= N // 2 else 4  # a4 comes half-way
        pmf = [0.6, 0.1, 0.1, 0.2] if actions_n == 4 else [0.5, 0.1, 0.1, 0.2, 0.1]
        [top] = rng.choices(range(actions_n), pmf)
        decision = log.decide(
            n * STEP_MS,
            unit=f"u{n % 40}",
            policy="lin",
            snapshot=1,
            actions_n=actions_n,
            pmf=pmf,
            ranking=(top,),
            propensities=(pmf[top],),
            floor=0.1,
            context={"country": country, "place": {"room": "left" if n % 2 else "right"}, "n": n},
        )
        told.decisions.append(decision)
        told.countries.append(country)
        if rng.random() < 0.4:
            after_ms = rng.choice([40, 400, 4000, 20_000])
            log.reward(decision, 1.0, after_ms, reward_id=f"r{n}")
            told.rewarded[decision.event_id] = after_ms
    strange = told.decisions[0].event_id[:-4] + "ffff"
    log.reward(msgspec.structs.replace(told.decisions[0], event_id=strange), 1.0, 50)
    log.deliver()
    policy = build(LINEAR)
    for n in range(60):
        policy.learn(  # type: ignore[attr-defined]
            Lesson(
                context=b'{"country":"US"}' if n % 2 else b'{"country":"DE"}',
                actions=ACTIONS,
                drawn=n % 4,
                propensity=0.25,
                reward=1.0 if n % 4 == 0 else 0.1 * (n % 4),
            )
        )
    for number, (key, bare) in enumerate((("lin", policy), ("ts", build(THOMPSON)))):
        weights = bare.save()  # type: ignore[attr-defined]
        publish(
            store, 1, 0, 0, policy=key, spec=(LINEAR, THOMPSON)[number], weights=weights,
            sha256=hashlib.sha256(weights).hexdigest(), change_id=key,
        )  # fmt: skip
    return told


def test_allocation_is_what_was_ranked_on_top(told: Told) -> None:
    report = told.reports.allocation("home", top=2)
    assert (report.source, report.policy, report.as_of_ms) == ("log", "lin", END_MS)
    [found] = report.policies
    tops = Counter(f"a{d.ranking[0]}" for d in told.decisions)
    assert found.shown == dict(tops.most_common(2))
    assert found.actions == tuple(found.shown)
    assert found.shares == {a: n / N for a, n in found.shown.items()}
    explored_n = sum(d.ranking[0] != 0 for d in told.decisions)
    assert (found.decisions_n, found.drawn_n) == (N, N)
    assert found.explored_share == explored_n / N
    at_floor = [(1, 2) if n < N // 2 else (1, 2, 4) for n in range(N)]
    assert found.floor_share == sum(map(len, at_floor)) / (4 * N // 2 + 5 * N // 2)
    drawn_n = sum(d.ranking[0] in low for d, low in zip(told.decisions, at_floor, strict=True))
    assert found.floor_drawn_share == drawn_n / N
    for action in found.actions:
        assert sum(b.shown.get(action, 0) for b in found.buckets) == found.shown[action]


def test_kept_allocation_says_the_same_and_how_far_it_goes(told: Told) -> None:
    kept, allocations = KeptNumbers(told.store), Allocations(told.store)
    before = told.reports.allocation("home")
    half = keep_allocation(kept, allocations, "home", T0 + 100_000)
    assert keep_allocation(kept, allocations, "home", T0 + 100_001) is not None  # not due yet
    assert half.as_of_ms == T0 + 100_000
    assert told.reports.allocation("home").as_of_ms == T0 + 100_000
    keep_allocation(kept, allocations, "home", END_MS)
    report = told.reports.allocation("home")
    assert (report.source, report.since_ms) == ("kept", 0)
    assert report.policies == before.policies
    assert told.reports.allocation("home", at_ms=T0 + 150_000).as_of_ms == T0 + 100_000


def test_behaviour_tells_values_of_a_member_apart(told: Told) -> None:
    report = told.reports.behaviour("home", "country")
    assert report.members == ("country", "place")
    closed = [n for n in range(N) if n * STEP_MS <= N * STEP_MS - WINDOW_MS]
    counted: Counter[str] = Counter(told.countries[n] for n in closed)
    earned, joined = defaultdict(float), Counter[str]()
    tops: dict[str, Counter[str]] = defaultdict(Counter)
    for n in closed:
        decision, country = told.decisions[n], told.countries[n]
        came = told.rewarded.get(decision.event_id, WINDOW_MS) < WINDOW_MS
        joined[country] += came
        earned[country] += 1.0 if came else 0.25
        tops[country][f"a{decision.ranking[0]}"] += 1
    for segment in report.segments:
        country = msgspec.json.decode(segment.value)
        assert segment.counted_n == counted[country]
        assert segment.rewarded_n == joined[country]
        assert segment.rewarded_share == joined[country] / counted[country]
        assert segment.reward_mean == pytest.approx(earned[country] / counted[country])
        assert segment.actions == tops[country]
        assert segment.decisions_n == tops[country].total()
    assert [s.value for s in report.segments] == ['"US"', '"DE"']
    inside = told.reports.behaviour("home", "place.room")
    assert {s.value for s in inside.segments} == {'"left"', '"right"'}
    assert told.reports.behaviour("home").by == "country"
    assert [s.value for s in told.reports.behaviour("home", "nothing").segments] == [""]
    assert told.reports.behaviour("home", "country", policy="other").segments == ()
    many = told.reports.behaviour("home", "n")
    assert (many.values_n, len(many.segments)) == (len(closed), 20)


def test_newcomers_are_what_was_not_offered_before(told: Told) -> None:
    report = told.reports.newcomers("home")
    [found] = report.newcomers
    shown_n = sum(d.ranking[0] == 4 for d in told.decisions)
    assert (found.action, found.first_ms) == ("a4", told.decisions[N // 2].ts_ms)
    assert (found.offered_n, found.eligible_n, found.shown_n) == (N // 2, N // 2, shown_n)
    assert found.expected_share == pytest.approx(0.1)
    assert report.newcomers_n == 1


def test_feedback_tells_delays_late_ones_and_orphans(told: Told) -> None:
    report = told.reports.feedback("home")
    delays = Counter(
        after_ms
        for d in told.decisions
        if (after_ms := told.rewarded.get(d.event_id)) is not None and d.ts_ms + after_ms <= END_MS
    )
    assert report.rewards_n == delays.total()
    assert report.late_n == delays[20_000]
    assert (report.orphan_n, report.repeated_n) == (1, 0)
    assert report.join_rate == report.rewarded_n / report.counted_n
    by_from = {bucket.from_ms: bucket.rewards_n for bucket in report.delays}
    assert by_from[32] == delays[40]
    assert by_from[3162] == delays[4000]
    assert by_from[1000] == 0
    assert sum(by_from.values()) == report.rewards_n


def test_weights_are_named_and_why_there_are_none_is_said(told: Told) -> None:
    report = told.reports.weights("lin", limit=3)
    assert (report.snapshot, report.reason, len(report.weights)) == (1, None, 3)
    assert {w.action for w in report.weights} <= {f"id=a{i}" for i in range(4)}
    assert report.weights[0].action == "id=a0"  # the one that earned
    assert report.sampled_n == N
    assert told.reports.weights("ts").reason == "no_features"
    assert told.reports.weights("new").reason == "no_snapshot"
    assert told.reports.weights("uniform-slice").reason == "not_learning"


def test_newest_decisions_of_a_surface_and_of_a_unit(told: Told) -> None:
    found = told.browser.newest("home", limit=5)
    assert [d.event_id for d in found.decisions] == [
        d.event_id for d in reversed(told.decisions[-5:])
    ]
    assert found.since_ms == END_MS - 3_600_000
    of_unit = told.browser.newest("home", "u7")
    assert {d.unit_id for d in of_unit.decisions} == {"u7"}
    assert len(of_unit.decisions) == 5
    assert of_unit.decisions[0].top == f"a{told.decisions[167].ranking[0]}"
    assert told.browser.newest("home", at_ms=T0 - 1).decisions == ()


def test_joined_says_what_became_of_each_reward(told: Told) -> None:
    log = LogMaker(told.store, start_ms=T0 - 10_000_000)
    decision = log.decide(0, unit="odd")
    log.reward(decision, 0.5, 100, reward_id="one", name="click")
    log.reward(decision, 0.5, 200, reward_id="one", name="click")
    log.reward(decision, 9.0, 300, reward_id="big")
    log.reward(decision, 0.25, 400, reward_id="low", slot=3)
    log.reward(decision, 0.25, 10_000, reward_id="late")
    log.expose(decision, after_ms=50, overridden=((0, "editorial"),))
    log.deliver()
    found = told.browser.joined(decision.event_id)
    assert [(r.reward_id, r.fate) for r in found.rewards] == [
        ("one", "counted"),
        ("one", "repeated"),
        ("big", "out_of_bounds"),
        ("low", "no_slot"),
        ("late", "late"),
    ]
    assert (found.reward, found.by_name) == (0.5, {"click": 0.5})
    assert (found.rewarded, found.seen, found.is_closed) == (True, True, True)
    assert found.exposures[0].overridden == {0: "editorial"}
    nothing = told.browser.joined(told.decisions[-1].event_id)
    assert nothing.is_closed is False
    assert told.browser.explain(decision.event_id).ranking[0].overridden == "editorial"
    assert told.browser.replay(decision.event_id) is None  # nobody gave it the secret


def test_another_project_sees_nothing(told: Told) -> None:
    reports = SurfaceReports(told.store, lambda: END_MS, "theirs")
    browser = DecisionBrowser(told.store, lambda: END_MS, "theirs")
    for ask in (reports.allocation, reports.behaviour, reports.newcomers, reports.feedback):
        with pytest.raises(NotDeclared):
            ask("home")
    for ask in (reports.weights, browser.newest):
        with pytest.raises(NotDeclared):
            ask("lin" if ask == reports.weights else "home")
    for look in (browser.explain, browser.joined):
        with pytest.raises(NotFound):
            look(told.decisions[0].event_id)


def test_numbers_out_of_their_range_are_refused(told: Told) -> None:
    for ask in (
        lambda: told.reports.allocation("home", top=0),
        lambda: told.reports.behaviour("home", "x" * 201),
        lambda: told.reports.newcomers("home", limit=101),
        lambda: told.reports.weights("lin", limit=0),
        lambda: told.browser.newest("home", limit=101),
        lambda: told.browser.newest("home", "u" * 257),
    ):
        with pytest.raises(RecordError, match="must"):
            ask()


def test_refreshing_a_surface_keeps_its_allocation(store: Store) -> None:
    for spec in (PolicySpec(key="random", type="uniform"), Surface(key="home", policy="random")):
        Definitions(store).put(spec, expected=None, author="t", change_id=spec.key, now_ms=T0)
    log = LogMaker(store)
    for n in range(5):
        log.decide(n)
    log.deliver()
    sink = ClickHouseSink(store, now_ms=lambda: END_MS)
    sink.report(Progress(host="h", drained_through_ms=END_MS, backlog_bytes=0, segments_n=0))
    refresher = ReportRefresher(store, now_ms=lambda: END_MS, monotonic_s=lambda: 0.0)
    assert [done.why for done in refresher.run_once()] == [""]
    report = SurfaceReports(store, lambda: END_MS).allocation("home")
    assert (report.source, report.as_of_ms) == ("kept", END_MS)
    assert [(p.policy, p.decisions_n) for p in report.policies] == [("random", 5)]
