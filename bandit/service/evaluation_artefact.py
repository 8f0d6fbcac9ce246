"""The artefact of an evaluation: everything that another reader needs to judge it, in one record.

The record is what is saved, what the API answers and what the HTML card shows. A refused candidate
has no number in it that reads like an answer: `shown` takes out what a verdict refuses, whoever
made the run.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from bandit.errors import NotDeclared, NotFound, RecordError
from bandit.ope import REASONS, Evaluation
from bandit.records import Record
from bandit.service.evaluating_results import CandidateResult, EvaluationRun
from bandit.service.projects import seen_by
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.evaluations import Evaluations, SavedEvaluation
from bandit.store.queries import named_queries

FORMAT = 1
"""Version of the artefact's layout; one of another version is refused, not misread."""
ESTIMAND = (
    "The mean reward per decision that each candidate would have earned on this surface's logged "
    "decisions, had it been the one to draw the top slot while it learned from the log up to each "
    "of them; and that less what the logging policies earned on the same decisions."
)


class Artefact(Record, frozen=True, kw_only=True):
    """An evaluation with what it takes to read and to repeat it.

    Attributes:
        id: Of the saved evaluation; empty while it is not saved.
        made_at_ms, author: Of the run.
        estimand: What the numbers are about, in words.
        run: What was found; refused candidates without numbers.
        reasons: What each code in it says.
        sql: Text of the queries that read the log, by name.
        code_version: Of this program.
        version: Of this layout.
    """

    id: str = ""
    made_at_ms: int
    author: str
    estimand: str = ESTIMAND
    run: EvaluationRun
    reasons: dict[str, str]
    sql: dict[str, str]
    code_version: str
    version: int = FORMAT


class CandidateHeadline(Record, frozen=True, kw_only=True):
    """One candidate in a list: a refusal has reasons in place of numbers.

    Attributes:
        anytime_low, anytime_high: Of the value, for whoever looks again and again.
    """

    name: str
    verdict: str
    reasons: tuple[str, ...]
    value: float | None
    value_low: float | None
    value_high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    anytime_low: float | None = None
    anytime_high: float | None = None


class EvaluationHeadline(Record, frozen=True, kw_only=True):
    """One saved evaluation in a list."""

    id: str
    surface: str
    made_at_ms: int
    author: str
    since_ms: int
    until_ms: int
    n: int
    candidates: tuple[CandidateHeadline, ...]


def artefact_of(
    run: EvaluationRun, *, author: str, code_version: str, evaluation_id: str = ""
) -> Artefact:
    """The artefact of a run.

    Args:
        run: What was found.
        author: Who had it made.
        code_version: Of this program.
        evaluation_id: Under which it is saved.
    """
    shown = msgspec.structs.replace(
        run,
        candidates=tuple(_shown(candidate) for candidate in run.candidates),
        pairs=tuple(pair for pair in run.pairs if not _refused(run, pair.candidate, pair.other)),
    )
    queries = named_queries()
    return Artefact(
        id=evaluation_id,
        made_at_ms=run.made_at_ms,
        author=author,
        run=shown,
        reasons=_worded(shown.candidates),
        sql={name: queries[name].sql for name in run.queries if name in queries},
        code_version=code_version,
    )


def headline_of(artefact: Artefact) -> EvaluationHeadline:
    """One line of an artefact."""
    run = artefact.run
    return EvaluationHeadline(
        id=artefact.id,
        surface=run.surface,
        made_at_ms=artefact.made_at_ms,
        author=artefact.author,
        since_ms=run.since_ms,
        until_ms=run.until_ms,
        n=run.n,
        candidates=tuple(_headline(candidate) for candidate in run.candidates),
    )


class EvaluationService:
    """Saved evaluations of one project; every call may block."""

    def __init__(
        self,
        store: Store,
        *,
        code_version: str,
        new_id: Callable[[], str] | None = None,
        project: str | None = None,
    ) -> None:
        """Make the service.

        Args:
            store: Whose.
            code_version: Of this program.
            new_id: Makes ids; only `save` needs it.
            project: Only this one's surfaces; None: everybody's.
        """
        definitions = Definitions(store)
        self._seen = seen_by(project, lambda: definitions)()
        self._evaluations = Evaluations(store)
        self._code_version = code_version
        self._new_id = new_id

    def save(self, run: EvaluationRun, *, author: str) -> Artefact:
        """Keep a run.

        Raises:
            NotDeclared: No such surface.
            StoreUnavailable: The store did not answer.
        """
        if self._new_id is None:
            raise TypeError("a service that saves needs new_id")
        surface = self._seen.get(Surface.kind, run.surface)
        artefact = artefact_of(
            run, author=author, code_version=self._code_version, evaluation_id=self._new_id()
        )
        self._evaluations.add(
            SavedEvaluation(
                surface=run.surface,
                evaluation_id=artefact.id,
                made_ms=run.made_at_ms,
                author=author,
                project=surface.spec.project,
                artefact=msgspec.json.encode(artefact).decode(),
            )
        )
        return artefact

    def get(self, evaluation_id: str) -> Artefact:
        """A saved one.

        Raises:
            NotFound: There is none of that id, or its surface is another project's.
            RecordError: It was saved by a version of this program with another layout.
        """
        saved = self._evaluations.get(evaluation_id)
        try:
            self._seen.get(Surface.kind, saved.surface)
        except NotDeclared:
            raise NotFound(f"evaluation {evaluation_id[:100]!r} is not there") from None
        return read(saved.artefact)

    def all(self, surface: str, limit: int = 100) -> list[EvaluationHeadline]:
        """Saved ones of a surface in one line each, the newest first.

        Raises:
            NotDeclared: No such surface.
        """
        self._seen.get(Surface.kind, surface)
        found = self._evaluations.newest(surface, limit)
        return [headline_of(read(saved.artefact)) for saved in found if _is_read(saved.artefact)]


def read(text: str | bytes) -> Artefact:
    """An artefact from its JSON.

    Raises:
        RecordError: It is none, or of another layout.
    """
    try:
        version = msgspec.json.decode(text, type=_Versioned).version
        if version != FORMAT:
            raise RecordError(f"the artefact's version is {version}, must be {FORMAT}")
        return msgspec.json.decode(text, type=Artefact)
    except msgspec.ValidationError as exc:
        raise RecordError(f"the artefact can not be read: {exc}") from exc
    except msgspec.DecodeError as exc:
        raise RecordError("the artefact is no JSON, must be what was saved") from exc


class _Versioned(msgspec.Struct):
    version: int


def _is_read(text: str) -> bool:
    try:
        return msgspec.json.decode(text, type=_Versioned).version == FORMAT
    except msgspec.DecodeError:
        return False


def _shown(candidate: CandidateResult) -> CandidateResult:
    """A candidate without the numbers that its verdicts refuse."""
    segments = tuple(
        msgspec.structs.replace(segment, gain=None, anytime=None)
        if segment.verdict == "refuse"
        else segment
        for segment in candidate.segments
    )
    shown = msgspec.structs.replace(
        candidate,
        evaluation=_without_numbers(candidate.evaluation),
        late=candidate.late and _without_numbers(candidate.late),
        segments=segments,
    )
    if candidate.evaluation.verdict != "refuse":
        return shown
    curve = tuple(
        msgspec.structs.replace(point, value=None, recent=None) for point in candidate.curve
    )
    return msgspec.structs.replace(shown, gain=None, anytime=None, anytime_gain=None, curve=curve)


def _without_numbers(evaluation: Evaluation) -> Evaluation:
    """The same if it is not refused; else without what reads like an answer."""
    if evaluation.verdict != "refuse":
        return evaluation
    return msgspec.structs.replace(
        evaluation,
        headline=None,
        gain=None,
        estimates=tuple(
            msgspec.structs.replace(
                estimate, value=None, std_error=None, interval=None, note="refused"
            )
            for estimate in evaluation.estimates
        ),
    )


def _refused(run: EvaluationRun, *names: str) -> bool:
    return any(c.name in names and c.evaluation.verdict == "refuse" for c in run.candidates)


def _worded(candidates: Sequence[CandidateResult]) -> dict[str, str]:
    """What the codes say that appear anywhere."""
    words: Mapping[str, str] = REASONS
    codes = {
        code
        for candidate in candidates
        for reasons in (
            candidate.evaluation.reasons,
            candidate.late.reasons if candidate.late else (),
            *(segment.reasons for segment in candidate.segments),
        )
        for code in reasons
    }
    return {code: words.get(code, code) for code in sorted(codes)}


def _headline(candidate: CandidateResult) -> CandidateHeadline:
    interval, gain = candidate.interval, candidate.gain
    return CandidateHeadline(
        name=candidate.name,
        verdict=candidate.evaluation.verdict,
        reasons=candidate.evaluation.reasons,
        value=candidate.value,
        value_low=interval.low if interval else None,
        value_high=interval.high if interval else None,
        gain=gain.gain if gain else None,
        gain_low=gain.interval.low if gain else None,
        gain_high=gain.interval.high if gain else None,
        anytime_low=candidate.anytime.low if candidate.anytime else None,
        anytime_high=candidate.anytime.high if candidate.anytime else None,
    )
