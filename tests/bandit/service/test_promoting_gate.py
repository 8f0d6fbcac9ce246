"""The gate over a real log: what it lets through, and why it refuses."""

import itertools
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from bandit.service.promoting_asking import Asking
from bandit.service.promoting_records import Gate, PromotionPlan
from bandit.specs import AnySpec, Experiment, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.migrations import migrate
from bandit.store.promotions import Promotions, PromotionStep
from tests.bandit.logs import T0, LogMaker

LATER = T0 + 3 * 3_600_000
SURFACE = Surface(
    key="home", policy="live", shadows=["new"], join_window_s=1.0, reward_low=0.0, max_actions=5
)
POLICIES = [
    PolicySpec(key="live", type="uniform", floor=0.2),
    PolicySpec(key="new", type="uniform", floor=0.2),
]
NUMBERS = itertools.count(1)


class Place(NamedTuple):
    """A surface of its own in a store that all tests of this file share: a store takes a second."""

    store: Store
    surface: str


@pytest.fixture(scope="module")
def shared(clickhouse_url: str) -> Iterator[Store]:
    store = Store.connect(clickhouse_url, database=f"test_{uuid.uuid4().hex}")
    migrate(store)
    for spec in POLICIES:
        Definitions(store).put(spec, expected=None, author="test", change_id=spec.key, now_ms=T0)
    yield store
    store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
    store.close()


@pytest.fixture
def place(shared: Store) -> Place:
    return Place(shared, f"home-{next(NUMBERS)}")


@dataclass
class Traffic:
    """What is logged: two actions, drawn evenly; the challenger takes the first more often.

    Attributes:
        chance: Of a reward, by action and country.
        wanted: The challenger's probability of the first action.
    """

    n: int = 1500
    units_n: int = 300
    chance: tuple[float, float] = (0.9, 0.1)
    worse_in: str = ""
    wanted: float = 0.8
    fields: dict[str, object] = field(default_factory=dict)

    def log(self, place: Place, start_ms: int = T0) -> None:
        rng, log = random.Random(7), LogMaker(*place, start_ms=start_ms)
        for n in range(self.n):
            action, country = rng.randrange(2), rng.choice(["US", "US", "US", "DE"])
            first, second = self.chance
            if country == self.worse_in:
                first, second = second, first
            decision = log.decide(
                n * 2000,
                unit=f"u{n % self.units_n}",
                writer=place.surface,  # a block's token names its writer
                policy="live",
                actions_n=2,
                ranking=(action,),
                context={"country": country, "session": f"s{n}"},
                shadows={"new": ((self.wanted if action == 0 else 1 - self.wanted),)},
                **({"propensities": (0.5,), "floor": 0.2} | self.fields),
            )
            if rng.random() < (first if action == 0 else second):
                log.reward(decision, 1.0, writer=place.surface)
        log.deliver()


def gate(
    place: Place, *specs: AnySpec, challenger: str = "new", at_ms: int = LATER, **plan: object
) -> Gate:
    definitions = Definitions(place.store)
    surface = next((spec for spec in specs if isinstance(spec, Surface)), SURFACE)
    others = [spec for spec in specs if spec is not surface]
    for spec in (replace(surface, key=place.surface), *others):
        definitions.put(spec, expected=None, author="test", change_id=spec.key, now_ms=T0)
    asking = Asking(place.store, definitions, Promotions(place.store))
    return asking.gate(place.surface, challenger, PromotionPlan(**plan), at_ms)  # type: ignore[arg-type]


def failed(found: Gate) -> str:
    return next((check.code for check in found.checks if not check.passed), "")


def test_better_challenger_is_let_through_with_its_numbers(place: Place) -> None:
    Traffic().log(place)
    found = gate(place)
    assert found.passed, found.refusal
    assert (found.n, found.units_n, found.weight_bound) == (1500, 300, 5.0)
    assert found.gain == pytest.approx(0.24, abs=0.03)  # 0.8·0.9 + 0.2·0.1 − 0.5
    assert found.gain_low is not None
    assert 0.0 < found.gain_low < 0.24
    assert {(s.by, s.value) for s in found.segments} == {("country", '"US"'), ("country", '"DE"')}
    assert sum(segment.n for segment in found.segments) == 1500
    assert [check.passed for check in found.checks] == [True] * 7


def test_challenger_that_is_no_better_is_refused_with_the_bound(place: Place) -> None:
    Traffic(n=1000, chance=(0.5, 0.5)).log(place)
    found = gate(place)
    assert failed(found) == "gain"
    assert "lower end is -" in found.refusal
    assert "must be above 0" in found.refusal


def test_challenger_that_is_worse_somewhere_is_refused_by_that_segment(place: Place) -> None:
    Traffic(n=2000, worse_in="DE", chance=(0.95, 0.05)).log(place)
    found = gate(place)
    worst = found.segments[0]
    assert (worst.value, worst.is_worse) == ('"DE"', True)
    assert failed(found) == "segments"
    assert 'worse in 1 of 2 segments: country = "DE": [-' in found.refusal


def test_segments_that_are_named_are_looked_at_and_no_others(place: Place) -> None:
    Traffic(n=600).log(place)
    found = gate(place, segments=("absent.member", "country"))
    assert {segment.by for segment in found.segments} == {"absent.member", "country"}
    assert [s.value for s in found.segments if s.by == "absent.member"] == [""]


def test_log_that_can_not_tell_shows_no_number(place: Place) -> None:
    Traffic(n=200, fields={"propensities": (1.0,)}).log(place)
    found = gate(place)
    assert failed(found) == "support"
    assert "200 fixed" in found.refusal
    assert (found.gain, found.gain_low, found.gain_high, found.segments) == (None, None, None, ())
    assert found.excluded == {"fixed": 200}


def test_wrong_propensities_are_refused(place: Place) -> None:
    Traffic(wanted=0.95, fields={"propensities": (0.9,)}).log(place)
    found = gate(place)
    assert failed(found) == "support"
    assert "propensities" in found.refusal


@pytest.mark.parametrize(
    ("specs", "challenger", "code", "text"),
    [
        ([replace(SURFACE, shadows=[])], "new", "shadowed", "add it to `shadows`"),
        ([replace(SURFACE, killed=True)], "new", "traffic", "kill switch"),
        ([], "live", "challenger", "serves surface home-"),
        ([replace(SURFACE, max_actions=9)], "new", "challenger", "0.2 * 9, must be at most 1"),
        (
            [
                Experiment(
                    key="e",
                    surface="home",
                    salt="s",
                    status="running",
                    control="a",
                    variants=[
                        Variant(key="a", policy="live", allocation=[(0, 10)]),
                        Variant(key="b", policy="new", allocation=[(10, 20)]),
                    ],
                )
            ],
            "new",
            "free",
            "Experiment e is running",
        ),
    ],
)
def test_what_is_declared_is_looked_at_first(
    place: Place, specs: list[AnySpec], challenger: str, code: str, text: str
) -> None:
    here = [replace(s, surface=place.surface) if isinstance(s, Experiment) else s for s in specs]
    found = gate(place, *here, challenger=challenger)
    assert failed(found) == code
    assert text in found.refusal
    assert found.verdict is None  # no evidence was looked at


def test_nothing_before_the_challengers_last_revert_is_evidence(place: Place) -> None:
    Traffic(n=600).log(place)
    reverted = PromotionStep(
        surface=place.surface, promotion_id=1, seq=1, change_id="a", state="reverted",
        challenger="new", live="live", experiment="", stage=0, share=0.0, reason="Worse.",
        project="default", author="promotion", at_ms=LATER - 2000,
    )  # fmt: skip
    Promotions(place.store).add(reverted)
    found = gate(place)
    assert (found.n, found.from_ms, failed(found)) == (0, LATER - 2000, "support")


def test_slices_of_hours_hold_every_decision_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    Traffic(n=2200).log(place)  # over an hour and more
    whole = gate(place)
    monkeypatch.setattr("bandit.store.gate_log.ROWS", 1)
    store = place.store
    asking = Asking(store, Definitions(store), Promotions(store))
    sliced = asking.gate(place.surface, "new", PromotionPlan(), LATER)
    assert sliced.n == whole.n == 2200
    assert sliced.gain_low == pytest.approx(whole.gain_low)


def test_rules_that_were_others_cost_the_bound_and_not_the_answer(place: Place) -> None:
    """A weight above the bound that is declared now: the floor of the log is larger than it was."""
    Traffic(n=500, fields={"floor": 0.9}).log(place)
    found = gate(place)
    assert (found.n, found.weight_bound) == (500, None)


def test_decisions_without_the_shadow_are_counted_and_left_out(place: Place) -> None:
    Traffic(n=1000).log(place)
    log = LogMaker(*place, start_ms=T0 + 7_000_000)
    for n in range(50):
        log.decide(n, unit=f"x{n}", writer=f"{place.surface}-2", policy="live", propensities=(0.5,))
    log.deliver()
    found = gate(place)
    assert (found.n, found.excluded) == (1000, {"absent": 50})
