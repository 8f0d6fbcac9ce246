"""Closed decisions side by side, and what candidates say of them, as columns that grow."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.errors import BadPmf
from bandit.policies.features import features_of
from bandit.policies.pmf import FLOAT32, TOLERANCE, with_bounds
from bandit.policies.vw_lots import Lot
from bandit.service.logged import ClosedDecision, eligible, logged_pmf, offered
from bandit.specs import PolicySpec, Rules

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Block(NamedTuple):
    """Decisions that candidates are asked about between two lessons.

    Attributes:
        rows: As closed.
        lot: The questions.
        logged: `(p,)` probabilities with which the top slot was drawn from its pool.
        kept: `(p,)` 1 where an action could be drawn at the top, else 0; None if all could.
        drawn: `(n,)` place of the drawn action among all probabilities.
        propensity: `(n,)` as logged.
    """

    rows: Sequence[ClosedDecision]
    lot: Lot
    logged: Floats
    kept: Floats | None
    drawn: Ints
    propensity: Floats

    @classmethod
    def of(cls, rows: Sequence[ClosedDecision]) -> "Block":
        """A block of at least one decision, none of them barred."""
        decisions = [row.joined.decision for row in rows]
        lot = Lot.of([d.context for d in decisions], [offered(d) for d in decisions])
        pmf: list[float] = []
        drawn: list[int] = []
        blocked: list[int] = []
        for decision in decisions:
            start, top = len(pmf), decision.ranking[0]
            whole = logged_pmf(decision)
            if decision.excluded:
                indices = eligible(decision)
                pmf += [whole[index] for index in indices]
                drawn.append(start + list(indices).index(top))
            else:
                indices = range(len(whole))
                pmf += whole
                drawn.append(start + top)
            if decision.blocked and decision.blocked[0]:
                gone = set(decision.blocked[0])
                blocked += [start + place for place, i in enumerate(indices) if i in gone]
        kept = None
        if blocked:
            kept = np.ones(len(pmf))
            kept[blocked] = 0.0
        propensity = np.array([decision.propensities[0] for decision in decisions])
        return cls(rows, lot, np.array(pmf), kept, np.array(drawn), propensity)

    def sums(self, values: Floats) -> Floats:
        """`(n,)` sums of `(p,)` values over each decision's actions."""
        found: Floats = np.add.reduceat(values, self.lot.starts[:-1])
        return found


def served(block: Block, raw: Floats, spec: PolicySpec, rules: Rules) -> Floats:
    """`(p,)` probabilities that would have been drawn from, as `Asked.pmf` makes them.

    Checked, normalised, floored, bounded, rounded to float32, and over the pool.

    Raises:
        BadPmf: The policy gave something that is no distribution, or its floor is too high.
    """
    counts = block.lot.counts
    totals = block.sums(raw)
    slack = np.maximum(TOLERANCE, counts * FLOAT32)
    if not (raw.min() >= 0.0 and (np.abs(totals - 1.0) <= slack).all()):
        raise BadPmf(f"policy {spec.key!r} gave no distribution for a logged decision")
    rest = 1.0 - counts * spec.floor
    if rest.min() < -1e-9:
        raise BadPmf(
            f"floor of {spec.key!r} is {spec.floor!r} and {int(counts.max())} actions were "
            f"eligible, must be at most {1 / int(counts.max()):.6g}"
        )
    pmf = spec.floor + np.repeat(np.maximum(rest, 0.0) / totals, counts) * raw
    if (rules.least or rules.most) and spec.type != "fixed":
        pmf = _bounded(block, pmf, rules)
    pmf = pmf.astype(np.float32).astype(np.float64)
    return pmf if block.kept is None else _pooled(block, pmf, block.kept)


def _pooled(block: Block, pmf: Floats, kept: Floats) -> Floats:
    """Over what could be drawn; all mass elsewhere goes to the first of the pool."""
    pmf = pmf * kept
    totals = block.sums(pmf)
    for row in np.flatnonzero(totals == 0.0).tolist():
        start, stop = int(block.lot.starts[row]), int(block.lot.starts[row + 1])
        pmf[start + int(np.argmax(kept[start:stop]))] = 1.0
        totals[row] = 1.0
    return pmf / np.repeat(totals, block.lot.counts)


def _bounded(block: Block, pmf: Floats, rules: Rules) -> Floats:
    starts = block.lot.starts.tolist()
    found = pmf.copy()
    for row, actions in enumerate(block.lot.offered):
        ids = [action.id for action in actions]
        where = slice(starts[row], starts[row + 1])
        found[where] = with_bounds(
            pmf[where].tolist(),
            [rules.least.get(id_, 0.0) for id_ in ids],
            [rules.most.get(id_, 1.0) for id_ in ids],
        )
    return found


class Shared(NamedTuple):
    """Columns that all candidates of a run have in common, `(n,)` each.

    Attributes:
        ts_ms: When it was made.
        propensity, reward: As logged.
        unit: Codes in the order of their first appearance.
        share: `keep_share`.
        segment: Codes into `segments`; all 0 without any.
        segments: Names.
        excluded: How many decisions were barred, by reason.
        snapshots: Policies that drew them: the least and the greatest snapshot number.
        waiting_n: Decisions whose window had not ended.
    """

    ts_ms: Ints
    propensity: Floats
    reward: Floats
    unit: Ints
    share: Floats
    segment: Ints
    segments: tuple[str, ...]
    excluded: dict[str, int]
    snapshots: dict[str, tuple[int, int]]
    waiting_n: int


class SharedColumns:
    """Grows as blocks come."""

    def __init__(self, segment: str | None) -> None:
        self._segment = segment
        self._codes: dict[str, int] = {}
        self._units: dict[str, int] = {}
        self._parts: list[tuple[npt.NDArray[np.float64 | np.int64], ...]] = []
        self._excluded: dict[str, int] = {}
        self._snapshots: dict[str, tuple[int, int]] = {}

    def bar(self, rows: Sequence[ClosedDecision]) -> list[ClosedDecision]:
        """Count rows that are barred; what is left."""
        left = []
        for row in rows:
            if row.barred:
                self._excluded[row.barred] = self._excluded.get(row.barred, 0) + 1
            else:
                left.append(row)
        return left

    def add(self, block: Block) -> None:
        """Take a block's columns in."""
        decisions = [row.joined.decision for row in block.rows]
        units = self._units
        for policy, number in {(d.policy, d.snapshot) for d in decisions}:
            low, high = self._snapshots.get(policy, (number, number))
            self._snapshots[policy] = min(low, number), max(high, number)
        self._parts.append(
            (
                np.array([d.ts_ms for d in decisions]),
                block.propensity,
                np.array([row.joined.earned[0][1] for row in block.rows]),
                np.array([units.setdefault(d.unit_id, len(units)) for d in decisions]),
                np.array([d.keep_share for d in decisions]),
                np.array([self._code(d.context) for d in decisions]),
            )
        )

    def done(self, waiting_n: int) -> Shared:
        """All of it."""
        kinds = (np.int64, np.float64, np.float64, np.int64, np.float64, np.int64)
        columns: list[Any] = [
            np.concatenate([np.zeros(0, kind), *each]).astype(kind)
            for kind, each in zip(
                kinds, zip(*self._parts, strict=True) if self._parts else [()] * 6, strict=True
            )
        ]
        ts_ms, propensity, reward, unit, share, segment = columns
        return Shared(
            ts_ms=ts_ms,
            propensity=propensity,
            reward=reward,
            unit=unit,
            share=share,
            segment=segment,
            segments=tuple(self._codes),
            excluded=self._excluded,
            snapshots=self._snapshots,
            waiting_n=waiting_n,
        )

    def _code(self, context: bytes) -> int:
        if self._segment is None:
            return 0
        return self._codes.setdefault(_label(context, self._segment), len(self._codes))


def _label(context: bytes, member: str) -> str:
    """The features of a member by name, `country=US`; its name alone where it is absent.

    >>> _label(b'{"country":"US","age":{"days":3}}', "country")
    'country=US'
    >>> _label(b'{"country":"US","age":{"days":3}}', "age.days")
    'age.days=3'
    """
    found = features_of(context, "$.context")
    names = []
    for name, value in zip(found.names, found.values, strict=True):
        if name == member:
            names.append(f"{name}={value:g}")
        elif name.startswith(f"{member}="):
            names.append(name)
    return "+".join(names) or member


class Judged(NamedTuple):
    """What a candidate said of every decision, `(n,)` each in float32.

    Attributes:
        target: Its probability of the action drawn.
        direct, predicted: The model's expected reward under its pmf, and of the action drawn;
            empty without a model.
        accepted: With rejection, whether it could have made the decision itself; else empty.
        bound: The greatest weight that could have been drawn.
        deficit, overlap: Mean mass where nothing was logged; mean Σ_a min(candidate, logged).
    """

    target: npt.NDArray[np.float32]
    direct: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.float32]
    accepted: npt.NDArray[np.bool_]
    bound: float
    deficit: float
    overlap: float


class JudgedColumns:
    """Grows as blocks come."""

    def __init__(self) -> None:
        self._target: list[npt.NDArray[np.float32]] = []
        self._direct: list[npt.NDArray[np.float32]] = []
        self._predicted: list[npt.NDArray[np.float32]] = []
        self._accepted: list[npt.NDArray[np.bool_]] = []
        self._bound = self._deficit = self._overlap = 0.0
        self._n = 0

    def add(self, block: Block, pmf: Floats, worth: Floats | None) -> Floats:
        """Take in what a candidate says of a block; its probabilities of the actions drawn."""
        target: Floats = pmf[block.drawn]
        self._target.append(target.astype(np.float32))
        if worth is not None:
            self._direct.append(block.sums(pmf * worth).astype(np.float32))
            self._predicted.append(worth[block.drawn].astype(np.float32))
        reachable = block.logged > 0.0
        ratio = np.divide(pmf, block.logged, out=np.zeros_like(pmf), where=reachable)
        self._bound = max(self._bound, float(ratio.max()), float((target / block.propensity).max()))
        self._deficit += float(pmf[~reachable].sum())
        self._overlap += float(np.minimum(pmf, block.logged).sum())
        self._n += len(block.lot)
        return target

    def accept(self, accepted: npt.NDArray[np.bool_]) -> None:
        """Note which of the last block's decisions it could have made itself."""
        self._accepted.append(accepted)

    def done(self) -> Judged:
        """All of it."""
        n = max(self._n, 1)
        return Judged(
            np.concatenate([np.zeros(0, np.float32), *self._target]),
            np.concatenate([np.zeros(0, np.float32), *self._direct]),
            np.concatenate([np.zeros(0, np.float32), *self._predicted]),
            np.concatenate([np.zeros(0, np.bool_), *self._accepted]),
            self._bound,
            self._deficit / n,
            self._overlap / n,
        )


def steps_of(
    rows: Sequence[ClosedDecision], step_ms: int
) -> Iterator[tuple[int, list[ClosedDecision]]]:
    """Rows by the step of the log's clock in which they were made: (its beginning, rows)."""
    step: list[ClosedDecision] = []
    begun_ms = 0
    for row in rows:
        at_ms = row.joined.decision.ts_ms // step_ms * step_ms
        if step and at_ms != begun_ms:
            yield begun_ms, step
            step = []
        begun_ms = at_ms
        step.append(row)
    if step:
        yield begun_ms, step
