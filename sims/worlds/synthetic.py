"""A world whose truth is a formula: users and films with tastes, likes by a logistic model."""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit.records import Action
from sims.worlds.base import Round

GENRES = ("comedy", "crime", "drama", "horror", "romance", "sci-fi", "war", "western")
SEGMENTS = ("student", "engineer", "artist", "retired", "parent", "nurse")
DECADES = ("1970s", "1980s", "1990s", "2000s")


class SyntheticWorld:
    """Segments of users who like genres differently, and films that are better or worse.

    `P(like) = 1 / (1 + exp(−quality[film] − mean of taste[segment, g] over the film's genres g))`
    because the best film then depends on the user: a policy that ignores the context, or the
    interaction of user and film, can not win.

    Args:
        seed: Makes tastes and films; rounds have a generator of their own.
        users_n: How many units there are.
        films_n: How many films there are.
        offered_n: Candidates in a round.
    """

    name = "synthetic"
    about = "Synthetic films and users; the truth is a logistic model, so regret is exact."

    def __init__(
        self, seed: int = 1, *, users_n: int = 1000, films_n: int = 200, offered_n: int = 20
    ) -> None:
        rng = np.random.default_rng(seed)
        self._offered_n = offered_n
        self._segments = rng.integers(len(SEGMENTS), size=users_n)
        genres = np.zeros((films_n, len(GENRES)))
        for film in range(films_n):
            count = int(rng.integers(1, 4))
            genres[film, rng.choice(len(GENRES), size=count, replace=False)] = 1 / count
        taste = rng.normal(0.0, 2.0, size=(len(SEGMENTS), len(GENRES)))
        quality = rng.normal(-0.3, 0.7, size=films_n)
        self._like: NDArray[np.float64] = 1 / (1 + np.exp(-(quality + taste @ genres.T)))
        decades = rng.integers(len(DECADES), size=films_n)
        self._films = [
            Action.of(
                f"film-{film}",
                genres=[GENRES[g] for g in np.flatnonzero(genres[film])],
                decade=DECADES[decades[film]],
            )
            for film in range(films_n)
        ]
        self._contexts = [
            msgspec.json.encode({"user": f"user-{user}", "segment": SEGMENTS[segment]})
            for user, segment in enumerate(self._segments)
        ]

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end: a random user, `offered_n` random films, likes by their odds."""
        while True:
            user = int(rng.integers(len(self._contexts)))
            offered = rng.choice(len(self._films), size=self._offered_n, replace=False)
            expected = self._like[self._segments[user], offered]
            likes = rng.random(self._offered_n) < expected
            yield Round(
                unit_id=f"user-{user}",
                context=self._contexts[user],
                actions=tuple(self._films[film] for film in offered),
                rewards=tuple(map(float, likes)),
                expected=tuple(map(float, expected)),
            )
