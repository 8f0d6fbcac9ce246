"""Vowpal Wabbit: this file and `vw_examples`, which makes its examples, are the two that know it.

Everything that VW wants otherwise than we do is translated here: cost = −reward, examples instead
of features, words instead of a spec, bytes that are not canonical instead of a digest.

Slots: what the policy is told of the slot goes into namespace `S` of the shared example, and each
slot is one prediction over the actions left. That is the reduction that VW's `--ccb_explore_adf`
makes; here the draws are ours, so that every slot's propensity is the one it was drawn with. VW
adds the slot's number and its interactions with everything by itself; here it is the feature
`position`, and the arguments say with what it interacts (by default `-q SA`).

Several models in one (`--bag`, `--cover`, `--rnd`, `--cb_type dr`): VW's saved model lacks running
averages of all models but the first (total weight and mean squared norm of what each one learned
from, which scale its steps). So `save` puts the saved model in the place of the one that was saved:
the policy that goes on and one that resumes are the same by construction, and whoever learns the
same lessons and saves at the same places comes to the same weights. The averages are then those of
the lessons since the last save. Random numbers (`--bag`, `--rnd`) go on where they were: VW saves
their state.

Source:
    Bietti, Agarwal & Langford 2021, "A contextual bandit bake-off" (the explorers);
    `conditional_contextual_bandit.cc` of Vowpal Wabbit 9.9 (slots); `gd.cc`,
    `save_load_online_state_gd` (what a model file keeps).
"""

import functools
import hashlib
import math
import struct
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

# The compiled module itself: the Python layer over it looks at every example's label type on every
# call, which costs as much as the prediction.
from vowpal_wabbit_next import _core as core

from bandit.errors import BadSpec, SnapshotCorrupt
from bandit.policies.arguments import Arguments, read_arguments
from bandit.policies.base import Lesson, check_lesson
from bandit.policies.framing import frame, unframe
from bandit.policies.vw_bytes import digest_of
from bandit.policies.vw_costs import (
    FEWEST,
    Arrays,
    Explorer,
    common_of,
    costs_of,
    costs_of_all,
    flat_weights,
    offered_of,
    weight_of,
)
from bandit.policies.vw_examples import Examples, examples_of, index_of
from bandit.records import Action

LEAST_PROPENSITY = 1e-9
"""What a lesson's propensity counts as if it is smaller; 1e-20 would break a model for good."""

_MAGIC = b"bandit-vw\x00\x00\x02"  # the last byte is the format's version
_COUNT = struct.Struct("<Q")  # lessons, which squarecb needs and VW's model hides


Prepared = list[core.Example]
"""A lesson as VW takes it: the shared example, then the actions, one of them with a label."""


class VowpalWabbit:
    """A contextual bandit with action-dependent features (`--cb_explore_adf`) that learns online.

    Not for two threads at a time; VW holds the GIL while it works.

    >>> policy = VowpalWabbit("--epsilon 0.5 -q UA")
    >>> actions = (Action.of("a", topic="go"), Action.of("b", topic="chess"))
    >>> policy.pmf(b"{}", actions)
    [0.5, 0.5]
    >>> for _ in range(3):
    ...     policy.learn(
    ...         Lesson(context=b"{}", actions=actions, drawn=1, propensity=0.25, reward=1.0)
    ...     )
    >>> policy.pmf(b"{}", actions)
    [0.25, 0.75]
    """

    def __init__(self, arguments: str, weights: bytes | None = None, *, seen_as: str = "") -> None:
        """An untrained policy, or one as it was saved.

        Args:
            arguments: As in `PolicySpec`.
            weights: What `save` gave.
            seen_as: Names the encoding of the features that it is shown; empty: as they were sent.

        Raises:
            BadSpec: VW refuses the arguments, or the weights were learned with others.
            SnapshotCorrupt: The weights are not what was saved.
        """
        self._arguments = read_arguments(arguments)
        self._lessons_n, model = 0, None
        if weights is not None:
            state = unframe(_MAGIC, self._arguments.text, weights)
            (self._lessons_n,), model = _COUNT.unpack_from(state), state[_COUNT.size :]
        self._examples = examples_of(self._arguments, seen_as)
        self._explorer = Explorer.of(self._arguments)
        self._weights: npt.NDArray[np.float32] | None = None
        words = self._arguments.words
        pairs = [words[i + 1] for i, word in enumerate(words) if word == "--quadratic"]
        self._plain = _IGNORING.isdisjoint(words) and all("A" in pair for pair in pairs)
        self._spoils = not _SPOILERS.isdisjoint(words)
        self._go_on_with(_workspace(self._arguments, model))

    def _go_on_with(self, workspace: core.Workspace) -> None:
        self._workspace = workspace
        self._predict = workspace.predict_multi_ex_one
        if self._explorer is not None:
            self._weights = flat_weights(np.asarray(workspace.weights()))

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """VW's probabilities over `actions`; see `bandit.policies.base.Policy`."""
        if len(actions) >= FEWEST and self._explorer is not None and self._weights is not None:
            found = self._examples.arrays_of(context, actions, slot, self._explorer.letters)
            if found is not None:
                costs = costs_of(self._weights, *found, linear=self._explorer.linear)
                return self._explorer.pmf(costs, self._lessons_n)
        examples = self._examples.of(context, actions, slot)
        scores = cast("list[tuple[int, float]]", self._predict(examples))
        pmf = [0.0] * len(actions)
        for index, probability in scores:
            pmf[index] = probability
        if self._arguments.ties_sum and (total := math.fsum(pmf)) > 0.0:
            pmf = [probability / total for probability in pmf]
        return pmf

    def learn(self, lesson: Lesson) -> None:
        """Learn from one slot.

        Raises:
            RecordError: A number that could harm the model; nothing was learned.
        """
        self.learn_prepared([self.prepared(lesson)])

    def feature_weights(self, pairs: Sequence[tuple[str, str]]) -> list[float] | None:
        """What 1 of a feature, or of the product of two, adds to the predicted reward of an action.

        Args:
            pairs: Name of a feature of the context ('' for none) and of one of the action.

        Returns:
            None where the weights can not be told apart: several models, or an explorer that only
            VW itself can answer. 0 for pairs that this policy does not look at.
        """
        if self._explorer is None or self._weights is None:
            return None
        found: list[float] = []
        for context, action in pairs:
            index = np.array([index_of("A", action)], dtype=np.uint64)
            arrays = [Arrays(np.array([index_of("U", context)], dtype=np.uint64), _ONE)]
            if not context or "U" not in self._explorer.letters:
                arrays = []
            is_looked_at = bool(arrays) if context else self._explorer.linear
            cost = weight_of(self._weights, index, arrays) if is_looked_at else 0.0
            found.append(-cost)  # a cost is −reward
        return found

    @property
    def with_id(self) -> bool:
        """Whether an action's id is a feature, `id=<id>`."""
        return self._arguments.with_id

    @property
    def inside(self) -> "Inside":
        """What `bandit.policies.together` asks and teaches many policies at once by."""
        return Inside(
            self._examples,
            self._explorer,
            self._weights,
            self._lessons_n,
            plain=self._plain,
            spoils=self._spoils,
        )

    def prepared(self, lesson: Lesson) -> Prepared:
        """A lesson as examples, for all policies that make them alike (`Inside.examples`).

        Raises:
            RecordError: A number that could harm the model.
        """
        check_lesson(lesson)
        examples = self._examples.of(lesson.context, lesson.actions, lesson.slot)
        cost = -lesson.reward  # the one place where a reward becomes a cost
        label = core.CBLabel(label=(cost, max(lesson.propensity, LEAST_PROPENSITY)))
        # The labelled example is a new one, so that nobody ever sees a label on a cached one.
        examples[lesson.drawn + 1] = self._examples.labelled(lesson.actions[lesson.drawn], label)
        return examples

    def learn_prepared(self, lessons: Sequence[Prepared]) -> None:
        """Learn from what `prepared` made of lessons; the same weights come out as by `learn`."""
        learn = self._workspace.learn_multi_ex_one
        for examples in lessons:
            learn(examples)
        self._lessons_n += len(lessons)

    def save(self) -> bytes:
        """VW's model in a frame that knows its length, its digest and its arguments.

        A policy of several models becomes the one that was saved, with what VW does not save
        forgotten; see this module. The bytes are not canonical: VW writes some padding.
        """
        model = self._workspace.serialize()
        if self._arguments.several:
            self._go_on_with(_workspace(self._arguments, model))
        return frame(_MAGIC, self._arguments.text, _COUNT.pack(self._lessons_n) + model)

    def digest(self) -> str:
        """SHA-256, in hex, over the weights that are not zero, with what they learn by.

        One model, little-endian: index (u64), then the floats (f32) that a snapshot keeps, row by
        row. Several: as `bandit.policies.vw_bytes.digest_of`.
        """
        kept = _KEPT_OF_COIN if "--coin" in self._arguments.words else _KEPT
        if self._arguments.several:
            untrained = _untrained(self._arguments)
            return digest_of(self._workspace.serialize(), untrained, floats=kept)
        table = np.asarray(self._workspace.weights())
        rows, models, stride = table.shape
        assert models == 1, "VW crashes on the weights of several models"
        kept = min(stride, kept)
        # Two floats at a time, as whole numbers: the table has a million, and nearly all are 0.
        words = table.reshape(rows, stride).view(np.uint64)
        used = np.flatnonzero(functools.reduce(np.bitwise_or, words.T))
        found = table[used, 0, :kept] + np.float32(0.0)  # -0.0 is not kept apart from 0.0
        learned = found.any(axis=1)  # what is left is VW's scratch column, which nobody saves
        digest = hashlib.sha256(used[learned].astype("<u8").tobytes())
        digest.update(found[learned].astype("<f4").tobytes())
        return digest.hexdigest()


def worths_of(
    policies: Sequence[VowpalWabbit], context: bytes, actions: Sequence[Action]
) -> npt.NDArray[np.float64]:
    """`(p, k)` the reward that each of some policies predicts for each action.

    Args:
        policies: They make their examples alike, and their costs can be read from their weights.
        context: As `VowpalWabbit.pmf` takes it.
        actions: The same.

    Raises:
        BadSpec: Arguments whose costs can not be read.
        RecordError: Features that no policy may see.
    """
    inside = [policy.inside for policy in policies]
    examples = inside[0].examples
    found = examples.arrays_of(context, actions, b"", "U")
    if found is None:  # an action of very many features
        arrays = [examples.action(action) for action in actions]
        found = offered_of(arrays), [examples.context(context)]
    offered, shared = found
    models = [
        each.weights
        for each in inside
        if each.explorer is not None and each.weights is not None and each.plain
    ]
    if len(models) < len(inside) or len({len(weights) for weights in models}) > 1:
        raise BadSpec("predictions can be read with -q UA, learning rates and equal bits alone")
    found_costs = costs_of_all(models, offered, shared, linear=True)
    worths = np.array(found_costs, np.float64)
    worths += np.array([common_of(weights, shared[0]) for weights in models])[:, None]
    return np.negative(worths, out=worths)


class Inside(NamedTuple):
    """What is in a policy.

    Attributes:
        examples: Makes its examples, and those of all that make them alike.
        explorer, weights: None where costs can not be read from the weights.
        lessons_n: How many it has learned.
        plain: Whether what all actions of a question have in common is one constant and the
            context's own weights.
        spoils: Whether it leaves an example's label behind as only its like can read it.
    """

    examples: Examples
    explorer: Explorer | None
    weights: npt.NDArray[np.float32] | None
    lessons_n: int
    plain: bool
    spoils: bool


_ONE = np.ones(1, dtype=np.float32)
_IGNORING = {"--noconstant", "--ignore_linear"}
_SPOILERS = {"--squarecb", "--regcb", "--regcbopt"}
_KEPT, _KEPT_OF_COIN = 3, 6  # floats of a row that VW saves, the weight first


def _workspace(arguments: Arguments, model: bytes | None) -> core.Workspace:
    try:
        # A loaded model is given its arguments again: it does not keep all of them (`--l1`).
        return core.Workspace([*arguments.words, "--quiet"], model_data=model)
    except RuntimeError as exc:
        if model is None:
            raise BadSpec(f"Vowpal Wabbit refuses {arguments.text!r}: {exc}") from exc
        raise SnapshotCorrupt(f"Vowpal Wabbit refuses the model: {exc}") from exc


@functools.cache
def _untrained(arguments: Arguments) -> bytes:
    return _workspace(arguments, None).serialize()
