from collections.abc import Iterator
from io import BytesIO
from itertools import islice

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bandit.errors import RecordError
from bandit.records import Action
from sims.worlds.base import Round, World
from sims.worlds.movielens import MovieLensWorld
from sims.worlds.synthetic import SyntheticWorld


def parquet(**columns: list[object]) -> bytes:
    file = BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def movielens() -> MovieLensWorld:
    """Two users, four films of which two share a title; user 1 rated all, user 2 only two."""
    return MovieLensWorld(
        {
            "data": parquet(
                user_id=[1, 1, 2, 1, 1, 2],
                movie_id=[10, 11, 10, 12, 13, 13],
                rating=[5, 3, 2, 4, 1, 4],
            ),
            "items": parquet(
                movie_id=[10, 11, 12, 13],
                movie_title=["Ran (1985)", "Heat", "Heat", "Alien"],
                release_date=["01-Jan-1985", "15-Dec-1995", None, "25-May-1979"],
                Drama=[1, 0, 0, 0],
                War=[1, 0, 1, 0],
            ),
            "users": parquet(
                user_id=[1, 2], age=[24, 60], gender=["M", "F"], occupation=["writer", "none"]
            ),
        },
        offered_n=3,
    )


@pytest.fixture(params=["synthetic", "movielens"])
def world(request: pytest.FixtureRequest, movielens: MovieLensWorld) -> World:
    return movielens if request.param == "movielens" else SyntheticWorld()


def rounds(world: World, n: int, seed: int = 7) -> Iterator[Round]:
    return islice(world.rounds(np.random.default_rng(seed)), n)


def test_equal_generators_give_equal_rounds(world: World) -> None:
    first, again, other = (
        [msgspec.json.encode(this) for this in rounds(world, 20, seed)] for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_rounds_offer_different_actions_whose_rewards_are_shares(world: World) -> None:
    for this in rounds(world, 50):
        assert len({action.id for action in this.actions}) == len(this.actions)
        assert all(0.0 <= value <= 1.0 for value in (*this.rewards, *this.expected))
        assert min(this.regret(i) for i in range(len(this.actions))) == 0.0


def test_movielens_pays_for_films_that_the_user_rated_at_least_four(
    movielens: MovieLensWorld,
) -> None:
    paid: dict[str, dict[str, float]] = {"user-1": {}, "user-2": {}}
    for this in rounds(movielens, 200):
        paid[this.unit_id] |= {a.id: this.reward(i) for i, a in enumerate(this.actions)}
    assert paid == {
        "user-1": {"Ran (1985)": 1.0, "Heat #11": 0.0, "Heat #12": 1.0, "Alien": 0.0},
        "user-2": {"Ran (1985)": 0.0, "Alien": 1.0},
    }


def test_movielens_users_and_films_have_the_features_of_the_tables(
    movielens: MovieLensWorld,
) -> None:
    contexts, films = {}, {}
    for this in rounds(movielens, 200):
        contexts[this.unit_id] = msgspec.json.decode(this.context)
        films |= {a.id: msgspec.json.decode(a.features) for a in this.actions}
    assert contexts["user-2"] == {
        "user": "user-2",
        "age": "56+",
        "gender": "F",
        "occupation": "none",
    }
    assert films == {
        "Ran (1985)": {"genres": ["Drama", "War"], "decade": "1980s"},
        "Heat #11": {"genres": [], "decade": "1990s"},
        "Heat #12": {"genres": ["War"], "decade": "unknown"},
        "Alien": {"genres": [], "decade": "1970s"},
    }


def test_synthetic_likes_come_as_often_as_expected() -> None:
    likes, expected = (
        np.concatenate([getattr(this, name) for this in rounds(SyntheticWorld(), 500)])
        for name in ("rewards", "expected")
    )
    error = np.sqrt((expected * (1 - expected)).sum()) / likes.size
    assert abs(likes.mean() - expected.mean()) <= 4.4 * error


def test_round_refuses_actions_without_rewards() -> None:
    with pytest.raises(RecordError, match="0 rewards and 1 expected rewards"):
        Round(unit_id="u", context=b"{}", actions=(Action.of("a"),), rewards=(), expected=(1.0,))
