"""The MovieLens 100k world: real users, the films they rated, and what they thought of them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandit.records import Action
from sims.worlds.base import Round

LIKED_FROM = 4
"""A rating of at least so many stars is a like."""
NOT_A_GENRE = {"movie_id", "movie_title", "release_date", "video_release_date", "IMDb_URL"}
AGE_BANDS = ((18, "under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (56, "45-55"))
TERMS = (
    "MovieLens 100k, GroupLens Research, University of Minnesota. Terms: research use only, no "
    "redistribution, no commercial use without their permission, no endorsement implied. "
    "Cite Harper & Konstan (2015), The MovieLens Datasets, ACM TiiS 5(4):19."
)


class Viewer(NamedTuple):
    """A user with the films that this user rated, `(films,)` each."""

    unit_id: str
    context: bytes
    films: list[Action]
    likes: NDArray[np.float64]


class MovieLensWorld:
    """A round is a real user with films that this user rated; a film rated ≥ 4 pays 1, else 0.

    Args:
        tables: The Parquet files `data`, `items` and `users`; see `sims.datasets`.
        offered_n: Candidates in a round; a user with fewer rated films asks about all of them.

    Attributes:
        viewers: All users, with all films that they rated.
    """

    name = "movielens"
    about = TERMS

    def __init__(self, tables: Mapping[str, bytes], *, offered_n: int = 20) -> None:
        ratings, items, users = (
            pq.read_table(BytesIO(tables[name])) for name in ("data", "items", "users")
        )
        films = _films(items.to_pylist())
        raters, rated, stars = (
            ratings.column(name).to_numpy() for name in ("user_id", "movie_id", "rating")
        )
        self._offered_n = offered_n
        self.viewers = [
            Viewer(
                unit_id=f"user-{row['user_id']}",
                context=msgspec.json.encode(features_of_user(row)),
                films=[films[film] for film in rated[raters == row["user_id"]]],
                likes=(stars[raters == row["user_id"]] >= LIKED_FROM).astype(np.float64),
            )
            for row in users.to_pylist()
        ]

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end: a random user and a random choice of the films that user rated."""
        while True:
            viewer = self.viewers[int(rng.integers(len(self.viewers)))]
            offered_n = min(self._offered_n, len(viewer.films))
            offered = rng.choice(len(viewer.films), size=offered_n, replace=False)
            rewards = tuple(map(float, viewer.likes[offered]))
            yield Round(
                unit_id=viewer.unit_id,
                context=viewer.context,
                actions=tuple(viewer.films[film] for film in offered),
                rewards=rewards,
                expected=rewards,
            )


def features_of_user(row: Mapping[str, Any]) -> dict[str, object]:
    """A user as the context of a request.

    >>> features_of_user({"user_id": 7, "age": 57, "gender": "M", "occupation": "administrator"})
    {'user': 'user-7', 'age': '56+', 'gender': 'M', 'occupation': 'administrator'}
    """
    age = next((band for below, band in AGE_BANDS if row["age"] < below), "56+")
    return {
        "user": f"user-{row['user_id']}",
        "age": age,
        "gender": row["gender"],
        "occupation": row["occupation"],
    }


def features_of_film(row: Mapping[str, Any]) -> dict[str, object]:
    """A film as the features of an action.

    >>> features_of_film({"release_date": "01-Jan-1995", "Drama": 1, "War": 1, "Western": 0})
    {'genres': ['Drama', 'War'], 'decade': '1990s'}
    """
    genres = [name for name, value in row.items() if name not in NOT_A_GENRE and value == 1]
    date = row["release_date"]
    return {"genres": genres, "decade": f"{date[-4:-1]}0s" if date else "unknown"}


def _films(rows: list[dict[str, Any]]) -> dict[int, Action]:
    """Films by their number; the id is the title, made unique where two films share one."""
    titles = Counter(row["movie_title"] for row in rows)
    return {
        row["movie_id"]: Action.of(
            row["movie_title"]
            if titles[row["movie_title"]] == 1
            else f"{row['movie_title']} #{row['movie_id']}",
            **features_of_film(row),
        )
        for row in rows
    }
