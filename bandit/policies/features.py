"""What features may be: a client's JSON object, flattened to names and numbers.

| JSON | becomes |
| --- | --- |
| number | itself; at most 4e9 in size |
| string | 1 under `name=text` |
| `true`, `false` | 1, 0 |
| `null` | nothing: the feature is absent |
| array of strings and numbers | each string as above, each number under `name.<its index>` |
| object | its members under `name.<member>`, up to four objects deep |

At most 1,000 features an object, 1,000 characters a name or a text. Of a member named twice the
last wins, as in nearly every JSON reader. Names and texts may hold any character: nothing here or
later parses them again.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

import msgspec

from bandit.errors import RecordError
from bandit.policies.cache import Generations
from bandit.records import Action

MOST = 1_000
"""Features of one object."""
LONGEST = 1_000
"""Characters of a name or a text."""
DEEPEST = 4
"""Objects inside each other, the outermost counted."""
LARGEST = 4e9
"""Size of a number. A learner squares the product of two features: (4e9)⁴ is the last that float32
holds. With 1e12 a model silently stops learning, with 1e25 its probabilities are NaN (measured)."""


class Features(NamedTuple):
    """A flat object: as many names as values, in the order of the JSON."""

    names: tuple[str, ...]
    values: tuple[float, ...]


def check_features(
    context: bytes, actions: Sequence[Action], indices: Iterable[int] | None = None
) -> None:
    """Refuse features that no policy may see; cheap for those seen before.

    Args:
        context: JSON as sent.
        actions: As offered.
        indices: Which of them to look at; None: all.

    Raises:
        RecordError: With the place, such as `$.actions[3].features.age_days`.
    """
    features_of(context, "$.context")
    for index in range(len(actions)) if indices is None else indices:
        action = actions[index]
        raw = action.features
        if _recent.get(action.id) != raw:
            features_of(bytes(raw), f"$.actions[{index}].features")
            if len(_recent) >= _RECENT_N:
                _recent.clear()
            _recent[action.id] = raw.copy()


def features_of(raw: bytes, place: str = "$") -> Features:
    """The features of a JSON object, parsed once while it stays in use.

    >>> features_of(b'{"topic": "go", "age": {"days": 3}, "new": true, "tags": ["a", "b"]}')
    Features(names=('topic=go', 'age.days', 'new', 'tags=a', 'tags=b'),
             values=(1.0, 3.0, 1.0, 1.0, 1.0))

    Args:
        raw: JSON as sent.
        place: What an error calls it.

    Raises:
        RecordError: It breaks a rule of this module.
    """
    known = _known.get(raw)
    if known is None:
        known = _parse(raw, place)
        _known.put(raw, known)
    return known


class _Flattener:
    """Walks one decoded object; every refusal names the place."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.names: list[str] = []
        self.values: list[float] = []

    def walk(self, members: Mapping[str, object], prefix: str = "", depth: int = 1) -> None:
        if depth > DEEPEST:
            self.refuse(prefix[:-1], f"object is {depth} deep, must be at most {DEEPEST}")
        for member, value in members.items():
            name = prefix + member
            if not member or len(name) > LONGEST:
                self.refuse(name, f"name has {len(name)} characters, must have 1 to {LONGEST}")
            if isinstance(value, dict):
                self.walk(value, f"{name}.", depth + 1)
            elif isinstance(value, list):
                self.spread(name, value)
            elif value is not None:
                self.add(name, value)
            if len(self.names) > MOST:
                self.refuse(name, f"object has over {MOST} features, must have at most {MOST}")

    def spread(self, name: str, items: Sequence[object]) -> None:
        if len(items) > MOST:
            self.refuse(name, f"array has {len(items)} items, must have at most {MOST}")
        for index, item in enumerate(items):
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                given = msgspec.json.encode(item)[:40].decode(errors="replace")
                self.refuse(f"{name}[{index}]", f"item is {given}, must be a string or a number")
            self.add(name if isinstance(item, str) else f"{name}.{index}", item)

    def add(self, name: str, value: object) -> None:
        if isinstance(value, str):
            if len(value) > LONGEST:
                self.refuse(name, f"text has {len(value)} characters, must have at most {LONGEST}")
            name, value = f"{name}={value}", 1.0
        assert isinstance(value, int | float)
        if not -LARGEST <= value <= LARGEST:
            given = f"{value:.6g}" if abs(value) <= sys.float_info.max else "beyond 1e308"
            self.refuse(name, f"feature is {given}, must be in [-{LARGEST:g}, {LARGEST:g}]")
        # One name occurs in thousands of actions: interned, it is kept once.
        self.names.append(sys.intern(name))
        self.values.append(float(value))

    def refuse(self, name: str, reason: str) -> NoReturn:
        plain = name if _PLAIN.fullmatch(name) else f"{name[:60]!r}"
        raise RecordError(f"{reason} - at `{self.place}.{plain}`")


def _parse(raw: bytes, place: str) -> Features:
    try:
        members = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        reason = str(exc).partition(" - at ")[0]
        raise RecordError(f"features are not a JSON object: {reason} - at `{place}`") from exc
    flat = _Flattener(place)
    flat.walk(members)
    return Features(tuple(flat.names), tuple(flat.values))


_DECODER = msgspec.json.Decoder(dict[str, object])
_PLAIN = re.compile(r"[A-Za-z0-9_.\[\]-]{1,60}")

# What this process has seen lately; pure functions of the bytes, so it does not matter who asked.
_KNOWN_BYTES = 32 * 1024 * 1024
_known: Generations[bytes, Features] = Generations(
    _KNOWN_BYTES,
    weigh=lambda raw: 300 + 10 * len(raw),  # parsed, an object weighs ten times more
)
_RECENT_N = 10_000
_recent: dict[str, msgspec.Raw] = {}
