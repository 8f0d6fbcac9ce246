"""Off-policy sums made inside ClickHouse: what any policy in the log would have earned there.

The log is read in slices of time, so memory follows a slice and not the log; what comes back of
each are sums by target, segment and unit. The SQL is in `queries/ope_moments.sql`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.errors import NotEnoughData
from bandit.ope import LikelihoodMoments, Value, WeightMoments, ips, snips
from bandit.ope.interval import Interval
from bandit.ope.joint import JointMoments
from bandit.ope.moments import NOTHING
from bandit.specs import UNIFORM_SLICE
from bandit.store.client import Store
from bandit.store.reports import Log, Scope, joining

By = Literal["", "variant", "policy", "context"]

SLICE_N = 1_000_000
"""Decisions of a slice, about."""
GROUPS_N = 4096
"""Beyond so many units they are put into so many groups by a hash."""
HOUR_MS = 3_600_000
REASONS = ("forced", "unseen", "pinned", "overridden", "own", "absent", "fixed")
"""Why a decision is left out, the first that holds; what they mean is said beside the SQL."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OpeMoments:
    """What a log tells of one target policy, in one segment of it.

    Attributes:
        target: Key of the policy that is judged.
        segment: Value of what the log was split by; '' if it was not.
        weights: Of weights and contributions over units, for `ips` and `snips`.
        slices: Of weights and rewards over decisions, one for each slice of time that has any, in
            the order of time; they add.
        excluded: Decisions left out, by reason.
        weight_bound: The greatest weight that could have been; inf where a decision had no floor.
    """

    target: str
    segment: str
    weights: WeightMoments
    slices: tuple[LikelihoodMoments, ...]
    excluded: Mapping[str, int]
    weight_bound: float

    @property
    def likelihood(self) -> LikelihoodMoments:
        """Of all slices.

        Raises:
            NotEnoughData: No decision counts.
        """
        if not self.slices:
            raise NotEnoughData("the log", 0, 1)
        total = self.slices[0]
        for more in self.slices[1:]:
            total = total + more
        return total

    def values(self, *, alpha: float = 0.05) -> tuple[Value, Value]:
        """SNIPS and IPS with intervals over units, or why there is none."""
        given = {"policy": self.target, "alpha": alpha}
        return snips(self.weights, **given), ips(self.weights, **given)  # type: ignore[arg-type]

    def interval(self, reward_range: tuple[float, float], *, alpha: float = 0.05) -> Interval:
        """The Cressie–Read interval, widened by the design effect of units.

        Raises:
            NotEnoughData: No decision counts.
        """
        return self.likelihood.interval(
            weight_bound=self.weight_bound,
            reward_range=reward_range,
            alpha=alpha,
            design=self.design,
        )

    def gain(self, reward_range: tuple[float, float], *, alpha: float = 0.05) -> Interval:
        """The Cressie–Read interval of target − what was logged, paired by decision.

        Raises:
            NotEnoughData: No decision counts.
        """
        return self.likelihood.gain_interval(
            weight_bound=self.weight_bound,
            reward_range=reward_range,
            alpha=alpha,
            design=self.design,
        )

    @property
    def design(self) -> float:
        """Variance of SNIPS over units ÷ over decisions, at least 1.

        Source: Kish (1965), "Survey sampling", section 5.4.
        """
        likelihood = self.likelihood
        joint = likelihood.joint
        # A row that stands for s has s² of its square in a unit's sum; s seldom differs.
        alone = likelihood.residual_squares * joint.mass_squares / joint.mass
        value = self.weights.means[2] / self.weights.means[1] if self.weights.means[1] else 0.0
        together = self.weights.residual_squares(value, 1)
        return max(1.0, together / alone) if alone > 0.0 else 1.0


def ope_targets(store: Store, scope: Scope) -> list[str]:
    """Policies of whose probabilities the log of a surface holds any, by key.

    Raises:
        StoreUnavailable: The store did not answer.
    """
    found = store.rows(
        "ope_targets",
        surface=scope.surface.key,
        from_ms=scope.from_ms,
        through_ms=scope.closed_ms,
    )
    return [target for (target,) in found]


def ope_moments(
    store: Store,
    scope: Scope,
    targets: Sequence[str],
    *,
    by: By = "",
    member: str = "",
    log: Log = "all",
    logged_by: str = "",
    slice_n: int = SLICE_N,
) -> list[OpeMoments]:
    """Moments of each target, over the decisions that have all their rewards.

    They are what the rows would give: sums over units are exact for up to `GROUPS_N` units. More
    are put into that many groups by a hash, and a group is one observation: the value stays what it
    is, and its standard error is off by 1 ÷ √(2 · groups), one percent.

    Args:
        store: Any user of it.
        scope: The surface, until when, since when, and of which experiment.
        targets: Keys of policies; one that the log holds nothing of has only `absent` decisions.
        by: What the log is split by: nothing, the variant or the policy that drew, or `member`.
        member: A member of the context (`a.b` for one of an object).
        log: `all` counts the target's own decisions (each weighs 1); `others` leaves them out.
        logged_by: Only decisions of this policy; '' for any.
        slice_n: Decisions of a slice, about: more is faster and takes more memory.

    Returns:
        By target and segment.

    Raises:
        StoreUnavailable: The store did not answer.

    Source: random groups: Wolter (2007), "Introduction to variance estimation", section 2.4.
    """
    asked = {
        **joining(scope),
        "experiment": scope.experiment,
        "logged_by": logged_by,
        "targets": list(targets),
        "by": by,
        "member": member,
        "own": log == "all",
        "uniform": UNIFORM_SLICE,
        "origin": scope.surface.default_reward,
    }
    found: dict[tuple[str, str], _Sums] = {}
    groups_n = 0
    for from_ms, through_ms in _slices(store, scope, slice_n):
        span = {"surface": scope.surface.key, "from_ms": from_ms, "through_ms": through_ms}
        [(repeated, units_n)] = store.rows("ope_slice", **span)
        if not groups_n and units_n > GROUPS_N:
            groups_n = GROUPS_N
        answer = store.columns(
            "ope_moments", **{**asked, **span, "repeated": bool(repeated), "groups": groups_n}
        )
        for key, part in _parts(answer, scope.surface.default_reward):
            found.setdefault(key, _Sums()).add(part)
        if groups_n or any(len(sums.keys) > GROUPS_N for sums in found.values()):
            groups_n = GROUPS_N
            for sums in found.values():
                sums.fold(groups_n)
    shrunk = 1.0 - sum(scope.surface.rules.least.values())
    return [found[key].moments(*key, shrunk) for key in sorted(found)]


class _Part(NamedTuple):
    """What a slice tells of one target in one segment.

    Attributes:
        keys: `(u,)` of units.
        by_unit: `(u, 3)` Σs, Σs·w, Σs·w·r.
        sums: Column → total over the slice, of the decisions that count.
        likelihood: Of them; None where there is none.
        excluded: Others, by reason.
    """

    keys: NDArray[np.uint64]
    by_unit: NDArray[np.float64]
    sums: Mapping[str, float]
    likelihood: LikelihoodMoments | None
    excluded: Mapping[str, int]


@dataclass
class _Sums:
    """What the slices so far tell of one target in one segment."""

    keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    by_unit: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    totals: dict[str, float] = field(default_factory=dict)
    slices: list[LikelihoodMoments] = field(default_factory=list)
    excluded: dict[str, int] = field(default_factory=dict)

    def add(self, part: _Part) -> None:
        """One slice more."""
        self.keys = np.concatenate([self.keys, part.keys])
        self.by_unit = np.concatenate([self.by_unit, part.by_unit])
        self._merge()
        for name in ("n", "matched_n", "weight_squares"):
            self.totals[name] = self.totals.get(name, 0.0) + part.sums.get(name, 0.0)
        for name, combine in (("most_w", max), ("least_floor", min)):
            if name in part.sums:
                self.totals[name] = combine(self.totals.get(name, part.sums[name]), part.sums[name])
        if part.likelihood is not None:
            self.slices.append(part.likelihood)
        for reason, n in part.excluded.items():
            self.excluded[reason] = self.excluded.get(reason, 0) + n

    def fold(self, groups_n: int) -> None:
        """Put the units into groups; again is no change."""
        self.keys = self.keys % np.uint64(groups_n)
        self._merge()

    def _merge(self) -> None:
        self.keys, place = np.unique(self.keys, return_inverse=True)
        self.by_unit = np.stack(
            [np.bincount(place, column, len(self.keys)) for column in self.by_unit.T], axis=1
        )

    def moments(self, target: str, segment: str, shrunk: float) -> OpeMoments:
        """All of it."""
        floor = self.totals.get("least_floor", 0.0) * shrunk
        return OpeMoments(
            target=target,
            segment=segment,
            weights=self._weights(),
            slices=tuple(self.slices),
            excluded=dict(sorted(self.excluded.items())),
            weight_bound=1.0 / floor if floor > 0.0 else float("inf"),
        )

    def _weights(self) -> WeightMoments:
        if not len(self.keys):
            return NOTHING
        means = self.by_unit.mean(axis=0)
        centred = self.by_unit - means
        products = centred.T @ centred
        nn, nw, nc, ww, wc, cc = products[np.triu_indices(3)].tolist()
        decisions, weight, contribution = means.tolist()
        return WeightMoments(
            units_n=len(self.keys),
            n=int(self.totals["n"]),
            matched_n=int(self.totals["matched_n"]),
            means=(decisions, weight, contribution),
            comoments=(nn, nw, nc, ww, wc, cc),
            weight_squares=self.totals["weight_squares"],
            max_weight=self.totals["most_w"],
        )


def _slices(store: Store, scope: Scope, slice_n: int) -> Iterator[tuple[int, int]]:
    """Spans of time of about `slice_n` decisions, both ends in them: whole hours where they fit."""
    rows = store.rows(
        "ope_rate", surface=scope.surface.key, from_ms=scope.from_ms, through_ms=scope.closed_ms
    )
    start_ms, have_n = scope.from_ms, 0
    for hour_ms, rows_n in rows:
        if have_n and have_n + rows_n > slice_n:
            yield start_ms, hour_ms - 1
            start_ms, have_n = hour_ms, 0
        pieces_n = -(-rows_n // slice_n)
        for piece in range(1, pieces_n):
            end_ms = hour_ms + HOUR_MS * piece // pieces_n
            if start_ms < end_ms <= scope.closed_ms:
                yield start_ms, end_ms - 1
                start_ms = end_ms
        have_n += rows_n // max(pieces_n, 1)
    if have_n:
        yield start_ms, scope.closed_ms


def _parts(
    answer: Mapping[str, Sequence[object]], origin: float
) -> Iterator[tuple[tuple[str, str], _Part]]:
    """The answer's rows by target and segment."""
    labels = list(zip(answer["target"], answer["segment"], strict=True))
    numbers: dict[str, NDArray[Any]] = {
        name: np.asarray(values, dtype=np.uint64 if name == "key" else np.float64)
        for name, values in answer.items()
        if name not in {"target", "segment", "why"}
    }
    why = np.asarray(answer["why"], dtype=str)
    ends = [at for at in range(1, len(labels) + 1) if labels[at - 1 : at] != labels[at : at + 1]]
    for start, end in pairwise([0, *ends]):
        rows = slice(start, end)
        target, segment = labels[start]
        here = {name: values[rows] for name, values in numbers.items()}
        yield (str(target), str(segment)), _part(here, why[rows], origin)


def _part(here: Mapping[str, NDArray[Any]], why: NDArray[np.str_], origin: float) -> _Part:
    counts = why == ""
    excluded = {
        str(reason): int(here["n"][why == reason].sum()) for reason in np.unique(why[~counts])
    }
    if not counts.any():
        return _Part(np.zeros(0, np.uint64), np.zeros((0, 3)), {}, None, excluded)
    columns = {name: values[counts] for name, values in here.items()}
    totals = {
        name: float(_COMBINE.get(name.partition("_")[0], np.sum)(values))
        for name, values in columns.items()
        if name != "key"
    }
    earned = columns["sum_wr"] + origin * columns["sum_w"]
    by_unit = np.stack([columns["sum_s"], columns["sum_w"], earned], axis=1)
    keys = columns["key"].astype(np.uint64)
    return _Part(keys, by_unit, totals, _likelihood(totals, origin), excluded)


_COMBINE = {"least": np.min, "most": np.max}


def _likelihood(totals: Mapping[str, float], origin: float) -> LikelihoodMoments:
    """Moments of (w, w·r, r) from sums over rewards counted from `origin`."""
    mass = totals["sum_s"]
    means = np.array([totals["sum_w"], totals["sum_wr"], totals["sum_r"]]) / mass
    squares = np.array(
        [
            [totals["sum_ww"], totals["sum_wwr"], totals["sum_wr"]],
            [totals["sum_wwr"], totals["sum_wwrr"], totals["sum_wrr"]],
            [totals["sum_wr"], totals["sum_wrr"], totals["sum_rr"]],
        ]
    )
    comoments = squares - mass * np.outer(means, means)
    np.fill_diagonal(comoments, np.maximum(np.diag(comoments), 0.0))
    # w·r = w·(r − origin) + origin·w
    back = np.array([[1.0, 0.0, 0.0], [origin, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return LikelihoodMoments(
        joint=JointMoments(
            mass,
            totals["sum_ss"],
            back @ means + np.array([0.0, 0.0, origin]),
            back @ comoments @ back.T,
        ),
        weights=(totals["least_w"], totals["most_w"]),
        rewards=(totals["least_r"] + origin, totals["most_r"] + origin),
    )
