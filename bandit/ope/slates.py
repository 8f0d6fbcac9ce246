"""Rankings: several slots a decision, each drawn given the slots above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandit.errors import BadPropensity, RecordError
from bandit.ope.arrays import Floats, Ints, floats, frozen
from bandit.ope.batch import LoggedBatch
from bandit.ope.columns import kept_units
from bandit.ope.terms import Terms

MOST_PRODUCT = 1e100


@dataclass(frozen=True, eq=False, kw_only=True)
class SlateBatch:
    """`n` logged rankings of `l` slots.

    Attributes:
        propensity: `(n, l)` probability of each slot's action given the slots above it.
        target: `(n, l)` the target's probability of it, given the same slots above.
        reward: `(n, l)` what each slot earned.
        predicted: `(n, l)` a model's value of the slot's action and of all that comes after, for
            `CascadeDr`; the slot's own reward alone if the model is of that.
        direct: `(n, l)` the target's expectation of it, given the slots above.
        unit_code: `(n,)` units as 0 … units − 1; None when every ranking is its own.
        sampling: `(n,)` 1 ÷ the probability with which the row was kept; None for 1.
    """

    propensity: Floats
    target: Floats
    reward: Floats
    predicted: Floats | None = None
    direct: Floats | None = None
    unit_code: Ints | None = None
    sampling: Floats | None = None

    @classmethod
    def of(
        cls,
        *,
        propensity: ArrayLike,
        target: ArrayLike,
        reward: ArrayLike,
        predicted: ArrayLike | None = None,
        direct: ArrayLike | None = None,
        unit: Sequence[Any] | NDArray[Any] | None = None,
        sampling: ArrayLike | None = None,
    ) -> "SlateBatch":
        """A checked batch; see the class.

        >>> SlateBatch.of(propensity=[[0.5, 0.5]], target=[[0.5, 1.0]], reward=[[0, 1]]).weights
        array([[1., 2.]])
        """
        p = floats("propensity", propensity, (None, None))
        if p.shape[1] == 0:
            raise RecordError("rankings have no slot, must have at least one")
        if not ((p > 0.0) & (p <= 1.0)).all():
            raise BadPropensity(float(p[~((p > 0.0) & (p <= 1.0))][0]))
        wanted = floats("target", target, p.shape)
        if wanted.size and not (wanted.min() >= 0.0 and wanted.max() <= 1.0 + 1e-9):
            raise RecordError("target holds a probability outside [0, 1]")
        code = None
        if unit is not None:
            units = kept_units(unit, len(p), None)
            code = np.unique(units, return_inverse=True)[1].astype(np.int64)
        if sampling is not None and not (np.asarray(sampling) > 0.0).all():
            raise RecordError("sampling holds a weight that is not above 0")
        return cls(
            propensity=p,
            target=wanted,
            reward=floats("reward", reward, p.shape),
            predicted=None if predicted is None else floats("predicted", predicted, p.shape),
            direct=None if direct is None else floats("direct", direct, p.shape),
            unit_code=code,
            sampling=None if sampling is None else floats("sampling", sampling, (len(p),)),
        )

    def slot(
        self,
        place: int,
        *,
        reward_range: tuple[float, float] | None = None,
        weight_bound: float | None = None,
    ) -> LoggedBatch:
        """One slot as a log of its own, for every estimator and interval.

        Its weight is the product of those down to it.

        Args:
            place: 0 is the top.
            reward_range: The least and greatest reward of a slot.
            weight_bound: The greatest product of the weights down to it.

        Source: per-decision importance sampling, Precup, Sutton, Singh (2000).

        >>> slates = SlateBatch.of(
        ...     propensity=[[0.5, 0.5]], target=[[0.5, 1.0]], reward=[[0, 1]])
        >>> slates.slot(1).weights
        array([2.])
        """
        slots = self.reward.shape[1]
        if not 0 <= place < slots:
            raise ValueError(f"slot is {place}, must be in 0 … {slots - 1}")
        return LoggedBatch.of(
            propensity=self.propensity[:, : place + 1].prod(axis=1),
            target=self.target[:, : place + 1].prod(axis=1),
            reward=self.reward[:, place],
            unit=self.unit_code,
            sampling=self.sampling,
            reward_range=reward_range,
            weight_bound=weight_bound,
        )

    @property
    def weights(self) -> Floats:
        """`(n, l)` each slot's own weight."""
        weights: Floats = frozen(self.target / self.propensity)
        return weights

    @property
    def cumulative(self) -> Floats:
        """`(n, l)` product of the weights of a slot and all above it.

        Raises:
            RecordError: One is above 10¹⁰⁰, whose square is no float any more.
        """
        with np.errstate(over="ignore"):
            product = np.cumprod(self.weights, axis=1).astype(np.float64)
        if product.size and not product.max() <= MOST_PRODUCT:
            raise RecordError(
                f"the weights of a ranking have the product {product.max():g}, must be at most "
                f"{MOST_PRODUCT:g}"
            )
        return product


class SlateEstimator(Protocol):
    """The sum over the slots of a ranking's rewards, under the target."""

    @property
    def name(self) -> str:
        """As tables show it."""
        ...

    def terms(self, slates: SlateBatch) -> Terms:
        """One contribution per ranking."""
        ...


@dataclass(frozen=True)
class Sips:
    """Standard slate IPS: mean(w_1…w_L · Σr): any interaction, the largest variance.

    Source: Swaminathan et al. (2017), "Off-policy evaluation for slate recommendation", eq. 3.

    Attributes:
        normalised: Whether to divide by the sum of the weights.
    """

    normalised: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return "sn_sips" if self.normalised else "sips"

    def terms(self, slates: SlateBatch) -> Terms:
        """Contributions by the whole ranking's weight."""
        whole = slates.cumulative[:, -1:]
        return _slotwise(slates, np.broadcast_to(whole, slates.reward.shape), self.normalised)


@dataclass(frozen=True)
class Iips:
    """Independent IPS: mean(Σ_l w_l·r_l): right if a slot's reward knows no other slot.

    On conditional propensities it also takes the slots above as they were logged.

    Source: Li et al. (2018), "Offline evaluation of ranking policies with click models", eq. 8.

    Attributes:
        normalised: Whether to divide each slot by the sum of its weights.
    """

    normalised: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return "sn_iips" if self.normalised else "iips"

    def terms(self, slates: SlateBatch) -> Terms:
        """Contributions by each slot's own weight."""
        return _slotwise(slates, slates.weights, self.normalised)


@dataclass(frozen=True)
class Rips:
    """Reward-interaction IPS: mean(Σ_l w_1…w_l · r_l): right if users look from the top down.

    With slots for steps it is per-decision importance sampling (PDIS); the default for our logs,
    whose propensities are conditional on the slots above.

    Source: McInerney et al. (2020), "Counterfactual evaluation of slate recommendations with
    sequential reward interactions", eq. 7; Precup, Sutton, Singh (2000) for PDIS.

    Attributes:
        normalised: Whether to divide each slot by the sum of its weights.
    """

    normalised: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return "sn_rips" if self.normalised else "rips"

    def terms(self, slates: SlateBatch) -> Terms:
        """Contributions by the weights down to each slot."""
        return _slotwise(slates, slates.cumulative, self.normalised)


Pdis = Rips
"""Per-decision importance sampling: `Rips` by its name in reinforcement learning."""


@dataclass(frozen=True)
class PseudoInverse:
    """Pseudo-inverse: mean((1 − L + Σ_l w_l)·Σr): right if a ranking's value is a sum over slots.

    Needs only the whole ranking's reward. For behaviour policies that draw slots independently;
    ours draw without replacement, where it is right only as slots are few among many actions.

    Source: Swaminathan et al. (2017), example 4; normalised: Vlassis et al. (2021), "Control
    variates for slate off-policy evaluation", section 3.

    Attributes:
        normalised: Whether to divide by the sum of the weights.
    """

    normalised: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return "sn_pi" if self.normalised else "pi"

    def terms(self, slates: SlateBatch) -> Terms:
        """Contributions by 1 − L + Σ of the slots' weights."""
        slots = slates.reward.shape[1]
        weights = 1.0 - slots + slates.weights.sum(axis=1)
        earned = weights * slates.reward.sum(axis=1)
        per = weights if self.normalised else np.ones_like(weights)
        return _terms(slates, earned[None], per[None])


@dataclass(frozen=True)
class CascadeDr:
    """Cascade DR: mean(Σ_l w_1…w_l·(r_l − Q_l) + w_1…w_{l−1}·E_target[Q_l]).

    Source: Kiyohara et al. (2022), "Doubly robust off-policy evaluation for ranking policies under
    the cascade behavior model", eq. 7; normalised: Thomas & Brunskill (2016), "Data-efficient
    off-policy policy evaluation for reinforcement learning", section 4 (weighted DR).

    Attributes:
        normalised: Whether to divide each slot's part by the sum of its weights.
    """

    normalised: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return "sn_cascade_dr" if self.normalised else "cascade_dr"

    def terms(self, slates: SlateBatch) -> Terms:
        """Contributions with the model as baseline of each slot."""
        if slates.predicted is None or slates.direct is None:
            raise RecordError("cascade DR needs predicted and direct")
        down = slates.cumulative
        above = np.concatenate([np.ones((len(down), 1)), down[:, :-1]], axis=1)
        surprise = down * (slates.reward - slates.predicted)
        if self.normalised:
            parts = np.concatenate([surprise, above * slates.direct], axis=1)
            return _terms(slates, parts.T, np.concatenate([down, above], axis=1).T)
        values = surprise + above * slates.direct
        return _terms(slates, values.sum(axis=1)[None], np.ones((1, len(down))))


def _slotwise(slates: SlateBatch, weights: Floats, normalised: bool) -> Terms:
    """Σ over the slots of mean(w·r), or of Σw·r ÷ Σw."""
    if normalised:
        return _terms(slates, (weights * slates.reward).T, weights.T)
    earned = (weights * slates.reward).sum(axis=1)
    return _terms(slates, earned[None], np.ones((1, len(earned))))


def _terms(slates: SlateBatch, correction: Floats, per: Floats) -> Terms:
    return Terms(np.zeros(len(slates.reward)), correction, per, slates.sampling, slates.unit_code)
