"""Logged decisions as arrays: checked once, frozen, with what may not be used left out."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandit.errors import BadPmf, NotEnoughData, RecordError
from bandit.ope.arrays import (
    Floats,
    Ints,
    Mask,
    check_range,
    check_shape,
    floats,
    frozen,
    numbers,
    whole_numbers,
)
from bandit.ope.columns import (
    ROUNDING,
    as_wide,
    check_actions,
    check_loggers,
    each_row,
    hull,
    kept,
    kept_ints,
    kept_units,
    needed,
    probability,
    propensity_of,
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LoggedBatch:
    """`n` logged decisions and what the target policy would have done in each.

    Build it with `LoggedBatch.of`, which checks; `take` and `parts` give sub-batches.

    Attributes:
        propensity: `(n,)` probability with which the action was drawn, in (0, 1].
        reward: `(n,)` what it earned.
        target: `(n,)` the target policy's probability of the action drawn, in [0, 1].
        action: `(n,)` index of the action drawn; None where no estimator needs it.
        target_pmf: `(n, k)` the target's whole pmf.
        logged_pmf: `(n, k)` the behaviour policy's whole pmf.
        predictions: `(n, k)` a model's expected reward of every action.
        predicted: `(n,)` its prediction for the action drawn.
        direct: `(n,)` the target's expected prediction, Σ_a target(a)·prediction(a).
        unit: `(n,)` who each decision was made for; None when every decision is a unit.
        sampling: `(n,)` 1 ÷ the probability with which the row was kept; None for 1.
        logger: `(n,)` which behaviour policy drew it, 0 …; None for one.
        logger_propensity: `(n, m)` probability of the action drawn under every behaviour policy.
        embedding: `(n,)` code of what the action looked like (`Mips`).
        actions_n: `(n,)` how many actions were eligible; None if unknown.
        weight_bound: The greatest weight that could have been drawn, known beforehand.
        reward_range: The least and greatest reward that could have come.
        support: Mean target mass where nothing was logged, and mean Σ_a min(target, logged), where
            they are known and the pmfs were too wide to keep.
        excluded: How many rows were left out, by reason.
    """

    propensity: Floats
    reward: Floats
    target: Floats
    action: Ints | None = None
    target_pmf: Floats | None = None
    logged_pmf: Floats | None = None
    predictions: Floats | None = None
    predicted: Floats | None = None
    direct: Floats | None = None
    unit: NDArray[Any] | None = None
    sampling: Floats | None = None
    logger: Ints | None = None
    logger_propensity: Floats | None = None
    embedding: Ints | None = None
    actions_n: Ints | None = None
    weight_bound: float | None = None
    reward_range: tuple[float, float] | None = None
    support: tuple[float, float] | None = None
    excluded: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(
        cls,
        *,
        propensity: ArrayLike,
        reward: ArrayLike,
        action: ArrayLike | None = None,
        target: ArrayLike | None = None,
        target_pmf: ArrayLike | None = None,
        logged_pmf: ArrayLike | None = None,
        predictions: ArrayLike | None = None,
        predicted: ArrayLike | None = None,
        direct: ArrayLike | None = None,
        unit: Sequence[Any] | NDArray[Any] | None = None,
        sampling: ArrayLike | None = None,
        logger: ArrayLike | None = None,
        logger_propensity: ArrayLike | None = None,
        embedding: ArrayLike | None = None,
        weight_bound: float | None = None,
        reward_range: tuple[float, float] | None = None,
        support: tuple[float, float] | None = None,
        actions_n: ArrayLike | None = None,
        barred: Mapping[str, ArrayLike] | None = None,
    ) -> "LoggedBatch":
        """A checked batch without the rows that importance weights may not use.

        Args:
            propensity, reward, action, target, target_pmf, logged_pmf, predictions, predicted,
                direct, unit, sampling, logger, logger_propensity, embedding, weight_bound,
                reward_range, support: see the class.
                `target` or (`target_pmf` and `action`) is needed.
            actions_n: `(n,)` or one number: eligible actions. A propensity of 1 among several
                (a `fixed` policy) says nothing of the others; such rows are left out as `fixed`.
            barred: Reason → `(n,)` mask of rows to leave out, such as `override`, `shadow` or
                `not_logged`. A row counts under the first reason that holds.

        Raises:
            RecordError: Shapes that do not fit, values that are not finite or out of range.

        >>> batch = LoggedBatch.of(
        ...     propensity=[0.5, 0.25, 1.0], reward=[1, 0, 1], target=[1.0, 0.5, 1.0],
        ...     actions_n=4, barred={"override": [False, False, False]})
        >>> len(batch), dict(batch.excluded), batch.weights.tolist()
        (2, {'fixed': 1}, [2.0, 2.0])
        """
        # Longer than our functions are: it is one list of columns, each taken and cut alike.
        p = numbers("propensity", propensity)
        keep, excluded = kept(p, actions_n, barred or {})

        def rows(name: str, values: ArrayLike | None, *each: int | None) -> Floats | None:
            """A column of one number a row, or of `each`."""
            if values is None:
                return None
            array = numbers(name, values)
            check_shape(name, array.shape, (len(p), *each))
            return floats(name, array if keep is None else array[keep], (None, *each))

        pmf = rows("target_pmf", target_pmf, None)
        k = None if pmf is None else pmf.shape[1]
        drawn = None if action is None else whole_numbers("action", action, (len(p),))
        drawn = drawn if keep is None or drawn is None else frozen(drawn[keep])
        batch = cls(
            propensity=propensity_of(p if keep is None else p[keep]),
            reward=needed("reward", rows("reward", reward)),
            target=probability("target", rows("target", target), pmf, drawn),
            action=drawn,
            target_pmf=pmf,
            logged_pmf=rows("logged_pmf", logged_pmf, k),
            predictions=rows("predictions", predictions, k),
            predicted=rows("predicted", predicted),
            direct=rows("direct", direct),
            unit=None if unit is None else kept_units(unit, len(p), keep),
            sampling=rows("sampling", sampling),
            logger=kept_ints("logger", logger, len(p), keep),
            logger_propensity=rows("logger_propensity", logger_propensity, None),
            embedding=kept_ints("embedding", embedding, len(p), keep),
            actions_n=kept_ints(
                "actions_n",
                None if actions_n is None else each_row("actions_n", actions_n, p.shape),
                len(p),
                keep,
            ),
            weight_bound=weight_bound,
            reward_range=reward_range,
            support=support,
            excluded=excluded,
        )
        batch._check()
        return batch if batch.predictions is None else batch.with_predictions(batch.predictions)

    def _check(self) -> None:
        """Raise where values contradict each other."""
        if self.sampling is not None and not (self.sampling > 0.0).all():
            raise RecordError("sampling holds a weight that is not above 0")
        if self.weight_bound is not None and not self.weight_bound >= 1.0 - ROUNDING:
            raise RecordError(
                f"weight_bound is {self.weight_bound!r}, must be at least 1, their mean"
            )
        check_loggers(self.logger, self.logger_propensity)
        for name, pmf in (("target_pmf", self.target_pmf), ("logged_pmf", self.logged_pmf)):
            if pmf is None:
                continue
            check_actions(self.action, pmf.shape[1])
            if len(pmf) and (pmf.min() < 0.0 or np.abs(pmf.sum(axis=1) - 1.0).max() > 1e-3):
                raise BadPmf(f"{name} has a row that is not a distribution (≥ 0, sums to 1)")
        if self.reward_range is not None:
            check_range(self.reward_range)
            low, high = self.reward_range
            if len(self) and not (low <= self.reward.min() and self.reward.max() <= high):
                raise RecordError(
                    f"rewards are in [{self.reward.min()}, {self.reward.max()}], reward_range is "
                    f"({low}, {high})"
                )

    @classmethod
    def joined(cls, parts: Iterable["LoggedBatch"]) -> "LoggedBatch":
        """One batch of a log that came in parts, such as `bandit.service.logged.batch_of` gives.

        Parts have the same columns. Pmfs are padded with 0 to the widest, what was left out is
        added up; bounds are those that hold for all, None if a part has none.

        Raises:
            NotEnoughData: No parts.
            RecordError: A column is in some parts only.

        >>> day = LoggedBatch.of(propensity=[0.5], reward=[1], target=[0.5], weight_bound=2.0)
        >>> week = LoggedBatch.joined([day] * 7)
        >>> week.n, week.weight_bound
        (7, 2.0)
        """
        all_of_it = list(parts)
        if not all_of_it:
            raise NotEnoughData("the log", 0, 1)
        columns: dict[str, Any] = {}
        for name in _PER_ROW:
            each = [getattr(part, name) for part in all_of_it]
            if all(one is None for one in each):
                continue
            if any(one is None for one in each):
                raise RecordError(f"{name} is in some parts only, must be in all of them or none")
            columns[name] = frozen(np.concatenate(as_wide(each)))
        bounds = [part.weight_bound for part in all_of_it]
        ranges = [part.reward_range for part in all_of_it]
        excluded: Counter[str] = Counter()
        for part in all_of_it:
            excluded.update(part.excluded)
        return cls(
            **columns,
            weight_bound=None if None in bounds else max(b for b in bounds if b is not None),
            reward_range=None if None in ranges else hull([r for r in ranges if r is not None]),
            support=_mean_support(all_of_it),
            excluded=MappingProxyType(dict(excluded)),
        )

    def __repr__(self) -> str:
        kept = ", ".join(name for name in _PER_ROW if getattr(self, name) is not None)
        return f"LoggedBatch(n={self.n}, excluded={dict(self.excluded)}, columns=[{kept}])"

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def n(self) -> int:
        """Decisions used."""
        return len(self.reward)

    @cached_property
    def weights(self) -> Floats:
        """`(n,)` target ÷ propensity."""
        weights: Floats = frozen(self.target / self.propensity)
        return weights

    @cached_property
    def unit_code(self) -> Ints | None:
        """`(n,)` units as 0 … units − 1; None when every decision is its own."""
        if self.unit is None:
            return None
        values, codes = np.unique(self.unit, return_inverse=True)
        return None if len(values) == len(codes) else codes.astype(np.int64)

    @property
    def units_n(self) -> int:
        """Units."""
        code = self.unit_code
        return self.n if code is None else int(code.max()) + 1

    @cached_property
    def greatest_weight(self) -> float:
        """The bound on the weight: as given, or from both pmfs over every action; inf if unknown.

        The greatest weight *seen* is no bound: one that is yet to come moves the value most.
        """
        if self.weight_bound is not None:
            return max(self.weight_bound, float(self.weights.max(initial=0.0)))
        if self.logged_pmf is None or self.target_pmf is None or not self.n:
            return math.inf
        wanted = self.target_pmf > 0.0
        ratio = np.divide(
            self.target_pmf,
            self.logged_pmf,
            out=np.where(wanted, np.inf, 0.0),
            where=self.logged_pmf > 0.0,
        )
        return float(ratio.max())

    @property
    def greatest_rewards(self) -> tuple[float, float]:
        """The rewards' range: as given, or as seen.

        Raises:
            NotEnoughData: Not given, and all rewards are equal: what was seen bounds nothing.
        """
        if self.reward_range is not None:
            return self.reward_range
        least, most = float(self.reward.min()), float(self.reward.max())
        if least == most:
            raise NotEnoughData("different rewards, without a reward_range,", 1, 2)
        return least, most

    @property
    def has_model(self) -> bool:
        """Whether a reward model's predictions are here."""
        return self.direct is not None and self.predicted is not None

    def take(self, rows: Ints | Mask | slice) -> "LoggedBatch":
        """The batch of some rows; a row may be taken more than once."""
        changes: dict[str, Any] = {
            name: frozen(value[rows])
            for name in _PER_ROW
            if (value := getattr(self, name)) is not None
        }
        return replace(self, **changes)

    def parts(self, size: int) -> Iterator["LoggedBatch"]:
        """Sub-batches of at most `size` rows, in order: moments of the parts add.

        >>> whole = LoggedBatch.of(propensity=[0.5] * 5, reward=[1] * 5, target=[0.5] * 5)
        >>> [len(part) for part in whole.parts(2)]
        [2, 2, 1]
        """
        if size < 1:
            raise ValueError(f"size is {size}, must be at least 1")
        for start in range(0, self.n, size):
            yield self.take(slice(start, start + size))

    def with_predictions(self, predictions: ArrayLike) -> "LoggedBatch":
        """The same log with another reward model's `(n, k)` predictions."""
        if self.target_pmf is None or self.action is None:
            raise RecordError("predictions need target_pmf and action")
        q = floats("predictions", predictions, self.target_pmf.shape)
        return replace(
            self,
            predictions=q,
            predicted=frozen(np.take_along_axis(q, self.action[:, None], axis=1)[:, 0]),
            direct=frozen(np.einsum("nk,nk->n", self.target_pmf, q)),
        )

    def with_target(self, target_pmf: ArrayLike) -> "LoggedBatch":
        """The same log for another target policy's `(n, k)` pmf."""
        if self.action is None:
            raise RecordError("target_pmf needs action")
        pmf = floats("target_pmf", target_pmf, (self.n, None))
        target = probability("target", None, pmf, self.action)
        changed = replace(
            self, target_pmf=pmf, target=target, direct=None, weight_bound=None, support=None
        )
        changed._check()
        return changed if self.predictions is None else changed.with_predictions(self.predictions)


_PER_ROW = (
    "propensity",
    "reward",
    "target",
    "action",
    "target_pmf",
    "logged_pmf",
    "predictions",
    "predicted",
    "direct",
    "unit",
    "sampling",
    "logger",
    "logger_propensity",
    "embedding",
    "actions_n",
)


def _mean_support(parts: Sequence[LoggedBatch]) -> tuple[float, float] | None:
    known = [(part.n, part.support) for part in parts if part.support is not None and part.n]
    n = sum(size for size, _ in known)
    if not n or len(known) < sum(part.n > 0 for part in parts):
        return None
    return (
        sum(size * support[0] for size, support in known) / n,
        sum(size * support[1] for size, support in known) / n,
    )
