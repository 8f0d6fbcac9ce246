"""One pass over a surface's log with some candidates: each asked as it then was, then taught.

A decision is judged by a candidate that has learned from what was closed when it was made, and
from nothing later: decisions up to (the step's beginning − join window), in the order in which
learners close them, by the learners' own `teach`. Between two lessons nothing changes, so what lies
between them is asked at once.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from bandit.learning.counts import Counts
from bandit.learning.joiner import Joined
from bandit.learning.totals import window_ms
from bandit.learning.training import needs_support, teach
from bandit.policies import build
from bandit.policies.arguments import DEFAULT, read_arguments
from bandit.policies.base import LearningPolicy, Lesson, Policy
from bandit.policies.pmf import TOLERANCE, seed_of, uniform_of
from bandit.policies.together import Group, Worths, regresses_alike
from bandit.policies.vw import VowpalWabbit
from bandit.policies.vw_lots import Readers
from bandit.service.evaluating_results import EvaluationSettings
from bandit.service.evaluating_rows import (
    Block,
    Judged,
    JudgedColumns,
    Shared,
    SharedColumns,
    served,
    steps_of,
)
from bandit.service.logged import ClosedDecision, ClosedLog
from bandit.service.probabilities import Asked
from bandit.specs import Part, PolicySpec, Surface

Floats = npt.NDArray[np.float64]


class Learned(NamedTuple):
    """What became of a candidate.

    Attributes:
        judged: What it said of every decision.
        lessons_n, refused_n: Lessons.
        digest: Of its weights in the end; empty if it does not learn.
        clipped_n: With rejection, decisions whose weight was above the bound.
        bound: With rejection, the bound.
    """

    judged: Judged
    lessons_n: int
    refused_n: int
    digest: str
    clipped_n: int
    bound: float


class Candidate:
    """A policy in the making, and what it said."""

    def __init__(self, name: str, spec: PolicySpec) -> None:
        """Untrained.

        Raises:
            BadSpec: It can not be built.
        """
        self.name = name
        self.spec = spec
        self.policy: Policy = build(spec)
        self.columns = JudgedColumns()
        self.lessons_n = self.refused_n = self.clipped_n = 0
        kinds: list[PolicySpec | Part] = [spec, *spec.parts]
        self._forgets = any(
            read_arguments(one.arguments).several for one in kinds if one.type == "vw"
        )

    def taught(self, lessons_n: int, refused_n: int) -> None:
        """Note that it was taught, and save where a learner saves: some forget something there."""
        self.lessons_n += lessons_n - refused_n
        self.refused_n += refused_n
        if self._forgets and lessons_n:
            cast("LearningPolicy", self.policy).save()

    def done(self, bound: float) -> Learned:
        """What became of it."""
        digest = cast("LearningPolicy", self.policy).digest() if self.spec.learns else ""
        return Learned(
            self.columns.done(), self.lessons_n, self.refused_n, digest, self.clipped_n, bound
        )


class _Class:
    """Candidates that are taught the same lessons."""

    def __init__(
        self, spec: PolicySpec, candidates: Sequence[Candidate], others: Sequence[Policy] = ()
    ) -> None:
        self.candidates = candidates
        self.waiting: deque[Joined] = deque()
        self._spec = spec
        self._group = Group([*(candidate.policy for candidate in candidates), *others])
        self._needs_support = needs_support(self._spec)

    def takes(self, joined: Joined) -> bool:
        """Whether they learn from a decision at all."""
        return self._spec.learns_from == "surface" or joined.decision.policy == self._spec.key

    def learn(self, watermark_ms: int) -> None:
        """Learn what was closed by a time."""
        closed: list[Joined] = []
        while self.waiting and self.waiting[0].decision.ts_ms <= watermark_ms:
            closed.append(self.waiting.popleft())
        if not closed:
            return
        lessons = lessons_of(closed, self._spec, support=self._needs_support)
        refused_n = self._group.learn(lessons)
        for candidate in self.candidates:
            candidate.taught(len(lessons), refused_n)


def lessons_of(closed: Sequence[Joined], spec: PolicySpec, *, support: bool) -> list[Lesson]:
    """What a learner of a spec would teach of closed decisions, in its order."""
    written = _Notebook()
    teach(cast("LearningPolicy", written), closed, Counts(), needs_support=support, spec=spec)
    return written.lessons


class _Notebook:
    """Takes lessons down, for others to learn from."""

    def __init__(self) -> None:
        self.lessons: list[Lesson] = []
        self.learn = self.lessons.append


class Pass:
    """Candidates over a log, once.

    Attributes:
        shared: Columns that all have in common; known in the end.
        learned: What became of each candidate, by name; known in the end.
    """

    def __init__(
        self,
        log: ClosedLog,
        surface: Surface,
        specs: Mapping[str, PolicySpec],
        settings: EvaluationSettings,
        *,
        judge_ms: int = 0,
    ) -> None:
        """Build the candidates.

        Args:
            log: What they learn from and are judged by.
            surface: Whose log it is.
            specs: The candidates by name.
            settings: How.
            judge_ms: Decisions made before then are learned from alone.

        Raises:
            BadSpec: One can not be built.
        """
        self._log = log
        self._surface = surface
        self._settings = settings
        self._judge_ms = judge_ms
        self._rejects = settings.mode == "rejection"
        self._bound = settings.bound or 0.0
        self._candidates = [Candidate(name, spec) for name, spec in specs.items()]
        readers = Readers()
        self._worths = _worths(settings, self._candidates, readers)
        self._classes = _classes(self._candidates, self._worths, apart=self._rejects)
        plain = [c for c in self._candidates if c.spec.slot_model == "shared"]
        self._asked_alike = (plain, Group([c.policy for c in plain], readers))
        self._columns = SharedColumns(settings.segment)
        self.shared: Shared
        self.learned: dict[str, Learned]

    def run(self, watch: Callable[[int], None] = lambda rows_n: None) -> "Pass":
        """Read the log from its beginning to its end.

        Args:
            watch: Told how many decisions were read, now and then; what it raises ends the run.

        Raises:
            BadPmf: A candidate gave something that is no distribution.
            StoreUnavailable: The store did not answer.
        """
        waiting: list[ClosedDecision] = []
        rows_n, window = 0, window_ms(self._surface)
        for rows in self._log:
            for begun_ms, step in steps_of(rows, self._step_ms):
                # With rejection, what is learned from is known only when all before was asked.
                if self._rejects or self._can_learn(begun_ms - window):
                    self._ask(waiting)
                    waiting = []
                    self._learn(begun_ms - window)
                waiting += step
                if not self._rejects:
                    self._queue([row.joined for row in step])
            self._ask(waiting)
            waiting = []
            rows_n += len(rows)
            watch(rows_n)
        self._learn(None)
        self.shared = self._columns.done(self._log.waiting_n)
        self.learned = {c.name: c.done(self._bound) for c in self._candidates}
        return self

    @property
    def _step_ms(self) -> int:
        return max(1, round(self._settings.step_s * 1000))

    def _queue(self, closed: Sequence[Joined]) -> None:
        for class_ in self._classes:
            class_.waiting.extend(joined for joined in closed if class_.takes(joined))

    def _can_learn(self, watermark_ms: int) -> bool:
        queues = [class_.waiting for class_ in self._classes]
        return any(queue and queue[0].decision.ts_ms <= watermark_ms for queue in queues)

    def _learn(self, watermark_ms: int | None) -> None:
        """Learn what was closed by a time; None: all."""
        for class_ in self._classes:
            class_.learn(2**62 if watermark_ms is None else watermark_ms)

    def _ask(self, rows: Sequence[ClosedDecision]) -> None:
        """Ask every candidate about decisions as it is now."""
        early = [row for row in rows if row.joined.decision.ts_ms < self._judge_ms]
        if early and self._rejects:  # what it could have drawn itself, it learns from
            self._judge([row for row in early if not row.barred], counts=False)
        self._judge(self._columns.bar(rows[len(early) :]), counts=True)

    def _judge(self, rows: Sequence[ClosedDecision], *, counts: bool) -> None:
        """Ask every candidate about decisions that none is barred from; keep what counts."""
        if not rows:
            return
        block, worth = Block.of(rows), None
        if counts:
            self._columns.add(block)
        if self._worths is not None:
            surface = self._surface
            worth = np.clip(self._worths.of(block.lot), surface.reward_low, surface.reward_high)
        if self._rejects and not self._bound:
            # Of any policy: nothing is more than 1 ÷ the least probability that an action had.
            self._bound = float(1.0 / block.logged[block.logged > 0.0].min())
        for candidate, raw in self._answers(block):
            pmf = served(block, raw, candidate.spec, self._surface.rules)
            if counts:
                candidate.columns.add(block, pmf, worth)
            if self._rejects:
                accepted = self._accepted(block, candidate, pmf[block.drawn])
                if counts:
                    candidate.columns.accept(accepted)

    def _answers(self, block: Block) -> Iterator[tuple[Candidate, Floats]]:
        plain, group = self._asked_alike
        if plain:
            yield from zip(plain, group.pmfs(block.lot), strict=True)
        for candidate in self._candidates:
            if candidate.spec.slot_model != "shared":
                yield candidate, _with_slots(candidate, block)

    def _accepted(
        self, block: Block, candidate: Candidate, target: Floats
    ) -> npt.NDArray[np.bool_]:
        """Which decisions the candidate could have drawn itself; it will learn from them alone.

        A decision is kept with probability min(1, target ÷ (propensity · bound)).

        Source: Dudík, Erhan, Langford, Li (2012), "Sample-efficient nonstationary policy evaluation
        for contextual bandits", algorithm 1 without its reward model; `--explore_eval` of VW.
        """
        salt = b"rejection:%d" % self._settings.seed
        ids = [row.joined.decision.event_id for row in block.rows]
        uniform = np.array([uniform_of(seed_of(event_id, salt), 0) for event_id in ids])
        share = target / (block.propensity * self._bound)
        candidate.clipped_n += int((share > 1.0 + TOLERANCE).sum())
        accepted: npt.NDArray[np.bool_] = uniform < share
        for class_ in (each for each in self._classes if candidate in each.candidates):
            class_.waiting.extend(
                _as_own(block.rows[row].joined, float(target[row]))
                for row in np.flatnonzero(accepted).tolist()
            )
        return accepted


def _as_own(joined: Joined, target: float) -> Joined:
    """A decision as if the candidate had drawn its top slot."""
    decision = msgspec.structs.replace(
        joined.decision, propensities=(target, *joined.decision.propensities[1:])
    )
    top = tuple(one for one in joined.earned if one[0] == 0)
    return msgspec.structs.replace(joined, decision=decision, earned=top)


def _classes(
    candidates: Sequence[Candidate], worths: Worths | None, *, apart: bool
) -> list[_Class]:
    """Those that learn, by what they are taught; each by itself if they are kept apart."""
    found: dict[tuple[object, ...], list[Candidate]] = {}
    plain = _MODEL
    for candidate in candidates:
        spec = candidate.spec
        if spec.learns:
            found.setdefault((*_taught(spec), candidate.name if apart else ""), []).append(
                candidate
            )
    model = (*_taught(plain), "")
    learns = worths is not None and all(c.policy is not worths.policy for c in candidates)
    if learns:
        found.setdefault(model, [])
    return [
        _Class(
            members[0].spec if members else plain,
            members,
            [worths.policy] if worths is not None and learns and key == model else [],
        )
        for key, members in found.items()
    ]


_MODEL = PolicySpec(key="reward-model", type="vw", surface="log")


def _worths(
    settings: EvaluationSettings, candidates: Sequence[Candidate], readers: Readers
) -> Worths | None:
    """The reward model; a candidate that comes to the same weights is one, and taught anyway."""
    if settings.mode != "dr":
        return None
    for candidate in candidates:
        policy, spec = candidate.policy, candidate.spec
        if (
            isinstance(policy, VowpalWabbit)
            and _taught(spec) == _taught(_MODEL)
            and regresses_alike(spec.arguments or DEFAULT, settings.reward_model)
        ):
            return Worths(settings.reward_model, readers, policy)
    return Worths(settings.reward_model, readers)


def _taught(spec: PolicySpec) -> tuple[object, ...]:
    """What decides on a policy's lessons."""
    own = spec.key if spec.learns_from == "own" else ""
    return spec.slot_model, own, needs_support(spec)


def _with_slots(candidate: Candidate, block: Block) -> Floats:
    """What a policy that knows slots says of the top one."""
    found: list[float] = []
    for row, actions in zip(block.rows, block.lot.offered, strict=True):
        decision, spec = row.joined.decision, candidate.spec
        asked = Asked(
            candidate.policy, spec, 0.0, decision.context, _NO_RULES, decision.slot_features
        )
        found += asked.pmf(actions)
    return np.array(found)


_NO_RULES = Surface(key="none", policy="none").rules
