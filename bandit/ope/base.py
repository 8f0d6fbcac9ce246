"""The contract of every estimator."""

from typing import Protocol, runtime_checkable

from bandit.errors import RecordError
from bandit.ope.arrays import Floats
from bandit.ope.batch import LoggedBatch
from bandit.ope.terms import Terms


@runtime_checkable
class Estimator(Protocol):
    """A value of the target policy, from one contribution per decision.

    Attributes:
        name: As tables show it.
        trusts_model: Whether its error includes a model's or a threshold's bias that no interval
            over decisions shows: such an estimate is printed without one.
    """

    @property
    def name(self) -> str:
        """As tables show it."""
        ...

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        ...

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions of the decisions.

        Raises:
            RecordError: The batch lacks what this estimator needs.
        """
        ...


def model_of(batch: LoggedBatch) -> tuple[Floats, Floats]:
    """`(n,)` direct, the target's expected prediction, and `(n,)` residuals of the drawn action.

    Raises:
        RecordError: The batch has no reward model's predictions.
    """
    if batch.direct is None or batch.predicted is None:
        raise RecordError("the batch has no predictions: see cross_fit")
    return batch.direct, batch.reward - batch.predicted


def check_limit(name: str, value: float) -> None:
    """Raise unless a greatest weight is a number from 0 on; inf is none."""
    if not value >= 0.0:
        raise RecordError(f"{name} is {value!r}, must be at least 0")
