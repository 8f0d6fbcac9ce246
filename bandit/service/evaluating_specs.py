"""Files of candidates, and of what a search may try: TOML in, specs out.

A file of candidates has a table for each:

    [candidates.careful]
    type = "vw"
    arguments = "--squarecb -q UA"
    floor = 0.001

A file of a search has tables in which a list is a choice, and texts may name choices of their own:

    method = "halving"          # or "grid", "random"

    [search.vw]
    type = "vw"
    arguments = "--epsilon {epsilon} -q UA -l {rate}"
    floor = 0.001

    [search.vw.choices]
    epsilon = [0.02, 0.1]
    rate = [0.1, 0.5]
"""

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from bandit.errors import BadSpec
from bandit.records import Record
from bandit.specs import LEARNING_TYPES, PolicySpec

Method = Literal["grid", "random", "halving"]
MOST = 1_000
"""Combinations that a search may have at most."""
_CHOOSABLE = ("type", "arguments", "floor", "learns_from", "slot_model", "window")


class SearchPlan(Record, frozen=True, kw_only=True):
    """What a search tries, and how.

    Attributes:
        combinations: Specs by name.
        method: `grid` tries all of them on the whole of what chooses, `random` some, `halving`
            all on little, and each time the best of them on more.
        tried: For `random`, how many.
        held_out: Share of the decisions, the latest, by which the chosen one is judged.
        keep: For `halving`, one in so many goes on to a rung of so many times more decisions.
        seed: For `random`, which.
    """

    combinations: dict[str, PolicySpec]
    method: Method
    tried: int
    held_out: float
    keep: int
    seed: int


class _Search(Record, frozen=True, kw_only=True):
    search: dict[str, dict[str, Any]]
    method: Method = "grid"
    tried: Annotated[int, msgspec.Meta(ge=1)] = 20
    held_out: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.3
    keep: Annotated[int, msgspec.Meta(ge=2, le=10)] = 3
    seed: Annotated[int, msgspec.Meta(ge=0)] = 1


class _Candidates(Record, frozen=True, kw_only=True):
    candidates: dict[str, dict[str, Any]]


def read_candidates(text: str, surface: str, *, name: str = "specs.toml") -> dict[str, PolicySpec]:
    r"""Candidates of a file, by the names of their tables.

    Args:
        text: TOML.
        surface: Key of the surface whose log they learn from.
        name: Of the file, for errors.

    Raises:
        BadSpec: Naming the file, the place, what is and what must be.

    >>> found = read_candidates('[candidates.chance]\ntype = "uniform"', "home")
    >>> found["chance"].type
    'uniform'
    >>> read_candidates('[candidates.x]\ntype = "greedy"', "home")
    Traceback (most recent call last):
    bandit.errors.BadSpec: specs.toml: Invalid enum value 'greedy' - at `candidates.x.type`
    """
    given = _converted(text, _Candidates, name)
    if not given.candidates:
        raise BadSpec(f"{name}: no table [candidates.NAME], must have at least one")
    return {
        key: _spec(fields, key, surface, f"{name}: ", f"candidates.{key}")
        for key, fields in given.candidates.items()
    }


def read_search(text: str, surface: str, *, name: str = "search.toml") -> SearchPlan:
    """What a file says may be tried.

    Args:
        text: TOML.
        surface: As for `read_candidates`.
        name: The same.

    Raises:
        BadSpec: The same.
    """
    given = _converted(text, _Search, name)
    combinations: dict[str, PolicySpec] = {}
    for key, fields in given.search.items():
        place = f"search.{key}"
        for number, chosen in enumerate(_combinations(fields, f"{name}: ", place), start=1):
            if len(combinations) >= MOST:
                raise BadSpec(f"{name}: there are over {MOST} combinations, must be at most that")
            which = f"{key}-{number}"
            combinations[which] = _spec(chosen, which, surface, f"{name}: ", place)
    if len(combinations) < 2:
        raise BadSpec(
            f"{name}: there is {len(combinations)} combination, must be at least 2: "
            "a list in a table [search.NAME] is a choice"
        )
    return SearchPlan(
        combinations=combinations,
        method=given.method,
        tried=given.tried,
        held_out=given.held_out,
        keep=given.keep,
        seed=given.seed,
    )


def _converted(text: str, kind: type[Any], name: str) -> Any:
    try:
        return msgspec.convert(tomllib.loads(text), kind)
    except tomllib.TOMLDecodeError as exc:
        raise BadSpec(f"{name}: no TOML: {exc}") from exc
    except msgspec.ValidationError as exc:
        raise BadSpec(f"{name}: {_placed(str(exc), '')}") from exc


def _spec(fields: Mapping[str, Any], key: str, surface: str, head: str, place: str) -> PolicySpec:
    """A table as a spec; its name is its key, and what learns learns from the surface."""
    parts = fields.get("parts") or [{}]
    types = {fields.get("type"), *(p.get("type") for p in parts if isinstance(p, dict))}
    filled = {"key": key, **fields}
    if types & LEARNING_TYPES:
        filled = {"surface": surface, **filled}
    try:
        return msgspec.convert(filled, PolicySpec)
    except msgspec.ValidationError as exc:
        raise BadSpec(f"{head}{_placed(str(exc), place)}") from exc
    except BadSpec as exc:
        raise BadSpec(f"{head}{exc} - at `{place}`") from exc


def _placed(message: str, place: str) -> str:
    """An error with its place as the file's own keys say it."""
    reason, found, where = message.rpartition(" - at `$")
    if not found:
        return f"{message} - at `{place or 'the top'}`"
    inner = where.rstrip("`").removeprefix(".")
    return f"{reason} - at `{'.'.join(part for part in (place, inner) if part)}`"


def _combinations(fields: Mapping[str, Any], head: str, place: str) -> Iterator[dict[str, Any]]:
    """Every choice of a table."""
    named = fields.get("choices", {})
    if not isinstance(named, dict) or not all(isinstance(each, list) for each in named.values()):
        raise BadSpec(f"{head}choices must be a table of lists - at `{place}.choices`")
    parameters = fields.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadSpec(f"{head}parameters must be a table - at `{place}.parameters`")
    ways: dict[tuple[str, ...], list[Any]] = {
        **{(name,): fields[name] for name in _CHOOSABLE if isinstance(fields.get(name), list)},
        **{
            ("parameters", name): each
            for name, each in parameters.items()
            if isinstance(each, list)
        },
        **{("choices", name): each for name, each in named.items()},
    }
    for path, values in ways.items():
        if not values:
            raise BadSpec(f"{head}a choice of nothing - at `{'.'.join((place, *path))}`")
    plain = {name: value for name, value in fields.items() if name != "choices"}
    for chosen in itertools.product(*ways.values()):
        found = {**plain, **({"parameters": dict(parameters)} if parameters else {})}
        texts: dict[str, Any] = {}
        for path, value in zip(ways, chosen, strict=True):
            if path[0] == "parameters":
                found["parameters"][path[1]] = value
            elif path[0] == "choices":
                texts[path[1]] = value
            else:
                found[path[0]] = value
        if texts:
            found["arguments"] = _filled(found.get("arguments", ""), texts, head, place)
        yield found


def _filled(text: str, values: Mapping[str, Any], head: str, place: str) -> str:
    try:
        filled = text.format_map(values)
    except (KeyError, ValueError, IndexError) as exc:
        raise BadSpec(
            f"{head}arguments are {text!r}, must name choices in braces, of "
            f"{', '.join(values)}: {exc} - at `{place}.arguments`"
        ) from exc
    for name in values:
        if "{" + name + "}" not in text:
            raise BadSpec(
                f"{head}arguments are {text!r}, must name the choice {{{name}}} "
                f"- at `{place}.choices.{name}`"
            )
    return filled
