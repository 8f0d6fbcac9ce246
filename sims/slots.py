"""Several slots: is what we log enough to judge another policy by, and which slot model earns more.

Everything is decided with the functions that serve (`Asked`, `draw_ranking`, `draw_in_pools`,
`seed_of`), and learned from the joiner's lessons.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bandit.event_id import make_event_id, surface_tag
from bandit.learning.joiner import Joined
from bandit.ope import Rips, Sips, SlateBatch
from bandit.policies import LearningPolicy, Lesson, Policy, build, draw_ranking, seed_of
from bandit.records import Action, LoggedDecision, Record
from bandit.service.drawing import Drawn, draw_in_pools, judge
from bandit.service.probabilities import Asked
from bandit.specs import PolicySpec, Rules
from sims.runner import FIRST_MS, SALT, SURFACE
from sims.worlds.slots import ByPosition, Cascade, SlotRound, SlotWorld

SlotModel = Literal["shared", "position", "ccb"]
MODELS: tuple[SlotModel, ...] = ("shared", "position", "ccb")
FLOOR = 0.01
FLOOR_OF_LOG = 0.1
"""Of the log that another policy is judged by: weights of a small floor have so long a tail that
200 runs may miss it, and the mean with it."""


class SlotRun(Record, frozen=True, kw_only=True):
    """What a policy earned in a world with slots.

    Attributes:
        reward: Clicks per ranking over all rounds, expected given the rankings shown.
        late_reward: The same in the last half.
        best: What the best rankings would have got, per ranking.
    """

    world: str
    policy: str
    seed: int
    rounds_n: int
    reward: float
    late_reward: float
    best: float


class Comparison(Record, frozen=True, kw_only=True):
    """A slot model's clicks per ranking over seeds, with a 95 % interval.

    Attributes:
        reward: In the last half of the rounds.
        gain: Of it over the first policy's, paired by seed: both played the same rounds.
        share: Of what the best rankings would have got.
    """

    world: str
    policy: str
    reward: float
    reward_low: float
    reward_high: float
    gain: float
    gain_low: float
    gain_high: float
    share: float


class Unbiased(Record, frozen=True, kw_only=True):
    """An estimate of another policy's clicks beside the truth.

    Attributes:
        what: `slot 0` …: per-slot IPS; `rips`, `sips`: the whole ranking's estimators.
        mean: Of the estimate over the runs.
        std_error: Of that mean.
        z: (mean − truth) ÷ std_error.
    """

    world: str
    mode: SlotModel
    what: str
    truth: float
    mean: float
    std_error: float
    z: float


def spec_of(model: SlotModel, floor: float = FLOOR) -> PolicySpec:
    """The default policy with a slot model."""
    return PolicySpec(key=model, type="vw", surface=SURFACE, slot_model=model, floor=floor)


UNIFORM = PolicySpec(key="uniform", type="uniform")


def asked_of(policy: Policy, spec: PolicySpec, this: SlotRound) -> Asked:
    """A policy, asked for a round."""
    return Asked(policy, spec, spec.floor, this.context, Rules(), this.slot_features)


def draw(asked: Asked, this: SlotRound, slots_n: int, seed: int) -> Drawn:
    """Draw a ranking as the service does for a slot model."""
    pmf = asked.pmf(this.actions)
    if not asked.by_slot:
        return Drawn(*draw_ranking(pmf, slots_n, seed))
    return draw_in_pools(asked, pmf, this.actions, slots=slots_n, seed=seed, pins={}, diversity=())


def chances_of(asked: Asked, this: SlotRound, ranking: Sequence[int]) -> tuple[float, ...]:
    """With which probability a policy would have drawn each slot, given the slots above."""
    return judge(asked, asked.pmf(this.actions), this.actions, Drawn(ranking, ()))


def lessons_of(
    spec: PolicySpec, this: SlotRound, drawn: Drawn, clicks: Sequence[float]
) -> list[Lesson]:
    """One lesson per slot, as the joiner makes them of a closed decision."""
    decision = LoggedDecision(
        event_id="",
        ts_ms=FIRST_MS,
        surface=SURFACE,
        unit_id="unit",
        experiment="",
        experiment_version=0,
        variant="",
        policy=spec.key,
        snapshot=0,
        context=this.context,
        actions=this.actions,
        excluded=(),
        pmf=(),
        ranking=tuple(drawn.ranking),
        propensities=tuple(drawn.propensities),
        floor=spec.floor,
        seed=0,
        deferred=False,
        shadows={},
        writer="",
        seq=0,
        slot_features=this.slot_features,
    )
    return Joined(decision, tuple(enumerate(clicks)), True).lessons(spec)


class Chooser:
    """Event ids in a row and the seeds of their draws."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._number = 0

    def seed(self) -> int:
        """The seed of the next decision."""
        self._number += 1
        event_id = make_event_id(
            FIRST_MS + self._number, surface_tag(SURFACE), self._rng.bytes(6), SALT
        )
        return seed_of(event_id, SALT)


def run_slots(world: SlotWorld, spec: PolicySpec, *, rounds_n: int, seed: int) -> SlotRun:
    """Let a policy learn in a world; equal arguments give equal results."""
    for_rounds, for_ids, for_clicks = np.random.default_rng(seed).spawn(3)
    rounds, chooser, policy = world.rounds(for_rounds), Chooser(for_ids), build(spec)
    earned, best = np.zeros(rounds_n), 0.0
    for number in range(rounds_n):
        this = next(rounds)
        drawn = draw(asked_of(policy, spec, this), this, world.slots_n, chooser.seed())
        earned[number] = math.fsum(this.expected(drawn.ranking))
        best += this.best()
        if spec.learns:
            clicks = this.model.clicks(this.appeals(drawn.ranking), for_clicks)
            for lesson in lessons_of(spec, this, drawn, clicks):
                cast("LearningPolicy", policy).learn(lesson)
    return SlotRun(
        world=world.name,
        policy=spec.key,
        seed=seed,
        rounds_n=rounds_n,
        reward=float(earned.mean()),
        late_reward=float(earned[rounds_n // 2 :].mean()),
        best=best / rounds_n,
    )


def compare(runs: Sequence[SlotRun]) -> list[Comparison]:
    """Sum up runs of one world, of the same seeds for every policy; the first is the reference."""
    policies = list(dict.fromkeys(run.policy for run in runs))
    late = {
        key: np.array([run.late_reward for run in runs if run.policy == key]) for key in policies
    }
    best = float(np.mean([run.best for run in runs]))
    found = []
    for key in policies:
        reward, gain = _interval(late[key]), _interval(late[key] - late[policies[0]])
        found.append(
            Comparison(
                world=runs[0].world,
                policy=key,
                reward=reward[0],
                reward_low=reward[1],
                reward_high=reward[2],
                gain=gain[0],
                gain_low=gain[1],
                gain_high=gain[2],
                share=reward[0] / best,
            )
        )
    return found


def _interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and Student's 95 % interval."""
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean, mean - half, mean + half


class Tilted:
    """A target policy: prefers actions by their names, differently in every slot if asked to."""

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """Weights 1 to 4, that the context and the slot shift, over their sum."""
        shift = len(context) + sum(slot)
        weights = [1.0 + (int(action.id[5:]) * 3 + shift) % 4 for action in actions]
        return [weight / math.fsum(weights) for weight in weights]


def small_worlds() -> list[SlotWorld]:
    """Worlds with so few rankings that a policy's value can be added up exactly."""
    formats = ("banner", "text", "text")
    return [
        SlotWorld(name, model, formats=formats, misfit=0.5, items_n=5, offered_n=5, seed=3)
        for name, model in (("position bias", ByPosition()), ("cascade", Cascade()))
    ]


def true_values(world: SlotWorld, spec: PolicySpec, policy: Policy) -> list[float]:
    """A policy's expected clicks on each slot, added up over every round and ranking."""
    rounds = world.every_round()
    totals = np.zeros(world.slots_n)
    for this in rounds:
        for ranking in itertools.permutations(range(len(this.actions)), world.slots_n):
            chance = math.prod(chances_of(asked_of(policy, spec, this), this, ranking))
            totals += chance * np.array(this.expected(ranking))
    return [float(total) / len(rounds) for total in totals]


def log_run(
    world: SlotWorld, mode: SlotModel, target: Policy, *, rounds_n: int, seed: int
) -> SlateBatch:
    """A log of a policy that learns while it serves, and the target's chances of what was shown."""
    for_rounds, for_ids, for_clicks = np.random.default_rng(seed).spawn(3)
    spec = spec_of(mode, FLOOR_OF_LOG)
    policy, chooser, rounds = cast("LearningPolicy", build(spec)), Chooser(for_ids), []
    every = world.every_round()
    for _ in range(rounds_n):
        this = every[int(for_rounds.integers(len(every)))]
        drawn = draw(asked_of(policy, spec, this), this, world.slots_n, chooser.seed())
        clicks = this.model.clicks(this.appeals(drawn.ranking), for_clicks)
        chances = chances_of(asked_of(target, _target(mode), this), this, drawn.ranking)
        rounds.append((drawn.propensities, chances, clicks))
        for lesson in lessons_of(spec, this, drawn, clicks):
            policy.learn(lesson)
    propensity, chance, reward = zip(*rounds, strict=True)
    return SlateBatch.of(propensity=propensity, target=chance, reward=reward)


def unbiasedness(
    world: SlotWorld, mode: SlotModel, *, runs_n: int, rounds_n: int, seed: int
) -> list[Unbiased]:
    """Estimates of a target policy's clicks from our own log, beside what is true."""
    target = Tilted()
    truth = true_values(world, _target(mode), target)
    names = [*(f"slot {slot}" for slot in range(world.slots_n)), "rips", "sips"]
    truths = [*truth, math.fsum(truth), math.fsum(truth)]
    estimates = np.array(
        [
            _estimates(log_run(world, mode, target, rounds_n=rounds_n, seed=seed + number))
            for number in range(runs_n)
        ]
    )
    means = estimates.mean(axis=0)
    errors = estimates.std(axis=0, ddof=1) / math.sqrt(runs_n)
    return [
        Unbiased(
            world=world.name,
            mode=mode,
            what=name,
            truth=true,
            mean=float(mean),
            std_error=float(error),
            z=float((mean - true) / error),
        )
        for name, true, mean, error in zip(names, truths, means, errors, strict=True)
    ]


def _estimates(log: SlateBatch) -> list[float]:
    per_slot = (log.cumulative * log.reward).mean(axis=0)
    return [*per_slot.tolist(), Rips().terms(log).value, Sips().terms(log).value]


def _target(mode: SlotModel) -> PolicySpec:
    """How the target fills slots, as the logging policy does."""
    return PolicySpec(key="target", type="vw", surface=SURFACE, slot_model=mode)
