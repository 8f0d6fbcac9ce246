"""What a surface may not know of its context: dropped, hashed or put into buckets on the way in.

Targeting, policies, shadows and the log see what is left and nothing else, so a replay finds what
was used, and what was withheld is nowhere: not in the journal, and in no error either.

A rule holds for the member of its name and for all below it (`home` also for `home.city`), unless
one with a longer name does. Names are those of features (`bandit.policies.features`): `a.b` is the
member `b` of the object `a`, and an array goes by its own name.

| rule | of a value is left |
| --- | --- |
| `keep` | the value |
| `drop` | nothing |
| `hash` | 16 hex digits of BLAKE2b(name, 0, value) keyed with the salt; of arrays, of each item |
| `bucket` | of a number the interval it is in, as text: `"[18,25)"`; of anything else nothing |
"""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from bandit.errors import RecordError
from bandit.policies.features import DEEPEST
from bandit.specs import ContextRule, Surface
from bandit.wire import RankRequest

_KEEP, _DROP = ContextRule(rule="keep"), ContextRule(rule="drop")
_EXACT = 2**53
"""Up to here a float that is whole is the integer that it looks like."""


class Withholding:
    """The rules of one surface, ready to be applied.

    >>> spec = Surface(
    ...     key="home.feed",
    ...     policy="feed",
    ...     context={
    ...         "age": ContextRule(rule="bucket", edges=[18, 25, 65]),
    ...         "home.city": ContextRule(rule="keep"),
    ...     },
    ...     context_unnamed="drop",
    ... )
    >>> given = b'{"age": 31, "home": {"city": "Rome", "street": "Via Appia 9"}, "mail": "a@b.c"}'
    >>> Withholding(spec).context(given, salt=b"secret")
    b'{"age":"[25,65)","home":{"city":"Rome"}}'
    """

    def __init__(self, surface: Surface) -> None:
        self._rules = surface.context
        self._unnamed = _KEEP if surface.context_unnamed == "keep" else _DROP

    def request(self, request: RankRequest, salt: bytes) -> tuple[RankRequest, bytes]:
        """A request without what is withheld, and its JSON, for the log.

        Raises:
            RecordError: What `context` raises.
        """
        left = msgspec.structs.replace(
            request, context=msgspec.Raw(self.context(bytes(request.context), salt))
        )
        return left, msgspec.json.encode(left)

    def context(self, context: bytes, salt: bytes) -> bytes:
        """What is left of a context.

        Args:
            context: JSON as sent.
            salt: The project's secret; keys the hashes.

        Raises:
            RecordError: It is no JSON object, or deeper than features may be.
        """
        try:
            members = _DECODER.decode(context)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # Not what the decoder says, and not from it: both may quote.
            raise RecordError("context is not a JSON object - at `$.context`") from None
        return msgspec.json.encode(self._members(members, "", 1, salt))

    def _members(
        self, members: Mapping[str, object], prefix: str, depth: int, salt: bytes
    ) -> dict[str, object]:
        if depth > DEEPEST:
            raise RecordError(
                f"context has objects {depth} deep, must be at most {DEEPEST} - at `$.context`"
            )
        left: dict[str, object] = {}
        for member, value in members.items():
            name = prefix + member
            if isinstance(value, dict):
                inside = self._members(value, f"{name}.", depth + 1, salt)
                if inside:
                    left[member] = inside
                continue
            kept = _left(value, name, self._rule(name), salt)
            if kept is not None:
                left[member] = kept
        return left

    def _rule(self, name: str) -> ContextRule:
        """The rule with the longest name that holds for a member."""
        while name:
            rule = self._rules.get(name)
            if rule is not None:
                return rule
            name = name.rpartition(".")[0]
        return self._unnamed


def withholding(surface: Surface) -> Withholding | None:
    """The rules of a surface; None if all is kept, so that nobody looks."""
    if surface.context_unnamed == "keep" and all(
        rule.rule == "keep" for rule in surface.context.values()
    ):
        return None
    return Withholding(surface)


def _left(value: object, name: str, rule: ContextRule, salt: bytes) -> object:
    """What is left of a value that is no object; None for nothing."""
    if rule.rule == "keep" or value is None:
        return value
    if rule.rule == "drop":
        return None
    if isinstance(value, list):
        items = [_of_one(item, name, rule, salt) for item in value]
        return [item for item in items if item is not None]
    return _of_one(value, name, rule, salt)


def _of_one(value: object, name: str, rule: ContextRule, salt: bytes) -> str | None:
    return _hashed(value, name, salt) if rule.rule == "hash" else _interval(value, rule.edges)


def _hashed(value: object, name: str, salt: bytes) -> str:
    """Sixteen hex digits that stand for a value of a member; 1 and 1.0 are one value."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    text = name.encode(errors="surrogatepass") + b"\0" + msgspec.json.encode(value)
    return hashlib.blake2b(text, digest_size=8, key=salt, person=b"context").hexdigest()


def _interval(value: object, edges: Sequence[float]) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    place = bisect_right(edges, value)
    low = f"[{_number(edges[place - 1])}" if place else "(-inf"
    high = _number(edges[place]) if place < len(edges) else "inf"
    return f"{low},{high})"


def _number(value: float) -> str:
    value = float(value)  # Python code may declare edges as integers
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)


_DECODER = msgspec.json.Decoder(dict[str, object])
