"""Which of Vowpal Wabbit's options a policy may use.

A list of what is allowed, not of what is not: VW has some 300 options, and among them are ones that
read and write files, ones whose models forget part of what they know at each save, and ones whose
probabilities are no distribution.

| explorer | models | how it explores | needs a floor |
| --- | --- | --- | --- |
| `--squarecb` | 1 | less for what looks worse: `1/(k + gamma·gap)` | no |
| `--epsilon E`, or none of these | 1 | uniform with probability E, 0.05 if not given | if E is 0 |
| `--softmax` | 1 | `exp(-lambda·cost)` | yes, or `--epsilon` |
| `--regcb`, `--regcbopt` | 1 | whatever may still be best, by a confidence bound | yes |
| `--synthcover` | 1 | mixes with what a rival that is optimistic would do | yes, or `--epsilon` |
| `--first N` | 1 | uniform for N lessons, then none | yes, or `--epsilon` |
| `--bag N` | N | Thompson sampling by bootstrap: each model has a vote | yes, or `--epsilon` |
| `--cover N` | 2N + 2 | a set of models made to disagree | with `--nounif` |
| `--rnd N` | N + 1 | bonus for what random targets are still mistaken about | yes, or `--epsilon` |

`--cb_type mtr` (the default) regresses what was drawn; `ips` weighs it by 1/propensity; `dm`
regresses unweighted; `dr` does both, with two models. `--squarecb` and `--regcb`
take `mtr` only, `--cover` all but `dm`; VW says so itself. One model costs one scan of an example's
features at each question, N models N of them; all share the 2^b weights of `--bit_precision`.

Presets that did best in some 4,900 measured runs, besides the default: `CRISP` for clean rewards,
`CLICKS` for rare, noisy ones.
"""

import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bandit.errors import BadSpec

DEFAULT = "--squarecb --gamma_scale 10 -q UA"
"""Best single string over clean and click-like rewards, with one model's cost; it needs no range of
costs, resumes exactly and leaves no action without probability."""
DEFAULT_OF_SLOTS = f"{DEFAULT} -q SA"
"""The default of a policy that is told of the slot: an action's worth may depend on where it is."""
CRISP = "--synthcover -l 2 --ignore_linear U --epsilon 0.02 -q UA"
CLICKS = "--squarecb --gamma_scale 10 -l 0.05 -q UA"

NO_ID = "--no_id"
"""Our one own option: an action's id is not a feature."""


class Arguments(NamedTuple):
    """A policy's arguments, read and checked.

    Attributes:
        words: What VW is started with.
        with_id: Whether the action's id is a feature.
        ties_sum: Tied actions get probability 1 each (`--regcb`, `--regcbopt`).
        reaches_all: Every action always has a probability above 0.
        several: There are several models in one; VW saves only the first one's running averages.
    """

    words: tuple[str, ...]
    with_id: bool
    ties_sum: bool
    reaches_all: bool
    several: bool

    @property
    def text(self) -> str:
        """The words in one line, in their canonical spelling."""
        return shlex.join((*self.words, *(() if self.with_id else (NO_ID,))))


def arguments_of(text: str, slot_model: str) -> Arguments:
    """A spec's arguments, with the default of its slot model.

    >>> arguments_of("", "ccb").text
    '--cb_explore_adf --squarecb --gamma_scale 10 --quadratic UA --quadratic SA'

    Raises:
        BadSpec: As `read_arguments`; or `ccb` without an interaction of S, to which the slot would
            make no difference; or S where there is no slot.
    """
    arguments = read_arguments(text or (DEFAULT if slot_model == "shared" else DEFAULT_OF_SLOTS))
    words = arguments.words
    with_slot = any("S" in words[i + 1] for i, word in enumerate(words) if word in _INTERACTIONS)
    if slot_model == "ccb" and not with_slot:
        raise BadSpec(
            "slot_model is 'ccb' and no interaction has the letter S (slot), must have one, "
            "such as -q SA"
        )
    if slot_model == "shared" and with_slot:
        raise BadSpec(
            "slot_model is 'shared' and an interaction has the letter S (slot), which would be "
            "empty, must have none"
        )
    return arguments


def read_arguments(text: str) -> Arguments:
    """Read a spec's arguments.

    `--cb_explore_adf` is implied, since every policy here is one; empty means `DEFAULT`.

    >>> read_arguments("--epsilon 0.1 -q UA").words
    ('--cb_explore_adf', '--epsilon', '0.1', '--quadratic', 'UA')
    >>> read_arguments("--elim")
    Traceback (most recent call last):
    bandit.errors.BadSpec: --elim is refused: its probabilities can be negative or not finite

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
    values = dict(given)
    least = float(values.get("--epsilon") or _EPSILON.get(explorer, 0.0))
    return Arguments(
        words=tuple(words),
        with_id=NO_ID not in names,
        ties_sum=explorer in ("--regcb", "--regcbopt"),
        reaches_all=explorer == "--squarecb" or (least > 0.0 and "--nounif" not in names),
        several=explorer in _SEVERAL or values.get("--cb_type") == "dr",
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
        if not (least <= len(value) <= most and set(value) <= {"U", "A", "S"}):
            raise BadSpec(
                f"{name} is {value[:60]!r}, must be {many} of the letters U (context), "
                "A (action) and S (slot)"
            )

    return check


def _choice(*choices: str) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in choices:
            raise BadSpec(f"{name} is {value[:60]!r}, must be one of {', '.join(choices)}")

    return check


_SHORT = {
    "-q": "--quadratic",
    "-b": "--bit_precision",
    "-l": "--learning_rate",
}
_ALWAYS = {"--cb_explore_adf", "--quiet"}
_INTERACTIONS = {"--quadratic", "--cubic", "--interactions"}
_REPEATABLE = _INTERACTIONS | {"--ignore_linear"}
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
    "--first": _whole(1, 1_000_000_000),
    "--bag": _whole(1, 100),
    "--greedify": None,
    "--cover": _whole(1, 100),
    "--psi": _number(0.0, 1e3),
    "--nounif": None,
    "--first_only": None,
    "--rnd": _whole(1, 100),
    "--rnd_alpha": _number(1e-6, 1e3),
    "--rnd_invlambda": _number(1e-6, 1e3),
    "--epsilon": _number(0.0, 1.0),
    "--cb_type": _choice("mtr", "ips", "dr", "dm"),
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
    "--first": set(),
    "--bag": {"--greedify", "--first_only"},
    "--cover": {"--psi", "--nounif", "--first_only"},
    "--rnd": {"--rnd_alpha", "--rnd_invlambda"},
}
_SEVERAL = {"--bag", "--cover", "--rnd"}
# VW expects costs in [0, 1]; ours are −reward, and rewards are in [-1, 1] unless the surface says
# otherwise.
_COSTS = {"--cb_min_cost": "-1", "--cb_max_cost": "1"}
_IMPLIED = {"--regcb": _COSTS, "--regcbopt": _COSTS}
# What VW explores with when no `--epsilon` is given; `--cover` less and less, but never none.
_EPSILON = {"": 0.05, "--cover": 1.0}
_REFUSED = {
    "--sgd": "its learning rate decays by a count that snapshots do not keep",
    "--elim": "its probabilities can be negative or not finite",
    "--large_action_space": (
        "the same question gets other answers after other questions, with a seed too, "
        "and --cover with it crashes the process"
    ),
    "--ftrl": "a few features of 1e9 make its weights infinite for good",
    "--random_seed": "a snapshot keeps its own, and the two may disagree",
    "--ignore": "the Python binding does not support it",
}
