"""Bayesian linear regression for each action id, and Thompson sampling over the posteriors.

For each action, over the lessons in which it was shown (context x with a constant, reward r; an
older lesson of the same action counts `forgetting` times less than the next one):

    A = ridge·I + Σ x·xᵀ,  b = Σ (r − prior_mean)·x,
    worth in context x ~ Normal(prior_mean + xᵀ·A⁻¹·b, scale²·xᵀ·A⁻¹·x)

and the pmf is P(argmax), integrated (`bandit.policies.argmax`): so it explores like LinTS and logs
real propensities, where LinUCB is deterministic. It is disjoint: an action knows its own lessons
only, its features count for nothing, and one that was never shown is worth 0 ± its prior.

Use it for contexts that are small, dense and clean; there it beats every string of options for
Vowpal Wabbit (see `tests/bandit/policies/test_linear.py`). With many features, many actions or
rewards that are mostly noise, it does not. Centre numeric features (`numeric` of the spec) whose
values are far from 0 for their spread: the ridge holds them all alike.

What is learned is sums of products, without a matrix library, so the digest does not depend on one.

Source:
    Agrawal & Goyal 2013, "Thompson sampling for contextual bandits with linear payoffs", section
    2.2, with A and b for each action as in Li et al. 2010, "A contextual-bandit approach to
    personalized news article recommendation", algorithm 1. `scale` is their v, `ridge` their λ = 1.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from bandit.errors import BadSpec
from bandit.policies.argmax import normal_argmax
from bandit.policies.base import Lesson, check_lesson
from bandit.policies.cache import Generations
from bandit.policies.coordinates import Coordinates
from bandit.policies.features import check_features, features_of
from bandit.policies.framing import frame, unframe
from bandit.policies.parameters import Ids, Parameters
from bandit.records import Action

Floats = npt.NDArray[np.float64]

MOST_NUMBERS = 2**23
"""Of all A together: 64 MB, and about half of that in a snapshot."""
_STACKED = 2**20  # numbers in a generation of gathered actions
_JITTER = 1e-10  # of a matrix with 1 on its diagonal; keeps it invertible whatever is in it


class LinearParameters(Parameters, frozen=True, kw_only=True):
    """Parameters of `linear`.

    Attributes:
        dimensions: The most coordinates of a context, the constant's counted; the names of features
            beyond that share them, see `Coordinates`.
        ids: The most action ids that are remembered; the one that was shown the longest ago is
            forgotten first.
        ridge: How firmly weights are held at 0, in lessons with a feature of 1.
        prior_mean: What an action is thought to be worth before its first lesson.
        scale: How widely to explore: standard deviation of the worth per unit of xᵀ·A⁻¹·x's root.
        forgetting: What a lesson counts for after the next one of the same action; 1 = for ever.
    """

    dimensions: Annotated[int, msgspec.Meta(ge=2, le=512)] = 64
    ids: Ids = 1_000
    ridge: Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)] = 1.0
    prior_mean: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)] = 0.0
    scale: Annotated[float, msgspec.Meta(ge=1e-6, le=1e3)] = 0.1
    forgetting: Annotated[float, msgspec.Meta(ge=0.5, le=1)] = 1.0

    def __post_init__(self) -> None:
        if self.ids * self.dimensions**2 > MOST_NUMBERS:
            raise BadSpec(
                f"ids times dimensions squared is {self.ids * self.dimensions**2}, must be at most "
                f"{MOST_NUMBERS}: with {self.dimensions} dimensions, at most "
                f"{MOST_NUMBERS // self.dimensions**2} ids"
            )


class _Sums(NamedTuple):
    """Of one action, over the coordinates that were in use at its last lesson: A − ridge·I, b."""

    a: Floats
    b: Floats


class _Solved(NamedTuple):
    """The same as the pmf takes it: `root` has rootᵀ·root = A⁻¹, and `mean` is A⁻¹·b."""

    root: Floats
    mean: Floats


class Linear:
    """Linear Thompson sampling with exact propensities.

    >>> policy = Linear(LinearParameters())
    >>> actions = (Action(id="a"), Action(id="b"))
    >>> for hour in (1, -1) * 20:
    ...     for drawn in (0, 1):
    ...         reward = float((hour > 0) == (drawn == 0))
    ...         policy.learn(
    ...             Lesson(
    ...                 context=b'{"hour":%d}' % hour,
    ...                 actions=actions,
    ...                 drawn=drawn,
    ...                 propensity=0.5,
    ...                 reward=reward,
    ...             )
    ...         )
    >>> [round(p, 3) for p in policy.pmf(b'{"hour":1}', actions)]
    [1.0, 0.0]
    """

    magic: ClassVar[bytes] = b"bandit-linear\x01"

    def __init__(self, parameters: LinearParameters, weights: bytes | None = None) -> None:
        """An untrained policy, or one as it was saved.

        Args:
            parameters: Checked.
            weights: What `save` gave.

        Raises:
            BadSpec: The weights were learned with other parameters.
            SnapshotCorrupt: The weights are not what was saved.
        """
        self.parameters = parameters
        self._coordinates = Coordinates(parameters.dimensions)
        self._sums: OrderedDict[str, _Sums] = OrderedDict()
        self._solved: dict[str, _Solved] = {}
        self._stacks: Generations[tuple[str, ...], _Solved] = Generations(_STACKED, self._weigh)
        if weights is not None:
            self._load(unframe(self.magic, parameters.text, weights))
            for id_ in self._sums:  # here, and not when the first request waits for it
                self._solve(id_)

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """See `bandit.policies.base.Policy`; of an action, only the id counts."""
        check_features(context, actions)
        x = self._coordinates.vector(features_of(context, "$.context"))
        ids = tuple([action.id for action in actions])
        stack = self._stacks.get(ids)
        if stack is None:
            stack = self._stack(ids)
            self._stacks.put(ids, stack)
        # Not by BLAS, whose last bits can depend on how many rows and threads there are.
        reduced = np.einsum("kij,j->ki", stack.root, x)
        variances = np.einsum("ki,ki->k", reduced, reduced)
        means = np.einsum("ki,i->k", stack.mean, x)  # less prior_mean, which all have in common
        return normal_argmax(means, self.parameters.scale * np.sqrt(variances))

    def feature_weights(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """What 1 of a feature of the context adds to the mean reward of an action.

        Args:
            pairs: Name of the feature ('' for the constant) and id of the action; 0 is what shares
                a coordinate, or was never learned.
        """
        places = {name: place for place, name in enumerate(self._coordinates.names, start=1)}
        places[""] = 0
        return [
            float(self._solve(id_).mean[places[name]]) if name in places else 0.0
            for name, id_ in pairs
        ]

    def check(self, lesson: Lesson) -> None:
        """Refuse a lesson that `learn` would refuse."""
        check_lesson(lesson)
        check_features(lesson.context, lesson.actions)

    def learn(self, lesson: Lesson) -> None:
        """Learn from one slot.

        Raises:
            RecordError: A lesson that must not be learned; nothing was.
        """
        self.check(lesson)
        features = features_of(lesson.context, "$.context")
        before = self._coordinates.length
        self._coordinates.learn(features.names)
        if self._coordinates.length > before:
            self._solved.clear()
        x = self._coordinates.vector(features)
        id_ = lesson.actions[lesson.drawn].id
        sums = self._of(id_)
        if self.parameters.forgetting < 1.0:
            sums.a[...] *= self.parameters.forgetting
            sums.b[...] *= self.parameters.forgetting
        used = np.flatnonzero(x)
        sums.a[np.ix_(used, used)] += np.multiply.outer(x[used], x[used])
        sums.b[used] += (lesson.reward - self.parameters.prior_mean) * x[used]
        self._sums[id_] = sums
        self._sums.move_to_end(id_)
        self._solved.pop(id_, None)
        self._stacks.clear()
        if len(self._sums) > self.parameters.ids:
            forgotten, _ = self._sums.popitem(last=False)
            self._solved.pop(forgotten, None)

    def save(self) -> bytes:
        """Names and sums in a frame that knows their digest and the parameters."""
        return frame(self.magic, self.parameters.text, self._state())

    def digest(self) -> str:
        """SHA-256, in hex, over names, ids in the order in which they were learned, and sums."""
        return hashlib.sha256(self._state()).hexdigest()

    def _state(self) -> bytes:
        """Canonical: names, ids, then of each id A's upper triangle and b, little-endian."""
        upper = np.triu_indices(self._coordinates.length)
        rows = []
        for id_ in self._sums:
            sums = self._of(id_)
            rows += [sums.a[upper].astype("<f8").tobytes(), sums.b.astype("<f8").tobytes()]
        return msgspec.msgpack.encode((self._coordinates.names, list(self._sums), b"".join(rows)))

    def _load(self, state: bytes) -> None:
        names, ids, numbers = _STATE.decode(state)
        self._coordinates = Coordinates(self.parameters.dimensions, names)
        d = self._coordinates.length
        upper = np.triu_indices(d)
        rows = np.frombuffer(numbers, dtype="<f8").reshape(len(ids), len(upper[0]) + d)
        for id_, row in zip(ids, rows, strict=True):
            a = np.zeros((d, d))
            a[upper] = row[:-d]
            a.T[upper] = row[:-d]
            self._sums[id_] = _Sums(a, row[-d:].copy())

    def _of(self, id_: str) -> _Sums:
        """Sums of an action over all coordinates that are in use now; zeros for a new one."""
        d = self._coordinates.length
        sums = self._sums.get(id_)
        if sums is not None and len(sums.b) == d:
            return sums
        wide = _Sums(np.zeros((d, d)), np.zeros(d))
        if sums is not None:
            n = len(sums.b)
            wide.a[:n, :n], wide.b[:n] = sums
        return wide

    def _solve(self, id_: str) -> _Solved:
        """Root of A⁻¹ and mean, computed once between lessons.

        A is first brought to 1 on its diagonal, so that features of very different sizes (up to
        4e9) cost no digits; then even equal ones leave it invertible.
        """
        key = id_ if id_ in self._sums else ""
        solved = self._solved.get(key)
        if solved is None:
            a, b = self._of(id_)
            d = len(b)
            a = a + self.parameters.ridge * np.eye(d)
            sizes = 1.0 / np.sqrt(a.diagonal())
            scaled = a * sizes[:, None] * sizes + _JITTER * np.eye(d)
            root = np.linalg.inv(np.linalg.cholesky(scaled)) * sizes
            mean = np.einsum("ij,i->j", root, np.einsum("ij,j->i", root, b))
            solved = self._solved[key] = _Solved(root, mean)
        return solved

    def _stack(self, ids: Sequence[str]) -> _Solved:
        solved = [self._solve(id_) for id_ in ids]
        return _Solved(
            np.stack([one.root for one in solved]), np.stack([one.mean for one in solved])
        )

    def _weigh(self, ids: tuple[str, ...]) -> int:
        return int(len(ids) * self._coordinates.length**2)


_STATE = msgspec.msgpack.Decoder(tuple[list[str], list[str], bytes])
