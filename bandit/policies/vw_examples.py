"""Features → Vowpal Wabbit's examples, made once while they stay in use.

Examples are built from numbers, never from text: VW's line format takes a newline, pipe, colon,
space or tab in a client's string for structure. A context goes into namespace `U` of the shared
example, an action's features into namespace `A` of its own, together with `id=<its id>`: so the
model learns what holds for one item as well as what items with like features share, and a new item
starts from the latter. (`--no_id` leaves the id out, for catalogues whose ids come and go.) What a
policy is told of the slot goes into namespace `S` of the shared example.
"""

import functools
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

# The compiled module itself; see `bandit.policies.vw`.
from vowpal_wabbit_next import _core as core

from bandit.errors import RecordError
from bandit.policies.arguments import Arguments
from bandit.policies.cache import Generations
from bandit.policies.features import features_of
from bandit.policies.vw_costs import ActionTable, Arrays, Offered
from bandit.records import Action

_CONTEXT, _ACTION, _SLOT = ord("U"), ord("A"), ord("S")
_BITS, _WHOLE_BITS = 18, 64  # VW's own default of `-b`; all that an index has
_LEAST = 1.2e-38  # smallest normal float32; VW leaves out features of value 0
_ACTIONS_N = 2_048  # a VW example is 32 kB: 65 MB a generation, 200 MB if every one is another's
_CONTEXTS_N = 256
_SHARED_N = 4_096  # contexts as arrays, of less than 1 kB
_WHOLES_N, _WHOLE_FROM = 16, 64  # catalogues that are offered whole; shorter are made as fast anew
_INDICES_BYTES = 8 * 1024 * 1024


class _Known(NamedTuple):
    """An action that was seen before: its features as sent, and as VW takes them."""

    features: msgspec.Raw
    example: core.Example
    indices: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float32]


class Examples:
    """Features → VW examples, made once while they stay in use.

    An example belongs to no workspace (indices are whole hashes, which each model cuts to its own
    `-b`), so all policies of a process share one cache, and a new snapshot starts warm. Only those
    with `--rnd` need indices cut beforehand: it makes its random weights from them.
    """

    def __init__(self, *, with_id: bool, bits: int) -> None:
        self._with_id = with_id
        self._mask = np.uint64((1 << bits) - 1)
        self._recent: dict[str, _Known] = {}
        self._wholes: dict[int, tuple[tuple[Action, ...], list[core.Example]]] = {}
        self._actions: Generations[tuple[str, bytes], _Known] = Generations(_ACTIONS_N)
        self._contexts: Generations[bytes | tuple[bytes, bytes], core.Example] = Generations(
            _CONTEXTS_N
        )
        self._shared: Generations[tuple[str, bytes], Arrays] = Generations(_SHARED_N)
        self._table = ActionTable(self._action_arrays)

    def arrays_of(
        self, context: bytes, actions: Sequence[Action], slot: bytes, letters: Collection[str]
    ) -> tuple[Offered, list[Arrays]] | None:
        """The actions, and what interacts with them; None if an action has too many features.

        Raises:
            RecordError: As `of`.
        """
        shared = [self._shared_of("U", context, "$.context")]  # also checks the context
        if slot:
            shared.append(self._shared_of("S", slot, "$.slot"))
        shared = [arrays for arrays, letter in zip(shared, "US", strict=False) if letter in letters]
        offered = self._table.offered(actions)
        return None if offered is None else (offered, shared)

    def action(self, action: Action) -> Arrays:
        """An action's features, hashed.

        Raises:
            RecordError: As `of`.
        """
        known = self._recent.get(action.id)
        if known is None or known.features != action.features:
            known = self._known(action)
        return Arrays(known.indices, known.values)

    def context(self, raw: bytes) -> Arrays:
        """A context's features, hashed.

        Raises:
            RecordError: As `of`.
        """
        return self._shared_of("U", raw, "$.context")

    def of(
        self, context: bytes, actions: Sequence[Action], slot: bytes = b""
    ) -> list[core.Example]:
        """The shared example, then one for each action; none of them may be changed.

        Raises:
            RecordError: Features that no policy may see, or an action that is offered twice.
        """
        shared = self._contexts.get((context, slot) if slot else context)
        shared = shared or self._make_context(context, slot)
        whole = self._wholes.get(id(actions))  # it keeps the tuple, so nothing else has its id
        if whole is not None:
            return [shared, *whole[1]]
        examples = [shared]
        recent = self._recent
        for action in actions:
            known = recent.get(action.id)
            if known is None or known[0] != action.features:
                known = self._known(action)
            examples.append(known[1])
        if len(set(examples)) < len(examples):
            # VW would leave an example that comes twice half set up, and hand it out again as new.
            raise RecordError("actions hold an id twice, must have different ids")
        if len(actions) >= _WHOLE_FROM and isinstance(actions, tuple):
            # A whole catalogue comes again and again.
            kept_n = sum(len(examples) for _, examples in self._wholes.values())
            if len(self._wholes) >= _WHOLES_N or kept_n + len(actions) > _ACTIONS_N:
                self._wholes.clear()
            self._wholes[id(actions)] = (actions, examples[1:])
        return examples

    def labelled(self, action: Action, label: core.CBLabel) -> core.Example:
        """A new example of its own."""
        known = self._recent.get(action.id)
        if known is None or known.features != action.features:
            known = self._known(action)
        return _example(_ACTION, known.indices, known.values, label)

    def _known(self, action: Action) -> _Known:
        raw = bytes(action.features)
        key = (action.id, raw)
        known = self._actions.get(key)
        if known is None:
            indices, numbers = self._action_arrays(action)
            example = _example(_ACTION, indices, numbers, _UNLABELLED)
            known = _Known(msgspec.Raw(raw), example, indices, numbers)
            self._actions.put(key, known)
        if len(self._recent) >= _ACTIONS_N:
            self._recent.clear()
        self._recent[action.id] = known
        return known

    def _action_arrays(self, action: Action) -> Arrays:
        features = features_of(bytes(action.features), f"$.actions[{action.id!r}].features")
        names, values = features.names, features.values
        if self._with_id:
            names, values = (f"id={action.id}", *names), (1.0, *values)
        return self._arrays("A", names, values)

    def _shared_of(self, namespace: str, raw: bytes, place: str) -> Arrays:
        arrays = self._shared.get((namespace, raw))
        if arrays is None:
            features = features_of(raw, place)
            arrays = self._arrays(namespace, features.names, features.values)
            self._shared.put((namespace, raw), arrays)
        return arrays

    def _make_context(self, raw: bytes, slot: bytes) -> core.Example:
        example = _example(_CONTEXT, *self._shared_of("U", raw, "$.context"), _SHARED)
        if slot:
            _push(example, _SLOT, *self._shared_of("S", slot, "$.slot"))
        self._contexts.put((raw, slot) if slot else raw, example)
        return example

    def _arrays(self, namespace: str, names: Sequence[str], values: Sequence[float]) -> Arrays:
        indices, numbers = _indices_of(namespace, names), np.array(values, dtype=np.float64)
        used = np.abs(numbers) >= _LEAST
        if not used.all():
            indices, numbers = indices[used], numbers[used]
        return Arrays(indices & self._mask, numbers.astype(np.float32))


_UNLABELLED = core.CBLabel()
_SHARED = core.CBLabel(shared=True)
_indices: Generations[tuple[str, str], int] = Generations(
    _INDICES_BYTES, weigh=lambda key: 200 + len(key[1])
)
_rows: Generations[tuple[str, ...], npt.NDArray[np.uint64]] = Generations(2**15, weigh=len)


def examples_of(arguments: Arguments, seen_as: str = "") -> Examples:
    """What makes the examples of all policies that make theirs alike.

    Args:
        arguments: Of the policy.
        seen_as: Which features it is shown, if not those that were sent: caches go by an action's
            id, and one that is seen in two ways by turns would be made anew each time.
    """
    return _examples(with_id=arguments.with_id, bits=_bits(arguments), seen_as=seen_as)


@functools.cache
def _examples(*, with_id: bool, bits: int, seen_as: str) -> Examples:
    return Examples(with_id=with_id, bits=bits)


def _bits(arguments: Arguments) -> int:
    words = arguments.words
    if "--rnd" not in words:
        return _WHOLE_BITS
    own = words.index("--bit_precision") + 1 if "--bit_precision" in words else None
    return int(words[own]) if own else _BITS


@functools.cache
def _hasher() -> core.Workspace:
    """A workspace that only hashes; so wide that its indices are whole hashes."""
    return core.Workspace(["--quiet", "--sparse_weights", "--bit_precision", "31"])


def index_of(namespace: str, name: str) -> int:
    """VW's hash of a feature, whole: each model cuts it to its own `-b`."""
    key = (namespace, name)
    index = _indices.get(key)
    if index is None:
        index = _hasher().get_index_for_scalar_feature(name, None, namespace)
        _indices.put(key, index)
    return index


def _indices_of(namespace: str, names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Contexts that differ in their numbers alone have the same names; actions their own ids."""
    key = (namespace, *names)
    found = None if namespace == "A" else _rows.get(key)
    if found is None:
        found = np.array([index_of(namespace, name) for name in names], dtype=np.uint64)
        if namespace != "A":
            _rows.put(key, found)
    return found


def _example(
    namespace: int,
    indices: npt.NDArray[np.uint64],
    values: npt.NDArray[np.float32],
    label: core.CBLabel,
) -> core.Example:
    example = core.Example()
    example._set_label(label)
    _push(example, namespace, indices, values)
    return example


def _push(
    example: core.Example,
    namespace: int,
    indices: npt.NDArray[np.uint64],
    values: npt.NDArray[np.float32],
) -> None:
    if len(indices):
        # The stub gives `ndarray` its dtype as the only parameter.
        example[namespace].push_many_features(indices, values)  # type: ignore[arg-type]
