"""Targeting: a boolean CEL expression over a request's `context` and `unit_id`.

The language is the part of CEL (https://cel.dev) whose cost is at most in proportion to the length
of the expression times that of the context: operators, `has`, the functions of `CALLS`, and one
`all`, `exists` or `exists_one` that asks of each element by itself. Nested macros would multiply
with each other, and so would a macro that looks at the whole context for each element; the
library's `map` and `filter` take the square of a list's length (34 s for 40,000 elements), and its
`matches` compiles the pattern anew for every unit (5 ms). They are refused when they are declared,
as is any name that no request could define.

The library takes a tenth of a worker's start to import, a command line of its own with it; so it is
imported by the first expression.
"""

import re
from typing import Any

import msgspec

from bandit.errors import BadSpec

MACROS = frozenset({"all", "exists", "exists_one"})
CALLS = frozenset(
    {"has", "in", "size", "startsWith", "endsWith", "contains", "int", "uint", "double", "string"}
)
VARIABLES = frozenset({"context", "unit_id"})
_TEXT = re.compile(r"""//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""")
_CALL = re.compile(r"(\w+)\s*\(")
_AT = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")


class Facts:
    """What targeting looks at: made of the request when an expression asks first, and only once."""

    __slots__ = ("_context", "_facts", "_unit_id")

    def __init__(self, unit_id: str, context: bytes) -> None:
        self._unit_id = unit_id
        self._context = context
        self._facts: Any = None

    def facts(self) -> Any:
        """The variables of an expression.

        Raises:
            ValueError: The context is no JSON that can be read.
        """
        if self._facts is None:
            import cel

            try:
                context = msgspec.json.decode(self._context)
            except RecursionError as exc:
                raise ValueError("context is nested too deeply") from exc
            self._facts = cel.Context({"context": context, "unit_id": self._unit_id})
        return self._facts


class Targeting:
    """A compiled expression; immutable, and safe to ask from any thread.

    >>> adults = Targeting("context.country == 'US' && context.age >= 18")
    >>> adults.holds(Facts("u-1", b'{"country":"US","age":20}'))
    True
    >>> adults.holds(Facts("u-1", b'{"country":"US"}'))  # what is not known is not fulfilled
    False
    """

    __slots__ = ("_program",)

    def __init__(self, expression: str) -> None:
        """Compile an expression.

        Raises:
            BadSpec: It is no CEL, or more of it than is allowed; the message says where.
        """
        import cel

        try:
            program = cel.compile(expression)
        except ValueError as exc:
            raise _bad(_said(exc)) from exc
        macros = _check_calls(expression)
        unknown = sorted(set(program.variables()) - VARIABLES)
        if len(unknown) > macros:  # each macro names one element
            raise _bad(f"names {unknown}, must name only context and unit_id")
        self._program = program

    def holds(self, facts: Facts) -> bool:
        """Whether a unit is targeted.

        False for anything but true: a result of another type, a member that the context does not
        have, an error while evaluating.
        """
        try:
            return self._program.execute(facts.facts()) is True
        except Exception:
            return False


def _check_calls(expression: str) -> int:
    """Refuse calls that are not allowed; returns how many macros there are."""
    bare = _TEXT.sub(lambda text: " " if text[0].startswith("/") else "§", expression)
    if re.search(r"\w§|§\s*§|[\"']", bare):
        raise _bad("has a raw, bytes or triple-quoted string, must have plain strings only")
    macros = []
    for call in _CALL.finditer(bare):
        if call[1] in MACROS:
            macros.append(_arguments(bare, call.end()))
        elif call[1] not in CALLS:
            raise _bad(f"calls {call[1]!r}, must call one of {sorted(CALLS | MACROS)}")
    if len(macros) > 1:
        raise _bad(f"has {len(macros)} of {sorted(MACROS)}, must have at most one")
    if any(re.search(r"\bcontext\b", arguments) for arguments in macros):
        raise _bad(f"names context inside one of {sorted(MACROS)}, must name its element only")
    return len(macros)


def _arguments(bare: str, start: int) -> str:
    """What is between the parenthesis that ends before `start` and the one that closes it."""
    depth = 1
    for place in range(start, len(bare)):
        depth += {"(": 1, ")": -1}.get(bare[place], 0)
        if depth == 0:
            return bare[start:place]
    return bare[start:]


def _said(exc: ValueError) -> str:
    """The first complaint of the parser, with its place."""
    found = _AT.search(str(exc))
    if found is None:
        return "can not be parsed, must be a CEL expression"
    line, column, complaint = found.groups()
    return (
        f"can not be parsed at line {line}, column {column} ({complaint[:120]}), "
        "must be a CEL expression"
    )


def _bad(said: str) -> BadSpec:
    return BadSpec(f"targeting {said} - at `$.targeting`")
