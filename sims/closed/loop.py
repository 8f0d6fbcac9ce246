"""A closed loop from the first declaration to the last figure."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, wait

import numpy as np

from bandit.records import Record
from sims.audit import Check
from sims.closed.books import Books, Story
from sims.closed.client import Assignment, play
from sims.closed.judging import (
    Answers,
    Detection,
    Estimate,
    Regret,
    checks_of,
    detection_of,
    estimates_of,
    figures_of,
    regrets_of,
    served_estimate,
)
from sims.closed.plan import Plan
from sims.closed.population import Population, Truth
from sims.closed.service import Sent, Service
from sims.scenarios.base import Figure
from sims.waiting import Stuck

ROUNDS_N = 5000
"""Of the population."""
SETTLE_S = 300.0
QUANTILES = (0.5, 0.95, 0.99, 0.999)
Pmfs = Callable[[str], Mapping[str, Sequence[float]]]
"""What each decision of a surface was drawn from, by event id."""


class Latencies(Record, frozen=True, kw_only=True):
    """Of requests that were answered, from the planned moment on, in milliseconds."""

    n: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None

    @classmethod
    def of(cls, taken_ms: Sequence[float]) -> "Latencies":
        """Quantiles; None of nothing."""
        if not taken_ms:
            return cls(n=0)
        each = [float(value) for value in np.quantile(taken_ms, QUANTILES)]
        return cls(n=len(taken_ms), p50=each[0], p95=each[1], p99=each[2], p999=each[3])


class LoopReport(Record, frozen=True, kw_only=True):
    """Everything that a closed loop found.

    Attributes:
        world: What the population was drawn from.
        truth: What policies that do not learn earn, before rewards are lost or late.
        requests_per_s: Answered requests a second while rounds began.
        figures: Bias and coverage, with their targets.
        checks: Counts of the service against the clients' books.
        regrets: By variant, over the surfaces of the repetitions and over those that learn.
        unknown: What could not be told, and why.
    """

    world: str
    plan: Plan
    truth: Truth
    decisions_n: int
    requests_per_s: float
    retries_n: int
    rank: Latencies
    reward: Latencies
    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]
    detections: tuple[Detection, ...]
    regrets: tuple[Regret, ...]
    estimates: tuple[Estimate, ...]
    unknown: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no check failed and no figure fails for sure."""
        return all(check.passed for check in self.checks) and not any(
            figure.holds == "no" for figure in self.figures
        )


class Loop:
    """Plays a plan against a service, and judges what the service says of it.

    Args:
        service: Which one.
        url, key: Where clients ask, and with which API key.
        plan: What to play.
        world: Name of the world.
        population: Who asks.
        now_ns: The wall clock; it must be picklable.
        pmfs: How to read what decisions were drawn from; None if the log can not be reached.
        tell: Takes lines about what goes on.
    """

    def __init__(
        self,
        service: Service,
        url: str,
        key: str | None,
        plan: Plan,
        *,
        world: str,
        population: Population,
        now_ns: Callable[[], int],
        pmfs: Pmfs | None,
        tell: Callable[[str], None],
    ) -> None:
        self._service = service
        self._url = url
        self._key = key
        self._plan = plan
        self._world = world
        self._population = population
        self._now_ns = now_ns
        self._pmfs = pmfs
        self._tell = tell

    def run(self, executor: Executor) -> LoopReport:
        """Declare, play, wait, and judge.

        Args:
            executor: Where clients run: one worker each, processes of their own by preference.

        Raises:
            NameTaken, NotTaken, Stuck, Refused: As the parts do.
        """
        plan = self._plan
        self._tell(f"declaring {len(plan.surfaces)} surfaces with an experiment each …")
        self._service.declare(plan)
        start_ms = self._now_ns() // 1_000_000
        books = self._play(executor)
        self._tell("waiting until the log is drained and learned from …")
        try:
            patience_s = SETTLE_S + 2.0 * plan.window_s
            self._service.wait_until_settled(plan, sent_of(plan, books), patience_s)
        except Stuck as exc:
            self._tell(f"{exc}: the checks below say what is missing")
        self._tell("reading reports …")
        answers = [
            Answers(
                self._service.experiment(key, plan.alpha),
                self._service.surface(key, plan.alpha),
                self._service.history(key, plan.alpha),
            )
            for key in plan.surfaces
        ]
        return self._judge(books, answers, start_ms)

    def _play(self, executor: Executor) -> Books:
        plan = self._plan
        self._tell(
            f"{plan.clients} clients ask {plan.rate_per_s:g} requests a second "
            f"for {plan.seconds:g} s …"
        )
        futures = [
            executor.submit(
                play,
                Assignment(number, self._url, self._key, plan, self._population, self._now_ns),
            )
            for number in range(plan.clients)
        ]
        wait(futures)
        return Books.together(future.result() for future in futures)

    def _judge(self, books: Books, answers: Sequence[Answers], start_ms: int) -> LoopReport:
        plan, population, truth = self._plan, self._population, self._population.truth
        by_surface: dict[int, list[Story]] = defaultdict(list)
        for story in books.stories:
            by_surface[story.surface].append(story)
        gap = plan.counted_share * (truth.mixed - truth.uniform)
        estimates, detections = [], []
        unknown = [] if self._pmfs else ["A/B of a learning policy: its pmfs are in the log only"]
        for number, answer in enumerate(answers):
            is_learning = number >= plan.repetitions
            estimates += estimates_of(plan, population, number, answer)
            detections.append(
                detection_of(plan, number, answer, start_ms, None if is_learning else gap)
            )
            if is_learning and self._pmfs and by_surface[number]:
                key = plan.surfaces[number]
                stories, pmfs = by_surface[number], self._pmfs(key)
                found = served_estimate(plan, population, number, answer, stories, pmfs)
                if found is None:
                    unknown.append(f"A/B of a learning policy: a variant of {key} served nobody")
                else:
                    estimates.append(found)
        return LoopReport(
            world=self._world,
            plan=plan,
            truth=truth,
            decisions_n=len(books.stories),
            requests_per_s=books.requests_n / plan.seconds,
            retries_n=books.retries_n,
            rank=Latencies.of(books.rank_ms),
            reward=Latencies.of(books.reward_ms),
            figures=tuple(figures_of(estimates, detections)),
            checks=tuple(checks_of(plan, books, answers)),
            detections=tuple(detections),
            regrets=tuple(regrets_of(population, books.stories, plan.seconds)),
            estimates=tuple(estimates),
            unknown=tuple(unknown),
        )


def sent_of(plan: Plan, books: Books) -> list[Sent]:
    """What was accepted of each surface."""
    decisions, rewards, spare = ([0] * len(plan.surfaces) for _ in range(3))
    for story in books.stories:
        decisions[story.surface] += 1
        rewards[story.surface] += story.sent_n > 0
        if story.surface >= plan.repetitions:  # where somebody learns
            spare[story.surface] += (story.sent == "late") + max(story.sent_n - 1, 0)
    return [Sent(*each) for each in zip(decisions, rewards, spare, strict=True)]
