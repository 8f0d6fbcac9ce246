"""What promotions say: how one was asked for, what the gate found, and what became of it."""

from typing import Annotated, Literal

import msgspec

from bandit.errors import RecordError
from bandit.ope.value import Verdict
from bandit.records import Record
from bandit.store.promotions import State
from bandit.wire import Key

RAMP = (1.0, 10.0, 50.0, 100.0)
MOST_BEFORE_ALL = 50.0
"""Up to there the variants own as many buckets each, at every stage: so their split never changes,
and neither a trend nor the day of a stage is taken for an effect."""

Percent = Annotated[float, msgspec.Meta(gt=0, le=100)]
CheckCode = Literal[
    "challenger", "free", "shadowed", "support", "gain", "segments", "traffic", "evaluated"
]


class PromotionPlan(Record, frozen=True, kw_only=True):
    """How a challenger is to be promoted.

    Attributes:
        ramp: Percent of units that it serves at each stage; ascending, at most 50 until 100, the
            last.
        stage_s: How long each stage lasts at least.
        stage_n: How many decisions of each variant must count before a stage may end.
        alpha: 1 − the level of the gate and of the ramp's intervals.
        since_ms: Only decisions from then on are evidence; None: all, or all since the challenger
            was last reverted here.
        segments: Members of the context by whose values no group may be worse; None: those with
            few values.
        metrics, guardrails: Of the ramp's experiment, the primary metric first; without any it is
            the reward per decision.
        evaluation: Id of a saved evaluation in place of a shadow's log; None: the shadow's.
    """

    ramp: Annotated[tuple[Percent, ...], msgspec.Meta(min_length=1, max_length=20)] = RAMP
    stage_s: Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)] = 86_400.0
    stage_n: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 100
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    since_ms: Annotated[int, msgspec.Meta(ge=0, le=7_258_118_400_000)] | None = None
    segments: (
        Annotated[
            tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=1000)], ...],
            msgspec.Meta(max_length=10),
        ]
        | None
    ) = None
    metrics: Annotated[tuple[Key, ...], msgspec.Meta(max_length=50)] = ()
    guardrails: Annotated[tuple[Key, ...], msgspec.Meta(max_length=50)] = ()
    evaluation: str | None = None

    def __post_init__(self) -> None:
        shown = [f"{share:g}" for share in self.ramp]
        if list(self.ramp) != sorted(set(self.ramp)) or self.ramp[-1] != 100.0:
            raise RecordError(f"ramp is {', '.join(shown)}, must ascend and end with 100")
        for share in self.ramp[:-1]:
            if share > MOST_BEFORE_ALL or round(share * 100) < 1:
                raise RecordError(
                    f"ramp is {', '.join(shown)}, must hold 0.01 to 50 before 100: live and "
                    "challenger serve as many units each until then"
                )


class GateCheck(Record, frozen=True, kw_only=True):
    """One thing that the gate asks.

    Attributes:
        code: `challenger` = it may serve here; `free` = no other promotion or experiment is under
            way; `shadowed` = the log says what it would have done; `traffic` = the surface is
            served and delivers; `support` = the log can tell; `gain` = it is better; `segments` =
            nowhere worse; `evaluated` = the saved evaluation is of this challenger.
        text: What was found, in plain words with numbers.
    """

    code: CheckCode
    passed: bool
    text: str


class GateSegment(Record, frozen=True, kw_only=True):
    """Challenger − live among the decisions of one value of a context's member.

    Attributes:
        by: The member.
        value: As JSON; '' where it is absent.
        low, high: Interval that holds at any look, over all segments together.
    """

    by: str
    value: str
    n: int
    low: float
    high: float
    is_worse: bool


class Gate(Record, frozen=True, kw_only=True):
    """What the gate found.

    Attributes:
        as_of_ms: When it looked.
        from_ms: Decisions from then on are its evidence.
        source: `shadow` = the surface's log, or the id of a saved evaluation.
        passed: Every check is.
        checks: In the order they were made; the first that failed ends them.
        n, units_n: Decisions of the live policy that it rests on, and their units.
        excluded: Decisions that it can not rest on, by reason.
        gain: Challenger − live, reward per decision (SNIPS); None when the log can not tell.
        gain_low, gain_high: Its interval, which holds however often the gate looks.
        verdict, reasons: Of the diagnostics, over the newest million decisions.
        segments: Those with any decision; their intervals share alpha.
        queries: Names of the SQL queries that read the log.
    """

    surface: str
    challenger: str
    live: str
    as_of_ms: int
    from_ms: int
    alpha: float
    source: str = "shadow"
    passed: bool
    checks: tuple[GateCheck, ...]
    n: int = 0
    units_n: int = 0
    excluded: dict[str, int] = {}
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    ess: float | None = None
    mean_weight: float | None = None
    weight_bound: float | None = None
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    segments: tuple[GateSegment, ...] = ()
    queries: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """Why it did not pass; empty if it did."""
        return " ".join(check.text for check in self.checks if not check.passed)


class RampLook(Record, frozen=True, kw_only=True):
    """What was looked at before a step of a ramp.

    Attributes:
        action: What follows: `next` stage, `hold`, or `revert`.
        reason: Why, in plain words with numbers.
        counted_n: Decisions that count, by variant.
        effect, effect_low, effect_high: Challenger − live in the primary metric, as judged at any
            look; None while it can not be told.
    """

    action: Literal["next", "hold", "revert"]
    reason: str
    at_ms: int
    counted_n: dict[str, int] = {}
    metric: str = ""
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None


class StepShown(Record, frozen=True, kw_only=True):
    """One step of a promotion, as it is told.

    Attributes:
        share: Of units that the challenger serves, 0 to 1.
        look: What was looked at before; None for the first step, and for what people do.
    """

    seq: int
    state: State
    at_ms: int
    share: float
    reason: str
    author: str
    look: RampLook | None = None


class Promotion(Record, frozen=True, kw_only=True):
    """A challenger's way to live, or why it did not get there.

    Attributes:
        id: Counts per surface; None: nothing was kept, since it was a dry run.
        state: Of the newest step; `ready` = a dry run that passed.
        live: The policy that it replaces.
        experiment: Of the ramp; empty if there is none.
        share: Of units that the challenger serves now, 0 to 1.
        reason: Of the newest step.
        gate: What the gate found when it began.
        look: What a ramp waits for, as of the newest look; None where nothing was looked at.
        steps: Oldest first.
    """

    surface: str
    id: int | None
    state: State | Literal["ready"]
    challenger: str
    live: str
    experiment: str
    share: float
    reason: str
    author: str
    at_ms: int
    plan: PromotionPlan
    gate: Gate | None
    look: RampLook | None = None
    steps: tuple[StepShown, ...] = ()
