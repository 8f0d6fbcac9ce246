"""Several ways to predict a reward, of which whichever predicts best decides: no tuning.

* ridge regression for each action id on a Gaussian kernel, held lightly: for few and dense features
  and clean rewards, whatever shape the worth has;
* the same, held firmly: for rare and noisy rewards;
* Vowpal Wabbit's regression `-q UA`: for many features, for texts, for actions that come and go and
  have features in common;
* the same with a small learning rate: for those with noise;
* if there are numbers, the first of these two on their fifths in their place: for long tails, for
  freaks, and for what is best in the middle where the others can not see it (items that come and
  go with a price or an age of their own).

Each part predicts every lesson before it learns from it, whichever action was drawn. L_i is the sum
of squared errors that the best straight line through a part's predictions leaves of the rewards, so
that a part counts by what it tells apart: one that says 0 for everything is of no use where rewards
are rare, though few are more often right, and one that exaggerates may still have the order right.
With s² the least L_i a lesson, the parts have the weights w_i ∝ exp(−L_i / 2s²) (Bayes' rule for
equally likely models with normal noise), an action's worth is Σ w_i · prediction_i, and SquareCB
makes probabilities of the gaps to the best: 1/(k + γ·gap), γ = exploitation · √(lessons/k) / s, and
the best has the rest. Because gaps are measured in s, the unit of the rewards does not matter.
Every action has a probability above 0.

All sums are functions of the lessons in their order, so a rebuilt policy has the same weights, and
the propensities that are logged are the ones that were drawn with.

Source:
    Foster & Rakhlin 2020, "Beyond UCB: optimal and efficient contextual bandits with regression
    oracles" (SquareCB with any regression); Vovk 2001, "Competitive on-line statistics", section 3
    (the weighted average of regressions is such a regression, nearly as good as the best of them).
"""

import hashlib
import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, ClassVar, NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from bandit.errors import BadSpec, SnapshotCorrupt
from bandit.policies.base import Lesson, check_lesson
from bandit.policies.features import Features, check_features, features_of
from bandit.policies.framing import frame, unframe
from bandit.policies.kernel import Kernel
from bandit.policies.numeric import Encoded
from bandit.policies.parameters import Parameters
from bandit.policies.ridges import Ridges
from bandit.policies.vw import VowpalWabbit, worths_of
from bandit.records import Action
from bandit.specs import NumericFeature

Floats = npt.NDArray[np.float64]

MOST_NUMBERS = 2**22
"""Of all A⁻¹ together: 32 MB, and half of that in a snapshot."""
RIDGES = (0.3, 3.0)
ARGUMENTS = ("--squarecb -q UA", "--squarecb -l 0.05 -q UA")
FIFTHS = {side: NumericFeature(encoding="bucket") for side in ("context.*", "action.*")}
_LEAST = 1e-4  # of s², as a share of what predicting 0 would miss


class AutoParameters(Parameters, frozen=True, kw_only=True):
    """Parameters of `auto`.

    Attributes:
        exploitation: The larger, the less it explores.
        waves: Half the length of the kernel's vectors.
        width: How fast the kernel forgets what is different: 1/width standard deviations of all
            features together.
        ids: With more action ids than these the ridge regressions are given up, and Vowpal Wabbit's
            go on alone.
    """

    exploitation: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 15.0
    waves: Annotated[int, msgspec.Meta(ge=8, le=256)] = 64
    width: Annotated[float, msgspec.Meta(gt=0, le=100)] = 0.5
    ids: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64

    def __post_init__(self) -> None:
        numbers = len(RIDGES) * self.ids * (2 * self.waves + 1) ** 2
        if numbers > MOST_NUMBERS:
            raise BadSpec(
                f"ids and waves need {numbers} numbers, must need at most {MOST_NUMBERS}: "
                f"with {self.waves} waves, at most "
                f"{MOST_NUMBERS // (len(RIDGES) * (2 * self.waves + 1) ** 2)} ids"
            )


class Auto:
    """A weighted average of regressions under SquareCB.

    >>> policy = Auto(AutoParameters())
    >>> actions = (Action(id="a"), Action(id="b"))
    >>> for hour in (1, 12, 23) * 20:
    ...     for drawn in (0, 1):
    ...         reward = float((hour == 12) == (drawn == 0))
    ...         policy.learn(
    ...             Lesson(
    ...                 context=b'{"hour":%d}' % hour,
    ...                 actions=actions,
    ...                 drawn=drawn,
    ...                 propensity=0.5,
    ...                 reward=reward,
    ...             )
    ...         )
    >>> [policy.pmf(b'{"hour":%d}' % hour, actions)[0] > 0.9 for hour in (1, 12, 23)]
    [False, True, False]
    """

    magic: ClassVar[bytes] = b"bandit-auto\x02"

    def __init__(self, parameters: AutoParameters, weights: bytes | None = None) -> None:
        """An untrained policy, or one as it was saved.

        Args:
            parameters: Checked.
            weights: What `save` gave.

        Raises:
            BadSpec: The weights were learned with other parameters.
            SnapshotCorrupt: The weights are not what was saved.
        """
        self.parameters = parameters
        given = parameters
        saved = None
        if weights is not None:
            state = unframe(self.magic, given.text, weights)
            try:
                saved = msgspec.msgpack.decode(state, type=_Saved)
            except msgspec.MsgspecError as exc:
                raise SnapshotCorrupt(f"snapshot is not as it was saved: {exc}") from exc
        self._lessons_n = saved.lessons_n if saved else 0
        parts_n = len(RIDGES) + len(ARGUMENTS)
        self._records = saved.records if saved else [Accord()] * parts_n
        self._kernel = (
            Kernel(given.waves, given.width, saved.looked_n, saved.seen)
            if saved
            else Kernel(given.waves, given.width)
        )
        self._ridges = Ridges(RIDGES, self._kernel.length, given.ids)
        models: Sequence[bytes | None] = saved.models if saved else [None] * len(ARGUMENTS)
        if saved:
            self._ridges.load(saved.ids, saved.numbers, gone=saved.gone)
        self._models = [
            VowpalWabbit(arguments, model)
            for arguments, model in zip(ARGUMENTS, models, strict=True)
        ]
        self._fifths = _fifths(saved.fifths) if saved and saved.fifths else None

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """SquareCB over the weighted worths; see `bandit.policies.base.Policy`."""
        worths = self._worths(context, actions)
        losses = [record.loss for record in self._records[-len(worths) :]]
        least = min(losses)
        variance = self._variance(least)
        weights = [math.exp((least - loss) / (2.0 * variance)) for loss in losses]
        total = math.fsum(weights)
        worth = np.zeros(len(actions))
        for weight, row in zip(weights, worths, strict=True):
            worth += (weight / total) * row
        best = int(worth.argmax())
        gamma = self.parameters.exploitation * math.sqrt(
            self._lessons_n / (len(actions) * variance)
        )
        pmf: list[float] = (1.0 / (len(actions) + gamma * (worth[best] - worth))).tolist()
        pmf[best] = 0.0
        pmf[best] = 1.0 - math.fsum(pmf)
        return pmf

    def check(self, lesson: Lesson) -> None:
        """Refuse a lesson that `learn` would refuse."""
        check_lesson(lesson)
        check_features(lesson.context, lesson.actions)

    def learn(self, lesson: Lesson) -> None:
        """Let every part predict, then learn, one lesson.

        Raises:
            RecordError: A lesson that must not be learned; nothing was.
        """
        prepared = [self._models[0].prepared(lesson)]  # it refuses what must not be learned
        drawn = lesson.actions[lesson.drawn]
        context, own = features_of(lesson.context, "$.context"), _own(drawn)
        offered = (own,) if own.names else ()
        predicted = self._worths_by_models(lesson.context, [drawn])[:, 0].tolist()
        x = None
        if not self._ridges.gone:
            [x] = self._kernel.vectors(context, offered)
            predicted = [*self._ridges.worth_of(drawn.id, x).tolist(), *predicted]
        for place, each in enumerate(predicted, len(self._records) - len(predicted)):
            self._records[place] = self._records[place].with_lesson(each, lesson.reward)
        self._lessons_n += 1
        if self._kernel.look_at(context, own):
            if x is not None:
                [x] = self._kernel.vectors(context, offered)
            if self._fifths is None:  # until now it would have been the first of the two
                self._fifths = _fifths(None)
                self._records.append(self._records[len(RIDGES)])
        if x is not None:
            self._ridges.learn(drawn.id, x, lesson.reward)
        for model in self._models:  # their examples are alike
            model.learn_prepared(prepared)
        if self._fifths is not None:
            self._fifths.learn(lesson)

    def save(self) -> bytes:
        """All parts and their losses, in one frame."""
        return frame(self.magic, self.parameters.text, self._state(models=True))

    def digest(self) -> str:
        """SHA-256, in hex, over what was learned; of Vowpal Wabbit's models, their digests."""
        return hashlib.sha256(self._state(models=False)).hexdigest()

    def _state(self, *, models: bool) -> bytes:
        ids, numbers = self._ridges.save()
        return msgspec.msgpack.encode(
            _Saved(
                lessons_n=self._lessons_n,
                records=self._records,
                looked_n=self._kernel.lessons_n,
                seen=dict(sorted(self._kernel.seen.items())),
                gone=self._ridges.gone,
                ids=ids,
                numbers=numbers,
                models=[
                    model.save() if models else model.digest().encode() for model in self._models
                ],
                fifths=b""
                if self._fifths is None
                else self._fifths.save()
                if models
                else self._fifths.digest().encode(),
            )
        )

    def _worths(self, context: bytes, actions: Sequence[Action]) -> Floats:
        """`(parts, k)`; of Vowpal Wabbit's alone where there are too many ids for the others."""
        models = self._worths_by_models(context, actions)
        if self._ridges.gone:
            return models
        own = [_own(action) for action in actions]
        vectors = self._kernel.vectors(
            features_of(context, "$.context"), () if own.count(_NOTHING) == len(own) else own
        )
        ridges = self._ridges.worths([action.id for action in actions], vectors)
        return np.concatenate([ridges, models])

    def _worths_by_models(self, context: bytes, actions: Sequence[Action]) -> Floats:
        worths = worths_of(self._models, context, actions)
        if self._fifths is None:
            return worths
        context, seen = self._fifths.seen(context, actions)
        return np.concatenate(
            [worths, worths_of([cast("VowpalWabbit", self._fifths.inside)], context, list(seen))]
        )

    def _variance(self, least: float) -> float:
        """s²; one lesson more is taken to have been missed as by whoever predicts the mean."""
        n = max(self._lessons_n, 1)
        usual = self._records[-1].rewards / n
        return max((least + usual) / (n + 1), _LEAST * usual) or 1.0


class Accord(NamedTuple):
    """How predictions and rewards went together; sums around the means, a lesson at a time.

    Attributes:
        n: Lessons.
        mean_predicted, mean_reward: So far.
        predictions, rewards, both: Σ of squares and of products.
    """

    n: int = 0
    mean_predicted: float = 0.0
    mean_reward: float = 0.0
    predictions: float = 0.0
    rewards: float = 0.0
    both: float = 0.0

    def with_lesson(self, predicted: float, reward: float) -> "Accord":
        """One lesson later."""
        n = self.n + 1
        off, missed = predicted - self.mean_predicted, reward - self.mean_reward
        share = self.n / n
        return Accord(
            n,
            self.mean_predicted + off / n,
            self.mean_reward + missed / n,
            self.predictions + share * off * off,
            self.rewards + share * missed * missed,
            self.both + share * off * missed,
        )

    @property
    def loss(self) -> float:
        """Σ of squared errors of the best line through the predictions."""
        if self.predictions <= 0.0 or self.both <= 0.0:
            return self.rewards
        return max(self.rewards - self.both * self.both / self.predictions, 0.0)


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    """The state.

    Attributes:
        lessons_n: How many.
        records: Of each part.
        looked_n, seen: Of the kernel.
        gone, ids, numbers: Of the ridge regressions.
        models: Vowpal Wabbit's; for a digest, theirs.
        fifths: The same of the one on the fifths of numbers; empty while there were none.
    """

    lessons_n: int
    records: list[Accord]
    looked_n: int
    seen: dict[str, tuple[int, float, float]]
    gone: bool
    ids: list[str]
    numbers: bytes
    models: list[bytes]
    fifths: bytes


def _fifths(weights: bytes | None) -> Encoded:
    return Encoded(partial(VowpalWabbit, ARGUMENTS[0], seen_as="fifths"), FIFTHS, weights)


_NOTHING = Features((), ())


def _own(action: Action) -> Features:
    if action.features == b"{}":
        return _NOTHING
    return features_of(bytes(action.features), f"$.actions[{action.id!r}].features")
