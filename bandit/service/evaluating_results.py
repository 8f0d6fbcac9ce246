"""What an evaluation of candidates found: records that travel as JSON."""

from typing import Literal

from bandit.ope import Evaluation, Gain, Interval
from bandit.ope.value import Verdict
from bandit.records import Record
from bandit.specs import PolicySpec

Mode = Literal["dr", "ips", "rejection"]
FORMAT = 1
"""Version of `EvaluationRun` as it is serialised."""


class EvaluationSettings(Record, frozen=True, kw_only=True):
    """How candidates are judged.

    Attributes:
        mode: `dr` = importance weights and a reward model that knew only the past; `ips` = weights
            alone; `rejection` = a candidate sees, and learns from, only the decisions that it
            could have made itself, drawn with probability ∝ its own ÷ the logged one.
        alpha: 1 − the level of every interval.
        step_s: A candidate changes at most every so many seconds of the log, as a learner
            publishes.
        seed: Of the draws of `rejection`.
        bound: For `rejection`: the greatest weight, whose inverse is the share that is kept of a
            policy equal to the logging one. None: found from the first decisions of the log.
        segment: Member of the context by whose values results are told apart; None: not.
        curve_n: Points of a learning curve.
        reward_model: Vowpal Wabbit's options of the reward model; its features are a policy's.
    """

    mode: Mode = "dr"
    alpha: float = 0.05
    step_s: float = 10.0
    seed: int = 1
    bound: float | None = None
    segment: str | None = None
    curve_n: int = 40
    reward_model: str = "-q UA"


class CurvePoint(Record, frozen=True, kw_only=True):
    """How a candidate stood after so many decisions.

    Attributes:
        n: Decisions from the beginning up to here.
        ts_ms: When the last of them was made.
        value: Of all of them, by DR where there is a model and else SNIPS; None while it can not be
            told.
        recent: Of those since the point before.
        logged: What the logging policies earned since the point before.
    """

    n: int
    ts_ms: int
    value: float | None
    recent: float | None
    logged: float


class SegmentResult(Record, frozen=True, kw_only=True):
    """Candidate − logging policies in one segment.

    Attributes:
        name: As features are named: `country=US`; `country` alone where it is absent.
        n: Decisions in it.
        gain: Paired; None when refused. Its interval holds for all segments together.
        anytime: The same for whoever looks again and again.
        verdict, reasons: Of the segment's own diagnostics.
    """

    name: str
    n: int
    gain: Gain | None
    anytime: Interval | None
    verdict: Verdict
    reasons: tuple[str, ...]


class CandidateResult(Record, frozen=True, kw_only=True):
    """What a candidate would have earned while it learned from the log.

    Attributes:
        name: Its key in the file.
        spec: As evaluated.
        evaluation: Every estimate with its interval, diagnostics and verdict; `evaluation.gain` is
            the paired interval of candidate − logging policies.
        gain: Candidate − logging policies, paired, by SNIPS; None when refused.
        anytime: Confidence sequence of the value at the end of the log; None when refused, or
            without a bound on the weights.
        anytime_gain: The same of candidate − logging policies.
        late: The same as `evaluation` for the last quarter alone, when most was learned; None for
            a candidate that does not learn.
        segments: Empty unless asked for.
        curve: How it learned.
        lessons_n: Lessons learned.
        refused_n: Lessons refused.
        accepted_n: With `rejection`, decisions that it could have made itself.
        digest: Of the weights after all lessons; empty if it does not learn.
        notes: What to know of it, in plain words.
    """

    name: str
    spec: PolicySpec
    evaluation: Evaluation
    gain: Gain | None
    anytime: Interval | None
    anytime_gain: Interval | None
    late: Evaluation | None = None
    segments: tuple[SegmentResult, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    lessons_n: int = 0
    refused_n: int = 0
    accepted_n: int | None = None
    digest: str = ""
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> float | None:
        """By the headline estimator; None when refused."""
        best = self.evaluation.best
        return None if best is None else best.value

    @property
    def interval(self) -> Interval | None:
        """Of the value, by the headline estimator."""
        best = self.evaluation.best
        return None if best is None else best.interval


class PairGain(Record, frozen=True, kw_only=True):
    """Candidate − other, both on the same decisions.

    Attributes:
        candidate, other: Their names.
        gain: Paired, by SNIPS.
        anytime: The same for whoever looks again and again; None without bounds on the weights.
    """

    candidate: str
    other: str
    gain: Gain
    anytime: Interval | None


class SearchRow(Record, frozen=True, kw_only=True):
    """One combination that a search tried.

    Attributes:
        name: What tells it apart.
        spec: The combination.
        rung: The last rung it was in, from 0.
        n: Decisions it was judged on there.
        value: There; None when refused.
        interval: Of the value, simultaneous over all that were tried.
        verdict: Of its diagnostics there.
    """

    name: str
    spec: PolicySpec
    rung: int
    n: int
    value: float | None
    interval: Interval | None
    verdict: Verdict


class SearchResult(Record, frozen=True, kw_only=True):
    """How the winner was found.

    Attributes:
        method: `grid`, `random` or `halving`.
        tried_n: Combinations.
        split_ms: Decisions made before then chose; those from then on judged the chosen one.
        rows: Best first.
        chosen: Name of the winner; None if nothing could be judged.
        correction: What was done about having chosen the best, in plain words.
    """

    method: Literal["grid", "random", "halving"]
    tried_n: int
    split_ms: int
    rows: tuple[SearchRow, ...]
    chosen: str | None
    correction: str


class EvaluationRun(Record, frozen=True, kw_only=True):
    """One evaluation: candidates over the same decisions of a surface's log.

    Attributes:
        surface, surface_version: Whose log, and the rules by which rewards were joined.
        since_ms, until_ms: Decisions made in `[since, until)`.
        made_at_ms: When this was computed.
        n, units_n: Decisions and units that candidates are judged by.
        excluded: Decisions that no candidate can be judged by, by reason.
        waiting_n: Decisions whose join window had not ended.
        thinned: Whether decisions were logged with a share below 1, so that rows are weighted.
        logged: What the logging policies earned per decision; None without any decision.
        logged_interval: Of that mean, over units.
        candidates: In the order they were given.
        pairs: Every two candidates that are not refused; of more than six each with the best one.
        settings: How.
        snapshots: Policies that drew the decisions: the least and the greatest snapshot number.
        queries: Names of the SQL queries that read the log.
        search: How the candidate was found; None if nothing was searched for.
        version: Of this layout.
    """

    surface: str
    surface_version: int
    since_ms: int
    until_ms: int
    made_at_ms: int
    n: int
    units_n: int
    excluded: dict[str, int]
    waiting_n: int
    thinned: bool
    logged: float | None
    logged_interval: Interval | None
    candidates: tuple[CandidateResult, ...]
    pairs: tuple[PairGain, ...] = ()
    settings: EvaluationSettings
    snapshots: dict[str, tuple[int, int]]
    queries: tuple[str, ...]
    search: SearchResult | None = None
    version: int = FORMAT

    def __getitem__(self, name: str) -> CandidateResult:
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise KeyError(name)
