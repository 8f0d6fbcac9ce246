"""Which of Vowpal Wabbit's options a policy may use.

A list of what is allowed, not of what is not: VW has some 300 options, and among them are ones that
read and write files, ones whose models forget part of what they know at each save, and ones whose
probabilities are no distribution.
"""

import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bandit.errors import BadSpec

DEFAULT = "--squarecb --gamma_scale 10 -q UA"
"""Best single string over clean and click-like rewards, with one model's cost; it needs no range of
costs, resumes exactly and leaves no action without probability."""

NO_ID = "--no_id"
"""Our one own option: an action's id is not a feature."""


class Arguments(NamedTuple):
    """A policy's arguments, read and checked.

    Attributes:
        words: What VW is started with.
        with_id: Whether the action's id is a feature.
        ties_sum: Tied actions get probability 1 each (`--regcb`, `--regcbopt`).
        reaches_all: Every action always has a probability above 0.
    """

    words: tuple[str, ...]
    with_id: bool
    ties_sum: bool
    reaches_all: bool

    @property
    def text(self) -> str:
        """The words in one line, in their canonical spelling."""
        return shlex.join((*self.words, *(() if self.with_id else (NO_ID,))))


def read_arguments(text: str) -> Arguments:
    """Read a spec's arguments.

    `--cb_explore_adf` is implied, since every policy here is one; empty means `DEFAULT`.

    >>> read_arguments("--epsilon 0.1 -q UA").words
    ('--cb_explore_adf', '--epsilon', '0.1', '--quadratic', 'UA')
    >>> read_arguments("--bag 5")
    Traceback (most recent call last):
    bandit.errors.BadSpec: --bag is refused: a snapshot does not keep all that it has learned

    Raises:
        BadSpec: An option that is unknown, refused, repeated, out of range, or of another explorer.
    """
    try:
        given = list(_read(shlex.split(text or DEFAULT)))
    except ValueError as exc:
        if isinstance(exc, BadSpec):
            raise
        raise BadSpec(f"arguments are {text[:200]!r}, must be words as in a shell: {exc}") from exc
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1 and name not in _REPEATABLE:
            raise BadSpec(f"{name} is given {names.count(name)} times, must be given once")
    explorer = _explorer_of(names)
    words = ["--cb_explore_adf"]
    for name, value in given:
        if name != NO_ID:
            words += [name] if value is None else [name, value]
    for name, value in _IMPLIED.get(explorer, {}).items():
        if name not in names:
            words += [name, value]
    least = float(dict(given).get("--epsilon") or _EPSILON.get(explorer, 0.0))
    return Arguments(
        words=tuple(words),
        with_id=NO_ID not in names,
        ties_sum=explorer in ("--regcb", "--regcbopt"),
        reaches_all=explorer == "--squarecb" or least > 0.0,
    )


def _read(words: list[str]) -> Iterator[tuple[str, str | None]]:
    """Pairs of option and value, spelled in full; those that are always on are left out."""
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.partition("=")
        name = _SHORT.get(name, name)
        if name in _ALWAYS:
            continue
        if name in _REFUSED:
            raise BadSpec(f"{name} is refused: {_REFUSED[name]}")
        if name not in _OPTIONS:
            raise BadSpec(
                f"{name[:60]!r} is no option that a policy may use, must be one of "
                f"{', '.join(sorted(_OPTIONS))}"
            )
        check = _OPTIONS[name]
        if check is None:
            if equals:
                raise BadSpec(f"{name} is given {value[:60]!r}, must be given no value")
            yield name, None
            continue
        value = value if equals else next(waiting, "")
        check(name, value)
        yield name, value


def _explorer_of(names: list[str]) -> str:
    explorers = [name for name in names if name in _OF]
    if len(explorers) > 1:
        raise BadSpec(f"explorers are {', '.join(explorers)}, must be at most one")
    explorer = explorers[0] if explorers else ""
    for name in names:
        owners = [owner for owner, own in _OF.items() if name in own]
        if owners and explorer not in owners:
            raise BadSpec(f"{name} does nothing here, must come with {' or '.join(owners)}")
    if explorer in ("--regcb", "--regcbopt") and "--epsilon" in names:
        raise BadSpec(f"--epsilon does nothing with {explorer}, use the policy's floor")
    return explorer


def _number(low: float, high: float) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        try:
            inside = low <= float(value) <= high
        except ValueError:
            inside = False
        if not inside:
            raise BadSpec(f"{name} is {value[:60]!r}, must be a number in [{low:g}, {high:g}]")

    return check


def _whole(low: int, high: int) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            raise BadSpec(f"{name} is {value[:60]!r}, must be a whole number in [{low}, {high}]")

    return check


def _namespaces(least: int, most: int) -> Callable[[str, str], None]:
    many = f"{least}" if least == most else f"{least} to {most}"

    def check(name: str, value: str) -> None:
        if not (least <= len(value) <= most and set(value) <= {"U", "A"}):
            raise BadSpec(
                f"{name} is {value[:60]!r}, must be {many} of the letters U (context) "
                "and A (action)"
            )

    return check


def _choice(*choices: str) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in choices:
            raise BadSpec(f"{name} is {value[:60]!r}, must be one of {', '.join(choices)}")

    return check


def _cb_type(name: str, value: str) -> None:
    if value == "dr":
        raise BadSpec("--cb_type dr is refused: a snapshot does not keep all that it has learned")
    _choice("mtr", "ips", "dm")(name, value)


_SHORT = {
    "-q": "--quadratic",
    "-b": "--bit_precision",
    "-l": "--learning_rate",
}
_ALWAYS = {"--cb_explore_adf", "--quiet"}
_REPEATABLE = {"--quadratic", "--cubic", "--interactions", "--ignore_linear"}
_OPTIONS: dict[str, Callable[[str, str], None] | None] = {
    "--squarecb": None,
    "--gamma_scale": _number(1e-3, 1e6),
    "--gamma_exponent": _number(0.0, 1.0),
    "--softmax": None,
    "--lambda": _number(0.0, 1e6),
    "--regcb": None,
    "--regcbopt": None,
    "--mellowness": _number(1e-6, 1e3),
    "--cb_min_cost": _number(-1e6, 1e6),
    "--cb_max_cost": _number(-1e6, 1e6),
    "--synthcover": None,
    "--synthcoverpsi": _number(0.0, 1e3),
    "--synthcoversize": _whole(1, 1000),
    "--epsilon": _number(0.0, 1.0),
    "--cb_type": _cb_type,
    "--clip_p": _number(0.0, 1.0),
    "--learning_rate": _number(1e-6, 100.0),
    "--power_t": _number(0.0, 1.0),
    "--l1": _number(0.0, 1.0),
    "--l2": _number(0.0, 1.0),
    "--coin": None,
    "--quadratic": _namespaces(2, 2),
    "--cubic": _namespaces(3, 3),
    "--interactions": _namespaces(2, 4),
    "--ignore_linear": _namespaces(1, 1),
    "--noconstant": None,
    "--bit_precision": _whole(8, 24),
    NO_ID: None,
}
# Explorers, and what only they understand; VW takes the rest in silence and does nothing with it.
_OF = {
    "--squarecb": {"--gamma_scale", "--gamma_exponent"},
    "--softmax": {"--lambda"},
    "--regcb": {"--mellowness", "--cb_min_cost", "--cb_max_cost"},
    "--regcbopt": {"--mellowness", "--cb_min_cost", "--cb_max_cost"},
    "--synthcover": {"--synthcoverpsi", "--synthcoversize"},
}
# VW expects costs in [0, 1]; ours are −reward, and rewards are in [-1, 1] unless the surface says
# otherwise.
_COSTS = {"--cb_min_cost": "-1", "--cb_max_cost": "1"}
_IMPLIED = {"--regcb": _COSTS, "--regcbopt": _COSTS}
# What VW explores with when no `--epsilon` is given.
_EPSILON = {"": 0.05}
_LOST = "a snapshot does not keep all that it has learned"
_REFUSED = {
    "--bag": _LOST,
    "--cover": _LOST,
    "--rnd": _LOST,
    "--sgd": "its learning rate decays by a count that snapshots do not keep",
    "--elim": "its probabilities can be negative or not finite",
    "--first": "its probabilities are exact zeros after the first decisions",
    "--large_action_space": "the same question gets different answers",
    "--ftrl": "a few features of 1e9 make its weights infinite for good",
    "--random_seed": "a snapshot keeps its own, and the two may disagree",
    "--ignore": "the Python binding does not support it",
}
