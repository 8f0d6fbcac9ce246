"""Reward fraud: how much of a surface a few percent of hostile traffic can take for one action.

Everything that judges a request is what serves: `DecisionService` decides and signs,
`AcceptingService` accepts or refuses, `Joiner` joins, Vowpal Wabbit learns. Only the journal is a
list, and what is learned serves at once.

The truth: segments of units with a click rate for each action. The attacked action is nowhere the
best. Attackers make up a share of the requests, and send theirs at random times among the others.
What a hostile request is:

none: an honest one.
posts: a list of rewards of 1 for the attacked action: for event ids it made up, and for those of
    other units' decisions, of which it is assumed to know all.
posts, tokens: the same, each with the token of a decision of its own.
asks: a ranking for a unit of its own, rewarded with 1 under several names if the attacked action
    came, and each of that sent again.
asks, one segment: the same, always with the context of one segment.
"""

from collections.abc import Callable, Sequence
from typing import Literal, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bandit.errors import BadToken, NotFound, RecordError, TooManyRewards
from bandit.event_id import make_event_id, surface_tag
from bandit.journal import Journal
from bandit.learning.joiner import Joiner
from bandit.policies import LearningPolicy, build
from bandit.records import Action, Decision, LoggedDecision, Record, Reward
from bandit.service.accepting import AcceptingService
from bandit.service.deciding import DecisionService
from bandit.service.repeats import PastDecisions
from bandit.service.serving_state import RunnablePolicy, Serving, ServingState, assemble
from bandit.service.tokens import TokenKey, Tokens
from bandit.specs import PolicySpec, Surface
from bandit.store.definitions import Definition
from bandit.store.logged import LoggedReward
from bandit.store.tail import TailBatch
from bandit.wire import RankAnswer, RankRequest, RewardRequest
from sims.runner import FIRST_MS, SALT

Attack = Literal["none", "posts", "posts, tokens", "asks", "asks, one segment"]
SEGMENTS, ACTIONS, UNITS = 5, 10, 1_000
ROUND_MS = 500
"""Between two requests: 7,200 an hour, 7 of each unit."""
BATCH = 20
"""Rewards of one hostile list."""
NAMES = 3
"""Under which an attacker that asks rewards each decision, and so often again."""
CAP = 10
"""`unit_rewards_per_hour` where there is one: an honest unit earns about 2 an hour."""
LIMIT_POINTS = 5.0
POLICY = PolicySpec(key="learned", type="vw", surface="fraud", floor=0.005)


class Scenario(Record, frozen=True, kw_only=True):
    """One row of the table.

    Attributes:
        share: Of all requests that are hostile.
        cap: `unit_rewards_per_hour`.
        attackers: Units of those that ask.
    """

    attack: Attack
    share: float = 0.0
    signed: bool = False
    cap: int | None = None
    attackers: int = 1


class Outcome(Record, frozen=True, kw_only=True):
    """What came of a scenario with one seed.

    Attributes:
        attacked: Share of the honest requests of the last half that got the attacked action.
        reward: Of the honest requests of the last half, on average.
        accepted, refused: Hostile rewards.
        honest_refused: Honest rewards that a cap refused.
    """

    scenario: Scenario
    seed: int
    attacked: float
    reward: float
    accepted: int
    refused: int
    honest_refused: int


class _Log:
    """A journal that is a list, and gives what was written since it was asked last."""

    keep_share = 1.0

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.rewards: list[LoggedReward] = []
        self._seq = 0

    def require_room(self) -> None:
        """There is always some."""

    def append(self, record: Decision | Reward) -> None:
        """Write a record."""
        self.append_many([record])

    def append_many(self, records: Sequence[Decision | Reward]) -> None:
        """Write records."""
        for record in records:
            self._seq += 1
            if isinstance(record, Decision):
                self.decisions.append(record)
            else:
                self.rewards.append(LoggedReward("w", self._seq, record))


class Fraud:
    """One scenario with one seed."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Make the truth, which depends on the seed only, and the service."""
        self.scenario, self.seed = scenario, seed
        truth, self.rng, self.for_attack, for_ids = np.random.default_rng(seed).spawn(4)
        self.rates = truth.beta(1.2, 6.0, size=(SEGMENTS, ACTIONS))
        self.favourite = _nowhere_best(self.rates)
        self.actions = [Action.of(f"a{index}") for index in range(ACTIONS)]
        self.now_ms = FIRST_MS
        self.log = _Log()
        self.learned = cast("LearningPolicy", build(POLICY))
        self.surface = Surface(
            key="fraud",
            policy=POLICY.key,
            join_window_s=60.0,
            reward_low=0.0,
            signed=scenario.signed,
            unit_rewards_per_hour=scenario.cap,
        )
        self.joiner = Joiner(self.surface)
        self.deciding, self.accepting = self._services(for_ids.bytes)
        self.known: list[str] = []
        self.own: list[RankAnswer] = []
        self.accepted = self.refused = self.honest_refused = 0

    def _services(
        self, entropy: Callable[[int], bytes]
    ) -> tuple[DecisionService, AcceptingService]:
        specs = (POLICY, self.surface)
        declared = [
            Definition(
                kind=spec.kind,
                key=spec.key,
                version=1,
                created_ms=FIRST_MS,
                author="sims",
                change_id=spec.key,
                spec=spec,
            )
            for spec in specs
        ]
        policies = {POLICY.key: RunnablePolicy(POLICY, 1, FIRST_MS, self.learned)}
        serving = Serving(assemble(1, declared, policies, ServingState()))
        tokens = Tokens([TokenKey(kid="sims", secret="5a" * 32, signs_from_ms=0)], salt=SALT)
        journal, now_ms = cast("Journal", self.log), lambda: self.now_ms
        past = PastDecisions(_nothing, monotonic_s=lambda: 0.0)
        return (
            DecisionService(
                serving,
                journal,
                salt=SALT,
                now_ms=now_ms,
                entropy=entropy,
                past=past,
                tokens=tokens,
            ),
            AcceptingService(
                serving, journal, salt=SALT, now_ms=now_ms, entropy=entropy, tokens=tokens
            ),
        )

    def run(self, rounds_n: int) -> Outcome:
        """Play so many requests."""
        late: list[tuple[bool, float]] = []
        for number in range(rounds_n):
            self.now_ms = FIRST_MS + number * ROUND_MS
            # Drawn each time, so that all scenarios of a seed have the same honest requests.
            unit, click, is_hostile = self.rng.integers(UNITS), self.rng.random(), self.rng.random()
            if is_hostile < self.scenario.share:
                self._attack()
            else:
                met = self._honest(int(unit), click)
                if number >= rounds_n // 2:
                    late.append(met)
            self._learn()
        attacked, reward = np.mean(late, axis=0).tolist()
        return Outcome(
            scenario=self.scenario,
            seed=self.seed,
            attacked=attacked,
            reward=reward,
            accepted=self.accepted,
            refused=self.refused,
            honest_refused=self.honest_refused,
        )

    def _honest(self, unit: int, click: float) -> tuple[bool, float]:
        """One honest request: whether it got the attacked action, and its reward."""
        answer = self._rank(f"u{unit}", unit % SEGMENTS)
        drawn = int(answer.ranking[0].id[1:])
        reward = float(click < self.rates[unit % SEGMENTS, drawn])
        if drawn == self.favourite:
            self.known.append(answer.event_id)
        if reward and not self._post([self._request(answer.event_id, answer.token)], honest=True):
            self.honest_refused += 1
        return drawn == self.favourite, reward

    def _rank(self, unit_id: str, segment: int) -> RankAnswer:
        request = RankRequest(
            surface="fraud",
            unit_id=unit_id,
            context=msgspec.Raw(b'{"segment":"s%d"}' % segment),
            actions=self.actions,
        )
        return self.deciding.rank(request, msgspec.json.encode(request))

    def _request(self, event_id: str, token: str | None, name: str = "click") -> RewardRequest:
        return RewardRequest(event_id=event_id, value=1.0, token=token, name=name)

    def _post(self, requests: list[RewardRequest], *, honest: bool = False) -> bool:
        try:
            self.accepting.rewards(requests)
        except (BadToken, TooManyRewards, RecordError):
            self.refused += 0 if honest else len(requests)
            return False
        self.accepted += 0 if honest else len(requests)
        return True

    def _attack(self) -> None:
        attack, chance = self.scenario.attack, self.for_attack
        unit_id = f"attacker{chance.integers(self.scenario.attackers)}"
        if attack.startswith("posts"):
            token = None
            if attack == "posts, tokens":
                self.own.append(self._rank(unit_id, int(chance.integers(SEGMENTS))))
                token = self.own[-1].token
            tag = surface_tag("fraud")
            half = BATCH // 2
            made_up = [make_event_id(self.now_ms, tag, chance.bytes(6), b"?") for _ in range(half)]
            for event_id in [*made_up, *self.known[-half:]]:
                self._post([self._request(event_id, token)])
            return
        segment = 0 if attack == "asks, one segment" else int(chance.integers(SEGMENTS))
        answer = self._rank(unit_id, segment)
        if answer.ranking[0].id == f"a{self.favourite}":
            for name in [f"n{n}" for n in range(NAMES)] * 2:
                self._post([self._request(answer.event_id, answer.token, name)])

    def _learn(self) -> None:
        """Join and learn what can get no more rewards; in slices, as a learner does."""
        log = self.log
        if len(log.decisions) < 20:
            return
        rows = [_logged(one, self.actions) for one in log.decisions]
        self.joiner.add(TailBatch(rows, log.rewards, [], cursor={}))
        log.decisions, log.rewards = [], []
        for joined in self.joiner.close(self.now_ms - 60_000):
            for lesson in joined.lessons(POLICY):
                self.learned.learn(lesson)


def run_fraud(scenario: Scenario, *, rounds_n: int, seed: int) -> Outcome:
    """Play a scenario; equal arguments give equal outcomes."""
    return Fraud(scenario, seed).run(rounds_n)


def scenarios(share: float) -> list[Scenario]:
    """The baseline, the contrast, and then every attack with what should hold it."""
    return [
        Scenario(attack="none"),
        Scenario(attack="posts", share=share),
        Scenario(attack="posts", share=share, signed=True),
        Scenario(attack="posts, tokens", share=share, signed=True),
        Scenario(attack="asks", share=share, signed=True),
        Scenario(attack="asks", share=share, signed=True, cap=CAP),
        Scenario(attack="asks", share=share, signed=True, cap=CAP, attackers=100),
        Scenario(attack="asks, one segment", share=share, signed=True),
        Scenario(attack="asks, one segment", share=share, signed=True, cap=CAP),
    ]


class Found(Record, frozen=True, kw_only=True):
    """A scenario over seeds.

    Attributes:
        attacked: Mean share of the attacked action.
        points: By how much that is above the baseline's, paired by seed, in percentage points.
        points_low, points_high: Its 95 % interval (t).
        reward: Mean of the honest requests.
    """

    scenario: Scenario
    attacked: float
    points: float
    points_low: float
    points_high: float
    reward: float
    accepted: int
    refused: int
    honest_refused: int

    @property
    def held(self) -> bool:
        """Whether the attacked action stays within 5 points of the baseline."""
        return self.points_high <= LIMIT_POINTS


def found_of(outcomes: Sequence[Outcome], baseline: Sequence[Outcome]) -> Found:
    """A scenario's outcomes next to the baseline's of the same seeds; at least two."""
    points = [
        100.0 * (one.attacked - other.attacked)
        for one, other in zip(outcomes, baseline, strict=True)
    ]
    mean = float(np.mean(points))
    error = float(np.std(points, ddof=1)) / len(points) ** 0.5
    margin = float(stats.t.ppf(0.975, len(points) - 1)) * error
    return Found(
        scenario=outcomes[0].scenario,
        attacked=float(np.mean([one.attacked for one in outcomes])),
        points=mean,
        points_low=mean - margin,
        points_high=mean + margin,
        reward=float(np.mean([one.reward for one in outcomes])),
        accepted=sum(one.accepted for one in outcomes),
        refused=sum(one.refused for one in outcomes),
        honest_refused=sum(one.honest_refused for one in outcomes),
    )


def _nowhere_best(rates: NDArray[np.float64]) -> int:
    """The best action on average of those that no segment likes most."""
    best = set(rates.argmax(axis=1).tolist())
    order: list[int] = np.argsort(-rates.mean(axis=0)).tolist()
    return next(index for index in order if index not in best)


def _nothing(event_id: str) -> LoggedDecision:
    raise NotFound(f"decision {event_id!r} is not in the log")


def _logged(decision: Decision, actions: list[Action]) -> LoggedDecision:
    """A decision as the log gives it back."""
    request = msgspec.json.decode(decision.request, type=RankRequest)
    same = {
        name: getattr(decision, name)
        for name in LoggedDecision.__struct_fields__
        if name in Decision.__struct_fields__ and name not in ("excluded", "pmf")
    }
    return LoggedDecision(
        **same,
        context=bytes(request.context),
        actions=tuple(actions),
        excluded=(),
        pmf=tuple(np.frombuffer(decision.pmf, "<f4").tolist()),
        writer="w",
        seq=1,
    )
