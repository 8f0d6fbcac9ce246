"""Signed surfaces: who was not given a decision can tell nothing about it."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from bandit.errors import BadSpec, BadToken, NotFound, NotOffered, RecordError, TooManyRewards
from bandit.event_id import make_event_id, surface_tag
from bandit.records import Decision, LoggedDecision, Reward
from bandit.service.accepting import AcceptingService, derived_reward_id
from bandit.service.deciding import DecisionService
from bandit.service.event_ids import AHEAD_MS
from bandit.service.personalizing import personalizing
from bandit.service.repeats import PastDecisions
from bandit.service.tokens import SKEW_MS, TokenKey, Tokens
from bandit.specs import Surface
from bandit.wire import ExposureRequest, RankAnswer, RankRequest, RewardRequest
from tests.bandit.service.making import (
    NOW_MS,
    SALT,
    UNIFORM,
    MemoryJournal,
    counting_entropy,
    logged,
    request,
    serving,
)

SIGNED = Surface(key="home.feed", policy="random", max_actions=10, signed=True)
CAPPED = Surface(key="home.top", policy="random", signed=True, unit_rewards_per_hour=2)
OPEN = Surface(key="home.open", policy="random")
KEY = TokenKey(kid="k-01", secret="01" * 32, signs_from_ms=0)
WINDOW_MS = 600_000


class Service:
    """One worker's services over a clock that a test moves."""

    def __init__(
        self,
        *surfaces: Surface,
        find: Callable[[str], LoggedDecision] | None = None,
        salt: bytes = SALT,
        key: TokenKey = KEY,
    ) -> None:
        def nothing(event_id: str) -> LoggedDecision:
            raise NotFound("no such decision")

        self.now_ms = NOW_MS
        self.journal = MemoryJournal()
        self.serving = serving(UNIFORM, *(surfaces or (SIGNED, CAPPED, OPEN)))
        self.tokens = Tokens([key], salt=salt)
        common: dict[str, Any] = {
            "salt": salt,
            "now_ms": lambda: self.now_ms,
            "entropy": counting_entropy(),
        }
        past = PastDecisions(find or nothing, monotonic_s=time.monotonic)
        self.deciding = DecisionService(
            self.serving,
            self.journal,  # type: ignore[arg-type]
            past=past,
            tokens=self.tokens,
            **common,
        )
        self.accepting = AcceptingService(
            self.serving,
            self.journal,  # type: ignore[arg-type]
            tokens=self.tokens,
            **common,
        )
        self.common = common

    def rank(self, asked: RankRequest | None = None, **fields: Any) -> RankAnswer:
        asked = asked or request("a", "b", **fields)
        return self.deciding.rank(asked, msgspec.json.encode(asked))

    def reward(self, answer: RankAnswer, **changes: Any) -> int:
        fields = {"event_id": answer.event_id, "token": answer.token, "value": 1.0} | changes
        return self.accepting.rewards(RewardRequest(**fields))

    @property
    def rewards(self) -> list[Reward]:
        return [one for one in self.journal.records if isinstance(one, Reward)]


@pytest.fixture
def service() -> Service:
    return Service()


def own_id(ts_ms: int = NOW_MS) -> str:
    text = f"{ts_ms:012x}"
    return f"{text[:8]}-{text[8:]}-7abc-8def-0123456789ab"


def test_only_answers_of_signed_surfaces_have_a_token(service: Service) -> None:
    assert service.rank().token is not None
    assert service.rank(surface="home.open").token is None


def test_reward_with_its_token_is_accepted_and_without_any_refused(service: Service) -> None:
    answer = service.rank()
    assert service.reward(answer) == 1
    with pytest.raises(BadToken, match=r"- at `\$\.token`"):
        service.reward(answer, token=None)
    assert len(service.rewards) == 1


def test_exposure_needs_the_token_too(service: Service) -> None:
    answer = service.rank()
    seen = ExposureRequest(event_id=answer.event_id, slots=[0], token=answer.token)
    assert service.accepting.exposures(seen) == 1
    with pytest.raises(BadToken):
        service.accepting.exposures(msgspec.structs.replace(seen, token=None))


def test_all_causes_have_one_wording(service: Service) -> None:
    answer, other = service.rank(), service.rank(unit_id="user-1")
    top = service.rank(surface="home.top")
    said = set()
    for changes in (
        {"token": None},
        {"token": "rubbish"},
        {"token": other.token},
        {"token": top.token},
        {"token": "k-09" + (answer.token or "")[4:]},
    ):
        with pytest.raises(BadToken) as caught:
            service.reward(answer, **changes)
        said.add(str(caught.value))
    service.now_ms += WINDOW_MS + SKEW_MS
    with pytest.raises(BadToken) as caught:
        service.reward(answer)
    assert {*said, str(caught.value)} == {str(caught.value)}


def test_bad_token_in_a_list_refuses_all_of_it_and_names_its_place(service: Service) -> None:
    answers = [service.rank() for _ in range(3)]
    asked = [
        RewardRequest(event_id=answer.event_id, value=1.0, token=answer.token)
        for answer in (*answers, answers[0])
    ]
    asked[2] = msgspec.structs.replace(asked[2], token=answers[0].token)
    with pytest.raises(BadToken, match=r"- at `\$\[2\]\.token`"):
        service.accepting.rewards(asked)
    assert service.rewards == []


@pytest.mark.parametrize(("ours", "slack_ms"), [(True, SKEW_MS), (False, SKEW_MS + AHEAD_MS)])
def test_token_is_good_until_no_reward_can_be_in_time(
    service: Service, ours: bool, slack_ms: int
) -> None:
    answer = service.rank(event_id=None if ours else own_id())
    service.now_ms += WINDOW_MS + slack_ms - 1
    assert service.reward(answer, surface="home.feed") == 1
    service.now_ms += 1
    with pytest.raises(BadToken):
        service.reward(answer, surface="home.feed")


def test_same_reward_again_is_the_same_reward(service: Service) -> None:
    answer = service.rank()
    for value in (1.0, 1.0, 0.5):
        service.reward(answer, value=value)
    assert {one.reward_id for one in service.rewards} == {
        derived_reward_id(answer.event_id, "reward", 0)
    }


def test_reward_id_of_ones_own_is_refused_and_the_derived_one_taken(service: Service) -> None:
    answer = service.rank()
    with pytest.raises(RecordError, match=r"reward_id is 'r-2' and the surface is signed"):
        service.reward(answer, reward_id="r-2")
    assert service.reward(answer, reward_id=derived_reward_id(answer.event_id, "reward", 0)) == 1


def test_clients_own_event_id_is_bound_to_its_token(service: Service) -> None:
    answer = service.rank(event_id=own_id())
    assert service.reward(answer, surface="home.feed") == 1
    for changes in ({"surface": "home.top"}, {"surface": "home.feed", "token": None}):
        with pytest.raises(BadToken):
            service.reward(answer, **changes)


def test_nothing_is_accepted_for_no_surface_while_any_is_signed(service: Service) -> None:
    """Learners of every surface read the stream '': it must not be a way around the token."""
    unknown = make_event_id(NOW_MS, surface_tag("not.known.here"), b"123456", SALT)
    for event_id in (own_id(), unknown):
        with pytest.raises(RecordError, match=r"surface is not given .* - at `\$\.surface`"):
            service.accepting.rewards(RewardRequest(event_id=event_id, value=1.0))
        with pytest.raises(RecordError, match="surface is not given"):
            service.accepting.exposures(ExposureRequest(event_id=event_id, slots=[0]))
    assert Service(OPEN).accepting.rewards(RewardRequest(event_id=own_id(), value=1.0)) == 1


def test_reward_for_an_open_surface_goes_to_no_signed_one(service: Service) -> None:
    answer = service.rank(event_id=own_id())
    assert service.reward(answer, surface="home.open", token=None) == 1
    assert service.rewards[-1].surface == "home.open"


def test_repeated_event_id_gives_its_token_to_its_unit_only(service: Service) -> None:
    """Whoever has seen an event id could else ask for its token."""
    first = service.rank(event_id=own_id(), unit_id="user-0")
    assert service.rank(event_id=own_id(), unit_id="user-0") == first
    again = service.rank(event_id=own_id(), unit_id="user-1")
    assert again == msgspec.structs.replace(first, token=None)


def test_decision_of_another_worker_is_answered_with_its_token() -> None:
    asked = request("a", "b", event_id=own_id(NOW_MS - 5000))
    first = Service()
    answer = first.rank(asked)
    (decision,) = first.journal.records
    assert isinstance(decision, Decision)
    second = Service(find=lambda _: logged(decision, asked))
    asyncio.run(second.deciding.recall(decision.event_id))
    assert second.rank(asked) == answer
    assert second.journal.records == []


def test_unit_earns_its_cap_and_no_more(service: Service) -> None:
    answers = [service.rank(surface="home.top") for _ in range(3)]
    for answer in answers[:2]:
        service.reward(answer)
    with pytest.raises(TooManyRewards):
        service.reward(answers[2])
    assert service.reward(service.rank(surface="home.top", unit_id="user-1")) == 1
    assert len(service.rewards) == 3


def test_list_over_a_cap_names_the_first_reward_that_is_too_much(service: Service) -> None:
    answer = service.rank(surface="home.top")
    asked = [
        RewardRequest(event_id=answer.event_id, value=1.0, name=f"n{n}", token=answer.token)
        for n in range(4)
    ]
    with pytest.raises(TooManyRewards, match=r"- at `\$\[2\]\.token`"):
        service.accepting.rewards(asked)
    assert service.rewards == []


def test_cap_needs_a_signed_surface() -> None:
    with pytest.raises(BadSpec, match="signed is false, must be true"):
        Surface(key="home.feed", policy="random", unit_rewards_per_hour=5)


def test_worker_without_keys_accepts_nothing_signed(service: Service) -> None:
    answer = service.rank()
    bare = AcceptingService(service.serving, service.journal, **service.common)  # type: ignore[arg-type]
    with pytest.raises(BadToken):
        bare.rewards(RewardRequest(event_id=answer.event_id, value=1.0, token=answer.token))


def test_personalizers_protocol_is_not_offered_on_a_signed_surface(service: Service) -> None:
    def nothing(_: Sequence[str]) -> LoggedDecision:
        raise NotFound("none")

    one = personalizing(
        service.serving,
        service.deciding,
        service.accepting,
        nothing,
        monotonic_s=time.monotonic,
        **service.common,
    )
    for call in (
        one.reward("home.feed", "visit", 1.0),
        one.activate("home.feed", "visit"),
        one.reward_slots("home.feed", "visit", {"a": 1.0}),
    ):
        with pytest.raises(NotOffered, match="signed, and Personalizer's protocol has no place"):
            asyncio.run(call)
    one.close()


def test_no_bad_token_in_thousands_is_accepted(service: Service) -> None:
    """The short version of `python -m tests.fuzz tokens`, which tries 100,000."""
    chance = random.Random(7)
    foreign = Service(key=TokenKey(kid="k-01", secret="ff" * 32, signs_from_ms=0))
    answers = [service.rank(unit_id=f"u{n}") for n in range(20)]
    strangers = [foreign.rank(unit_id=f"u{n}") for n in range(20)]
    for _ in range(2000):
        answer = chance.choice(answers)
        token, other = answer.token or "", chance.choice(answers)
        place = chance.randrange(len(token))
        flipped = chr(ord(token[place]) ^ 1 << chance.randrange(7))
        bad = chance.choice(
            [
                chance.randbytes(30).hex()[:40],
                token[:place] + flipped + token[place + 1 :],
                chance.choice(strangers).token,
                other.token if other is not answer else None,
            ]
        )
        with pytest.raises(BadToken):
            service.reward(answer, token=bad)
    assert service.rewards == []
