"""Made-up tables for what spoils learners on real data: nothing was chosen by them.

In most, what is right is the largest of some linear scores of 8 numbers, with noise, and then one
thing is done to the numbers that a data set of somebody's might have. The same rows each time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from bandit.records import Action
from sims.bakeoff.data import Row, actions_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

ROWS_N, NUMBERS_N, CLASSES_N = 2_500, 8, 5
_TEXTS = (
    "a b",
    "x:1",
    "p|q",
    "ünï",
    "\ttab",
    "line\nbreak",
    '"quote"',
    "=",
    "é=1",
    "🙂",
    "",
    "null",
)
_GENRES = "abcdef"


def irrelevant() -> Iterator[Row]:
    """92 numbers that say nothing beside the 8 that do."""
    numbers, right = _linear()
    noise = np.random.default_rng(1).normal(size=(ROWS_N, 92))
    return _rows(np.hstack([numbers, noise]), right)


def scales() -> Iterator[Row]:
    """Units from 1e-8 to 1e6, with offsets that are larger than the units."""
    numbers, right = _linear()
    return _rows(numbers * np.logspace(-8, 6, NUMBERS_N) + np.logspace(7, 0, NUMBERS_N), right)


def constant() -> Iterator[Row]:
    """Five numbers more that never change."""
    numbers, right = _linear()
    return _rows(np.hstack([numbers, np.full((ROWS_N, 5), 7.0)]), right)


def missing() -> Iterator[Row]:
    """Three numbers of ten are not there."""
    numbers, right = _linear()
    numbers[np.random.default_rng(1).random(numbers.shape) < 0.3] = np.nan
    return _rows(numbers, right)


def freaks() -> Iterator[Row]:
    """One number of a hundred is a million times too large."""
    numbers, right = _linear()
    numbers[np.random.default_rng(1).random(numbers.shape) < 0.01] *= 1e6
    return _rows(numbers, right)


def tails() -> Iterator[Row]:
    """Signed exponentials: most are small, some are a million times larger."""
    numbers, right = _linear()
    return _rows(np.sign(numbers) * np.expm1(np.minimum(5.0 * np.abs(numbers), 20.0)), right)


def codes() -> Iterator[Row]:
    """Whole numbers that are names: no order means anything, and three of four say nothing."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 12, (ROWS_N, 4))
    return _rows(codes.astype(np.float64), rng.permutation(12)[codes[:, 0]] % CLASSES_N)


def texts() -> Iterator[Row]:
    """Names and texts with blanks, colons, pipes, quotes, line breaks and other alphabets."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, len(_TEXTS), ROWS_N), rng.integers(0, 3, ROWS_N)
    actions = actions_of(["a b", "x|y:z", "ü", "=", '"q"'])
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        context = {"na me:|x": _TEXTS[one], "ü=b": f"#{other}|{other}:1"}
        yield _row(context, actions, (one + other) % CLASSES_N)


def cards() -> Iterator[Row]:
    """Half of the time what is right is a function of one of 400 users, half of a segment."""
    rng = np.random.default_rng(0)
    user, segment = rng.integers(0, 400, ROWS_N), rng.integers(0, CLASSES_N, ROWS_N)
    right = np.where(rng.random(ROWS_N) < 0.5, rng.integers(0, CLASSES_N, 400)[user], segment)
    actions = actions_of([f"c{place}" for place in range(CLASSES_N)])
    for u, s, r in zip(user.tolist(), segment.tolist(), right.tolist(), strict=True):
        yield _row({"user": f"user-{u}", "segment": f"s-{s}"}, actions, r)


def items() -> Iterator[Row]:
    """2 to 30 items with numbers of their own in three units; no item comes twice."""
    rng = np.random.default_rng(0)
    for turn in range(ROWS_N):
        own = rng.normal(size=(int(rng.integers(2, 31)), 3))
        worth = own @ [1.0, -0.7, 0.5]
        shown = own * [1.0, 1e3, 1e-3] + [0.0, 5e4, 1.0]
        actions = tuple(
            Action.of(f"{turn}-{place}", a=a, b=b, c=c)
            for place, (a, b, c) in enumerate(shown.tolist())
        )
        best = worth >= np.sort(worth)[-max(1, len(worth) // 5)]
        yield Row(b'{"week":%d}' % (turn % 7), actions, tuple(best.astype(float).tolist()))


def pool() -> Iterator[Row]:
    """100 of 3,000 items with a genre and a price; a segment likes cheap ones of two genres."""
    rng = np.random.default_rng(0)
    genres = rng.integers(0, len(_GENRES), 3_000)
    prices = rng.lognormal(3.0, 1.0, 3_000)
    catalogue = [
        Action.of(f"i{place}", genre=_GENRES[genre], price=price)
        for place, (genre, price) in enumerate(zip(genres.tolist(), prices.tolist(), strict=True))
    ]
    likes = np.stack([rng.permutation(len(_GENRES)) < 2 for _ in range(6)])
    for _ in range(ROWS_N):
        segment, some = int(rng.integers(6)), rng.choice(3_000, 100, replace=False)
        right = likes[segment, genres[some]] & (prices[some] < 20.0)
        offered = tuple(catalogue[place] for place in some.tolist())
        yield Row(
            msgspec.json.encode({"segment": f"s-{segment}"}),
            offered,
            tuple(right.astype(float).tolist()),
        )


def _linear() -> tuple[Floats, Ints]:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS_N, NUMBERS_N))
    scores = numbers @ rng.normal(size=(NUMBERS_N, CLASSES_N))
    scores += rng.normal(size=scores.shape)
    return numbers, np.asarray(scores.argmax(axis=1))


def _rows(numbers: Floats, right: Ints) -> Iterator[Row]:
    """What is not a number is left out."""
    actions = actions_of([f"c{place}" for place in range(CLASSES_N)])
    for values, place in zip(numbers.tolist(), right.tolist(), strict=True):
        context = {f"x{i}": value for i, value in enumerate(values) if value == value}
        yield _row(context, actions, place)


def _row(context: Mapping[str, object], actions: Sequence[Action], right: int) -> Row:
    pays = tuple(float(place == right) for place in range(len(actions)))
    return Row(msgspec.json.encode(context), tuple(actions), pays)


MADE: dict[str, Callable[[], Iterator[Row]]] = {
    each.__name__: each
    for each in (
        *(irrelevant, scales, constant, missing, freaks, tails),
        *(codes, texts, cards, items, pool),
    )
}
"""By name, in the order of tables."""
