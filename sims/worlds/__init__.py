"""Worlds: simulated or replayed truths that a policy is run in."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from bandit.errors import BadSpec
from sims.datasets import MOVIELENS, fetch
from sims.obd import SMALL
from sims.worlds.arriving import Arrival, arriving
from sims.worlds.base import World
from sims.worlds.fatigue import TiredWorld
from sims.worlds.formulas import FormulaWorld
from sims.worlds.logged import LoggedWorld
from sims.worlds.meetings import MeetingWorld
from sims.worlds.modified import Modifier, modified
from sims.worlds.modifiers import Change, Late, Lies, Lost, NewActions, Twice
from sims.worlds.movielens import MovieLensWorld
from sims.worlds.multiclass import from_arrays
from sims.worlds.obd import ObdWorld
from sims.worlds.synthetic import SyntheticWorld

__all__ = ["MODIFIERS", "WORLDS", "from_arrays", "open_world"]

WORLDS: dict[str, Callable[[Path], World]] = {
    "linear": lambda _cache: FormulaWorld("linear"),
    "quadratic": lambda _cache: FormulaWorld("quadratic"),
    "trees": lambda _cache: FormulaWorld("trees"),
    "movielens": lambda cache: MovieLensWorld(fetch(MOVIELENS, cache)),
    "synthetic": lambda _cache: SyntheticWorld(),
    "meetings": lambda _cache: MeetingWorld(),
    "obd": lambda _cache: ObdWorld(SMALL / "random_all.csv.gz"),
}
"""By name, how to build each world with the folder that keeps its data."""

LOG = "log="

MODIFIERS: dict[str, Callable[..., Callable[[World], World]]] = {
    "abrupt": lambda *given: _under(Change, "abrupt", *given),
    "drift": lambda *given: _under(Change, "drift", *given),
    "season": lambda *given: _under(Change, "season", *given),
    "late": lambda *given: _under(Late, *given),
    "lost": lambda *given: _under(Lost, *given),
    "twice": lambda *given: _under(Twice, *given),
    "lies": lambda *given: _under(Lies, *given),
    "cold": lambda *given: _under(NewActions, "cold", *given),
    "growing": lambda *given: _under(NewActions, "growing", *given),
    "tired": lambda tires=0.5, recovers=0.999: (
        lambda world: TiredWorld(world, tires=tires, recovers=recovers)
    ),
    "rush": lambda per_s=1.0, heavy=3.0: (
        lambda world: arriving(world, Arrival(per_s=per_s, heavy=heavy))
    ),
}
"""By name, how to put a world under a law with the numbers behind its colons."""


def open_world(text: str, cache: Path) -> World:
    """A world by its name, under the laws that are named behind it.

    >>> open_world("linear+drift:5000+lost:0.05", Path()).name
    'linear+drift:5000+lost:0.05'

    Args:
        text: A name of `WORLDS`, or `log=` and a DSJSON file (`LoggedWorld`); then any number of
            `+NAME:NUMBER…` of `MODIFIERS`.
        cache: Folder that keeps data sets.

    Raises:
        BadSpec: There is no such world or law, or it does not take these numbers.
        RecordError: A log that is none.
        DataSetUnavailable: Its data can not be fetched.
    """
    first, *laws = text.split("+")
    is_log = first.startswith(LOG)
    if first not in WORLDS and not is_log:
        raise BadSpec(
            f"world is {first!r}, must be one of {', '.join(sorted(WORLDS))}, or {LOG} and a file"
        )
    parsed = [(law, _law(law)) for law in laws]
    world: World = LoggedWorld.read(Path(first[len(LOG) :])) if is_log else WORLDS[first](cache)
    for law, put in parsed:
        try:
            world = put(world)
        except TypeError as exc:
            raise BadSpec(f"law {law!r} has other numbers than it takes: {exc}") from exc
    return world


def _law(text: str) -> Callable[[World], World]:
    name, *given = text.split(":")
    if name not in MODIFIERS:
        raise BadSpec(f"law is {name!r}, must be one of {', '.join(sorted(MODIFIERS))}")
    try:
        return MODIFIERS[name](*map(_value, given))
    except (TypeError, ValueError) as exc:
        raise BadSpec(f"law {text!r} has other numbers than it takes: {exc}") from exc


def _value(text: str) -> float | int | str:
    """A number, or a word such as `opposite`."""
    try:
        return msgspec.json.decode(text.encode(), type=int | float)
    except msgspec.MsgspecError:
        return text


def _under(kind: type, *given: object) -> Callable[[World], World]:
    """A modifier of checked numbers; msgspec checks ranges where it converts."""
    names = kind.__struct_fields__  # type: ignore[attr-defined]
    if len(given) > len(names):
        raise TypeError(f"it takes {len(names)}, and {len(given)} are given")
    law: Modifier = msgspec.convert(dict(zip(names, given, strict=False)), kind)
    return lambda world: modified(world, law)
