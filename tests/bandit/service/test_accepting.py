"""Rewards, exposures and outcomes: what is refused, and where in the log the rest goes."""

import pytest

from bandit.errors import JournalUnavailable, NotDeclared, RecordError
from bandit.event_id import make_event_id, surface_tag
from bandit.records import Exposure, Outcome, Reward
from bandit.service.accepting import OLDEST_MS, AcceptingService, derived_reward_id
from bandit.service.event_ids import AHEAD_MS
from bandit.specs import Surface
from bandit.wire import ExposureRequest, OutcomeRequest, Pin, RewardRequest
from tests.bandit.service.making import (
    NOW_MS,
    SALT,
    SURFACE,
    UNIFORM,
    MemoryJournal,
    counting_entropy,
    serving,
)

OTHER = Surface(key="home.hero", policy="random", reward_low=0.0, reward_high=5.0)
OWN = f"{NOW_MS:012x}"
OWN = f"{OWN[:8]}-{OWN[8:]}-7abc-8def-0123456789ab"


def id_of(surface: str, ts_ms: int = NOW_MS) -> str:
    return make_event_id(ts_ms, surface_tag(surface), b"123456", SALT)


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def service(journal: MemoryJournal) -> AcceptingService:
    return AcceptingService(
        serving(UNIFORM, SURFACE, OTHER),
        journal,  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: NOW_MS,
        entropy=counting_entropy(),
    )


def test_reward_goes_to_the_stream_of_its_decision(
    service: AcceptingService, journal: MemoryJournal
) -> None:
    event_id = id_of("home.hero", NOW_MS - 5000)
    assert service.rewards(RewardRequest(event_id=event_id, value=4.5, slot=2, name="stars")) == 1
    assert journal.records == [
        Reward(
            ts_ms=NOW_MS,
            surface="home.hero",
            event_id=event_id,
            decision_ts_ms=NOW_MS - 5000,
            slot=2,
            name="stars",
            value=4.5,
            reward_id=derived_reward_id(event_id, "stars", 2),
        )
    ]


@pytest.mark.parametrize(
    ("event_id", "surface", "stream"),
    [
        (OWN, None, ""),  # nobody can know it
        (OWN, "home.hero", "home.hero"),
        (id_of("home.hero"), "home.hero", "home.hero"),
        (id_of("not.known.here"), None, ""),
    ],
)
def test_surface_comes_from_the_event_id_or_from_the_request(
    service: AcceptingService,
    journal: MemoryJournal,
    event_id: str,
    surface: str | None,
    stream: str,
) -> None:
    service.rewards(RewardRequest(event_id=event_id, value=0.5, surface=surface))
    service.exposures(ExposureRequest(event_id=event_id, slots=[0, 2], surface=surface))
    assert [record.surface for record in journal.records] == [stream, stream]


def test_exposure_keeps_its_slots(service: AcceptingService, journal: MemoryJournal) -> None:
    service.exposures(ExposureRequest(event_id=OWN, slots=[0, 2]))
    assert journal.records == [
        Exposure(ts_ms=NOW_MS, event_id=OWN, decision_ts_ms=NOW_MS, slots=(0, 2))
    ]


def test_exposure_keeps_what_was_shown_instead(
    service: AcceptingService, journal: MemoryJournal
) -> None:
    over = [Pin(id="\u202ebill\x00board", slot=1), Pin(id="b", slot=3)]
    service.exposures(ExposureRequest(event_id=OWN, slots=[0], overridden=over))
    (record,) = journal.records
    assert isinstance(record, Exposure)
    assert (record.slots, record.overridden) == ((0,), ((1, over[0].id), (3, "b")))


@pytest.mark.parametrize(("slots", "overridden"), [([1], [1]), ([], [2, 2])])
def test_slot_that_is_named_twice_in_an_exposure_is_refused(
    service: AcceptingService, journal: MemoryJournal, slots: list[int], overridden: list[int]
) -> None:
    over = [Pin(id="b", slot=slot) for slot in overridden]
    with pytest.raises(RecordError, match=r"named twice.*\$\.overridden\[\d\]\.slot"):
        service.exposures(ExposureRequest(event_id=OWN, slots=slots, overridden=over))
    assert journal.records == []


def test_same_reward_sent_twice_has_the_same_id_and_other_slots_others(
    service: AcceptingService, journal: MemoryJournal
) -> None:
    service.rewards(
        [RewardRequest(event_id=OWN, value=1.0, slot=slot) for slot in (0, 0, 1)]
        + [RewardRequest(event_id=OWN, value=1.0, reward_id="mine")]
    )
    first, second, other, mine = (r.reward_id for r in journal.records if isinstance(r, Reward))
    assert first == second != other
    assert mine == "mine"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (RewardRequest(event_id=id_of("home.feed"), value=1.5), r"in \[-1, 1\] - at `\$.value`"),
        (RewardRequest(event_id=id_of("home.hero"), value=-1.0), r"in \[0, 5\] - at `\$.value`"),
        (RewardRequest(event_id=OWN, value=1e39), r"value is 1e\+39, must be in"),
        (RewardRequest(event_id=OWN, value=float("nan")), "value is nan, must be in"),
        (RewardRequest(event_id="x\ny", value=1.0), "must be a UUIDv7"),
        (RewardRequest(event_id=id_of("home.feed"), value=0.0, surface="home.hero"), "belongs to"),
        (RewardRequest(event_id=id_of("home.feed", NOW_MS - OLDEST_MS - 1), value=0.0), "s old"),
        (RewardRequest(event_id=id_of("home.feed", NOW_MS + AHEAD_MS + 1), value=0.0), "s old"),
    ],
)
def test_bad_reward_is_refused_and_never_journaled(
    service: AcceptingService, journal: MemoryJournal, asked: RewardRequest, says: str
) -> None:
    with pytest.raises(RecordError, match=says):
        service.rewards(asked)
    assert journal.records == []


def test_one_bad_reward_refuses_the_whole_list_and_is_named(
    service: AcceptingService, journal: MemoryJournal
) -> None:
    good, bad = (RewardRequest(event_id=id_of("home.feed"), value=value) for value in (1.0, 9.0))
    with pytest.raises(RecordError, match=r"value is 9.0.* - at `\$\[1\].value`"):
        service.rewards([good, bad])
    assert journal.records == []


def test_list_is_journaled_in_one_write(service: AcceptingService, journal: MemoryJournal) -> None:
    assert service.rewards([RewardRequest(event_id=OWN, value=1.0)] * 3) == 3
    assert (journal.writes, len(journal.records)) == (1, 3)


def test_surface_that_is_not_declared_is_refused(service: AcceptingService) -> None:
    with pytest.raises(NotDeclared):
        service.rewards(RewardRequest(event_id=OWN, value=1.0, surface="nowhere"))


def test_outcome_keeps_its_id_or_gets_a_new_one(
    service: AcceptingService, journal: MemoryJournal
) -> None:
    given = OutcomeRequest(unit_id="u", name="revenue", value=9.5, outcome_id="order-7")
    without = OutcomeRequest(unit_id="u", name="revenue", value=9.5)
    assert service.outcomes([given, without, without]) == 3
    ids = [record.outcome_id for record in journal.records if isinstance(record, Outcome)]
    assert ids[0] == "order-7"
    assert len(set(ids)) == 3


def test_outcome_that_is_no_number_is_refused(service: AcceptingService) -> None:
    with pytest.raises(RecordError, match=r"value is inf.*\$.value"):
        service.outcomes(OutcomeRequest(unit_id="u", name="revenue", value=float("inf")))


def test_journal_that_fails_is_told(service: AcceptingService, journal: MemoryJournal) -> None:
    journal.broken = True
    with pytest.raises(JournalUnavailable):
        service.rewards(RewardRequest(event_id=OWN, value=1.0))
