"""Promotions over a real engine: to live, and back; by several hosts, killed anywhere."""

import itertools
import uuid
from collections.abc import Callable, Iterator

import msgspec
import pytest
from msgspec.structs import replace

from bandit.errors import NotDeclared, NotFound, RecordError, VersionConflict
from bandit.service.defining import DefinitionService
from bandit.service.promoting import PromotionService
from bandit.service.promoting_asking import Asking
from bandit.service.promoting_ramp import experiment_key
from bandit.service.promoting_records import Gate, GateCheck, Promotion, PromotionPlan
from bandit.service.reporting_payloads import ExperimentReport, Problem
from bandit.specs import AnySpec, Experiment, PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.migrations import migrate
from bandit.store.promotions import NO_JSON, Promotions, PromotionStep
from tests.bandit.logs import T0
from tests.bandit.service.making_promotions import effect, report

DAY_MS = 86_400_000
NUMBERS = itertools.count(1)
PLAN = PromotionPlan(stage_s=3600.0)


@pytest.fixture(scope="module")
def shared(clickhouse_url: str) -> Iterator[Store]:
    store = Store.connect(clickhouse_url, database=f"test_{uuid.uuid4().hex}")
    migrate(store)
    for key in ("old", "new", "third"):
        put(store, PolicySpec(key=key, type="uniform"))
    yield store
    store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
    store.close()


def put(store: Store, spec: AnySpec, expected: int | None = None) -> None:
    Definitions(store).put(
        spec, expected=expected, author="ana", change_id=uuid.uuid4().hex, now_ms=T0
    )


class World:
    """A surface of its own, a clock, what the gate says, and what the next report says."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.surface = f"home-{next(NUMBERS)}"
        self.now_ms = T0
        self.report: Callable[[], ExperimentReport] = lambda: report(self.now_ms)
        self.passes = True
        put(store, Surface(key=self.surface, policy="old", shadows=["new"]))
        monkeypatch.setattr(Asking, "gate", self.gate)

    def gate(self, surface: str, challenger: str, plan: PromotionPlan, at_ms: int) -> Gate:
        return Gate(
            surface=surface,
            challenger=challenger,
            live=self.spec().policy,
            as_of_ms=at_ms,
            from_ms=0,
            alpha=plan.alpha,
            passed=self.passes,
            checks=(GateCheck(code="gain", passed=self.passes, text="It is in [0.1, 0.2]."),),
        )

    def service(self, **given: object) -> PromotionService:
        return PromotionService(
            self.store,
            now_ms=lambda: self.now_ms,
            new_id=lambda: uuid.uuid4().hex,
            report_of=lambda step, alpha: self.report(),
            **given,  # type: ignore[arg-type]
        )

    def start(self, plan: PromotionPlan = PLAN) -> Promotion:
        return self.service().start(self.surface, "new", plan, author="ana")

    def advance(self, *, after_ms: int = 0) -> Promotion:
        """One pass of one host, so much later."""
        self.now_ms += after_ms
        self.service().advance(self.surface)
        return self.newest()

    def newest(self) -> Promotion:
        [found] = self.service().all(self.surface, limit=1)
        return found

    def spec(self) -> Surface:
        found = Definitions(self.store).get("surface", self.surface).spec
        assert isinstance(found, Surface)
        return found

    def experiment(self) -> Definition:
        return Definitions(self.store).get("experiment", experiment_key(self.surface, 1))

    def ramp(self) -> tuple[str, list[list[tuple[int, int]]]]:
        spec = self.experiment().spec
        assert isinstance(spec, Experiment)
        return spec.status, [variant.allocation for variant in spec.variants]


@pytest.fixture
def world(shared: Store, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(shared, monkeypatch)


def test_challenger_goes_to_live_by_stages(world: World) -> None:
    begun = world.start()
    assert (begun.state, begun.share, begun.id) == ("ramping", 0.01, 1)
    assert world.ramp() == ("running", [[(9900, 10_000)], [(0, 100)]])
    assert world.experiment().author == "promotion 1 (ana)"
    assert "begun by ana" in world.experiment().spec.description
    assert world.advance(after_ms=60_000).share == 0.01  # the stage is not over

    assert world.advance(after_ms=3_600_000).share == 0.1
    assert world.ramp() == ("running", [[(9000, 10_000)], [(0, 1000)]])
    assert world.advance(after_ms=3_600_000).share == 0.5
    assert world.ramp() == ("running", [[(5000, 10_000)], [(0, 5000)]])
    assert world.spec().policy == "old"

    landed = world.advance(after_ms=3_600_000)
    assert (landed.state, landed.share) == ("live", 1.0)
    assert (world.spec().policy, world.spec().shadows) == ("new", ["old"])
    assert world.ramp()[0] == "stopped"
    told = world.service().get(world.surface, 1)
    assert [step.state for step in told.steps] == [*["ramping"] * 3, "landing", "live"]
    assert told.steps[1].look is not None
    assert told.steps[1].look.effect_low == -0.1
    assert "Nothing says worse after 1,000 decisions" in told.steps[1].reason
    assert world.advance(after_ms=DAY_MS) == landed  # nothing is left to do


def test_challenger_that_turns_out_worse_is_taken_back_with_the_numbers(world: World) -> None:
    world.start()
    world.advance(after_ms=3_600_000)
    world.report = lambda: report(world.now_ms, effect(-0.05, -0.01))
    ended = world.advance(after_ms=1000)  # at once: harm waits for no stage
    assert (ended.state, ended.share) == ("reverted", 0.0)
    assert "reward of challenger − live is in [-0.05, -0.01] per decision" in ended.reason
    assert world.ramp()[0] == "stopped"
    assert world.spec().policy == "old"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            lambda at: report(
                at, effect(-0.1, 0.1), effect(-3, -2, metric="m", guardrail="violated")
            ),
            "Guardrail m is violated: challenger − live is in [-3, -2]",
        ),
        (
            lambda at: report(at, effect(0.01, 0.2, better="lower")),
            "The challenger is worse",
        ),
        (
            lambda at: report(
                at,
                problems=(
                    Problem(
                        code="not_learning",
                        text="Policy 'new' has published no snapshot.",
                        next_step="",
                    ),
                ),
            ),
            "new has published no snapshot",
        ),
    ],
)
def test_guardrails_take_a_challenger_back(
    world: World, made: Callable[[int], ExperimentReport], said: str
) -> None:
    world.start()
    world.report = lambda: made(world.now_ms)
    ended = world.advance(after_ms=1000)
    assert ended.state == "reverted"
    assert said in ended.reason


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda at: report(at, counted=(1000, 7)), "7 decisions of variant challenger count"),
        (lambda at: report(at, state="broken"), "Units did not arrive"),
        (lambda at: report(at, effect(None, None)), "can not be told yet"),
        (
            lambda at: report(
                at, problems=(Problem(code="no_drain", text="No host reports.", next_step=""),)
            ),
            "No host reports",
        ),
    ],
)
def test_ramp_waits_while_nothing_can_be_concluded(
    world: World, made: Callable[[int], ExperimentReport], said: str
) -> None:
    world.start()
    world.report = lambda: made(world.now_ms)
    assert world.advance(after_ms=DAY_MS).state == "ramping"
    shown = world.service().get(world.surface, 1)
    assert shown.look is not None
    assert (shown.look.action, shown.share) == ("hold", 0.01)
    assert said in shown.look.reason


def test_kill_switch_holds_a_ramp(world: World) -> None:
    world.start()
    put(world.store, replace(world.spec(), killed=True), expected=1)
    assert world.advance(after_ms=DAY_MS).share == 0.01


def test_refused_challenger_is_kept_with_its_gate_and_serves_nobody(world: World) -> None:
    world.passes = False
    found = world.start()
    assert (found.state, found.share, found.reason) == ("refused", 0.0, "It is in [0.1, 0.2].")
    assert found.gate is not None
    assert not found.gate.passed
    assert world.advance(after_ms=DAY_MS).state == "refused"
    assert world.spec().policy == "old"
    with pytest.raises(NotDeclared):
        world.experiment()
    with pytest.raises(RecordError, match="is refused, must be ramping or live"):
        world.service().revert(world.surface, 1, "", author="ana")


def test_dry_run_keeps_nothing(world: World) -> None:
    found = world.service().ask(world.surface, "new")
    assert (found.state, found.id) == ("ready", None)
    assert world.service().all(world.surface) == []


def test_promotion_under_way_is_the_answer_to_the_same_wish(world: World) -> None:
    assert world.start().id == world.start().id == 1


def test_ramp_of_one_stage_lands_at_once_by_its_gate_alone(world: World) -> None:
    found = world.start(PromotionPlan(ramp=(100.0,)))
    assert (found.state, found.experiment) == ("live", "")
    assert world.spec().policy == "new"


def test_somebody_takes_a_live_challenger_back(world: World) -> None:
    world.start(PromotionPlan(ramp=(100.0,)))
    ended = world.service().revert(world.surface, 1, "Complaints.", author="bea")
    assert (ended.state, ended.reason, ended.steps[-1].author) == ("reverted", "Complaints.", "bea")
    assert (world.spec().policy, world.spec().shadows) == ("old", ["new"])
    again = world.service().revert(world.surface, 1, "Twice.", author="bea")
    assert again == ended


def test_live_challenger_that_was_replaced_by_hand_is_not_reverted(world: World) -> None:
    world.start(PromotionPlan(ramp=(100.0,)))
    put(world.store, replace(world.spec(), policy="third"), expected=2)
    with pytest.raises(RecordError, match="has policy 'third' by now, must have 'new'"):
        world.service().revert(world.surface, 1, "", author="bea")


def test_ramp_whose_surface_somebody_changes_is_abandoned(world: World) -> None:
    world.start()
    put(world.store, replace(world.spec(), policy="third"), expected=1)
    ended = world.advance(after_ms=DAY_MS)
    assert ended.state == "abandoned"
    assert "ana gave the surface policy 'third' at version 2" in ended.reason
    assert world.ramp()[0] == "stopped"
    assert world.spec().policy == "third"


def test_ramp_whose_experiment_somebody_stops_is_abandoned(world: World) -> None:
    world.start()
    stopped = replace(world.experiment().spec, status="stopped")  # type: ignore[type-var]
    put(world.store, stopped, expected=1)
    ended = world.advance(after_ms=DAY_MS)
    assert ended.state == "abandoned"
    assert f"ana has stopped experiment '{world.surface}.promotion-1'" in ended.reason


def test_experiment_that_somebody_touched_ends_with_its_ramp_all_the_same(world: World) -> None:
    world.start()
    touched = replace(world.experiment().spec, description="Mine now.")  # type: ignore[type-var]
    put(world.store, touched, expected=1)
    world.report = lambda: report(world.now_ms, effect(-0.2, -0.1))
    assert world.advance(after_ms=1000).state == "reverted"
    assert world.ramp()[0] == "stopped"


def test_surface_of_another_project_is_not_there(world: World) -> None:
    theirs = world.service(project="theirs")
    for ask in (
        lambda: theirs.ask(world.surface, "new"),
        lambda: theirs.start(world.surface, "new", author="eve"),
        lambda: theirs.all(world.surface),
        lambda: theirs.get(world.surface, 1),
        lambda: theirs.revert(world.surface, 1, "", author="eve"),
    ):
        with pytest.raises(NotDeclared):
            ask()
    world.start()
    world.now_ms += DAY_MS
    theirs.advance()
    assert world.newest().share == 0.01


def test_promotion_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="promotion 9 of surface"):
        world.service().get(world.surface, 9)


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("harm", [False, True], ids=["to live", "to revert"])
def test_host_killed_at_any_write_leaves_what_the_next_one_finishes(
    world: World, monkeypatch: pytest.MonkeyPatch, *, harm: bool
) -> None:
    """Every write of one pass after another is the last one of a host; nobody ends half-way."""
    world.start()
    if harm:
        world.report = lambda: report(world.now_ms, effect(-0.2, -0.1))
    real = {DefinitionService: DefinitionService.put, Promotions: Promotions.add}
    for doomed in range(40):
        writes = itertools.count()

        def dies(real_one: Callable, *given: object, _n=doomed % 4, _w=writes, **named: object):
            if next(_w) == _n:
                raise Killed
            return real_one(*given, **named)

        for kind, method in real.items():
            name = method.__name__
            monkeypatch.setattr(kind, name, lambda *a, _m=method, _d=dies, **k: _d(_m, *a, **k))
        world.now_ms += 3_600_000
        try:
            world.service().advance(world.surface)
        except Killed:
            never_live_without_a_gate(world)
            continue
        if world.newest().state in ("live", "reverted"):
            break
    for kind, method in real.items():
        monkeypatch.setattr(kind, method.__name__, method)
    world.advance(after_ms=3_600_000)
    assert world.newest().state == ("reverted" if harm else "live")
    assert world.spec().policy == ("old" if harm else "new")
    assert world.ramp()[0] == "stopped"


def test_late_host_does_not_land_what_was_taken_back(world: World) -> None:
    """Host A stops between reading `landing` and writing; B reverts; A goes on."""
    world.start()
    promotions = Promotions(world.store)
    step = promotions.steps(world.surface, 1)[-1]
    landing = replace(
        step, seq=2, change_id="l", state="landing", stage=3, share=1.0, evidence=NO_JSON
    )
    promotions.add(landing)
    late = world.service()
    assert world.service().revert(world.surface, 1, "Stop.", author="bea").state == "reverted"
    with pytest.raises(VersionConflict):
        late._carried_out(landing)
    assert world.spec().policy == "old"
    assert world.ramp()[0] == "stopped"


def test_late_host_does_not_begin_a_ramp_that_was_taken_back(world: World) -> None:
    """Killed between the first step and its experiment; reverted; and then the host goes on."""
    promotions = Promotions(world.store)
    gate = world.gate(world.surface, "new", PLAN, T0)
    first = PromotionStep(
        surface=world.surface, promotion_id=1, seq=1, change_id="a", state="ramping",
        challenger="new", live="old", experiment=experiment_key(world.surface, 1), stage=0,
        share=0.01, reason="", plan=msgspec.Raw(msgspec.json.encode(PLAN)),
        evidence=msgspec.Raw(msgspec.json.encode(gate)), project="default", author="ana", at_ms=T0,
    )  # fmt: skip
    promotions.add(first)
    late = world.service()
    before = late._promotions.steps(world.surface, 1)
    assert world.service().revert(world.surface, 1, "Stop.", author="bea").state == "reverted"
    late._promotions.steps = lambda *_: before  # type: ignore[method-assign]
    late._declared.experiment = lambda _: None  # type: ignore[method-assign]
    with pytest.raises(VersionConflict):
        late._declared.ramp(first)
    assert world.ramp()[0] == "draft"


def never_live_without_a_gate(world: World) -> None:
    """Whatever serves everybody passed its gate."""
    for promotion in world.service().all(world.surface):
        told = world.service().get(world.surface, promotion.id or 0)
        if "live" in {step.state for step in told.steps} or world.spec().policy == told.challenger:
            assert told.gate is not None
            assert told.gate.passed


def test_nothing_lands_whose_gate_was_not_passed(world: World) -> None:
    """Not even if the steps say that it should: rows that nobody of us wrote."""
    world.passes = False
    world.start()
    promotions = Promotions(world.store)
    refused = promotions.steps(world.surface, 1)[-1]
    promotions.add(
        replace(refused, seq=2, change_id="forged", state="landing", share=1.0, evidence=NO_JSON)
    )
    ended = world.advance()
    assert (ended.state, ended.reason[:23]) == ("abandoned", "Its gate was not passed")
    assert world.spec().policy == "old"


@pytest.mark.parametrize(
    ("ramp", "must"),
    [
        ((10.0, 5.0, 100.0), "must ascend and end with 100"),
        ((1.0, 10.0), "must ascend and end with 100"),
        ((1.0, 60.0, 100.0), "0.01 to 50 before 100"),
        ((0.001, 100.0), "0.01 to 50 before 100"),
    ],
)
def test_ramp_that_can_not_be_split_evenly_is_refused(ramp: tuple[float, ...], must: str) -> None:
    with pytest.raises(RecordError, match=must):
        PromotionPlan(ramp=ramp)


def test_key_of_a_long_surface_is_still_its_own() -> None:
    keys = {experiment_key("s" * 99 + end, 7) for end in "ab"}
    assert len(keys) == 2
    assert all(len(key) <= 100 for key in keys)
