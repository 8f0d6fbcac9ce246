import numpy as np
import pytest
from scipy.stats import binomtest

from sims.scenarios.base import Scenario, exact, in_blocks, mean, rate


def draw(rng: np.random.Generator, n: int) -> list[float]:
    return rng.random(n).tolist()


def test_blocks_are_of_a_fixed_size_and_each_has_numbers_of_its_own() -> None:
    blocks = in_blocks(draw, 3, 7, block=3)
    assert [len(block) for block in blocks] == [3, 3, 1]
    assert len({number for block in blocks for number in block}) == 7


def test_more_repetitions_go_on_where_fewer_ended() -> None:
    assert in_blocks(draw, 3, 6, block=3) == in_blocks(draw, 3, 9, block=3)[:2]


def test_seeds_and_parts_give_other_numbers() -> None:
    first = in_blocks(draw, 3, 5)
    assert in_blocks(draw, 3, 5) == first
    assert in_blocks(draw, 4, 5) != first
    assert in_blocks(draw, 3, 5, part=1) != first


def test_interval_of_a_rate_is_the_exact_binomial_one() -> None:
    found = rate("x", 3, 40)
    interval = binomtest(3, 40).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == (
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )
    assert rate("x", 0, 10).low == 0.0
    assert rate("x", 10, 10).high == 1.0


@pytest.mark.parametrize(
    ("value", "holds"),
    [(0.5, "yes"), (0.41, "unsure"), (0.35, "unsure"), (0.65, "unsure"), (0.1, "no"), (0.9, "no")],
)
def test_figure_holds_or_fails_only_if_its_whole_interval_does(value: float, holds: str) -> None:
    found = mean("x", value + 0.4 * np.resize([-1.0, 1.0], 100), at_least=0.4, at_most=0.6)
    assert found.holds == holds


@pytest.mark.parametrize(
    ("hits", "n", "at_least", "at_most", "holds"),
    [
        (95, 100, 0.93, None, "unsure"),  # the interval starts at 88.7 %
        (950, 1000, 0.93, None, "yes"),
        (90, 1000, 0.93, None, "no"),
        (112, 4000, None, 0.05, "yes"),  # 2.8 % [2.3, 3.4]
        (190, 4000, None, 0.05, "unsure"),  # 4.75 % [4.1, 5.5]
        (260, 4000, None, 0.05, "no"),
    ],
)
def test_rate_near_its_target_is_unsure(
    hits: int, n: int, at_least: float | None, at_most: float | None, holds: str
) -> None:
    assert rate("x", hits, n, at_least=at_least, at_most=at_most).holds == holds


def test_number_without_error_is_never_unsure() -> None:
    assert exact("x", 0.05, at_most=0.05).holds == "yes"
    assert exact("x", 0.0500001, at_most=0.05).holds == "no"


def test_figure_without_a_target_is_part_of_no_claim() -> None:
    assert exact("x", 0.3).holds is None


def test_claim_holds_as_surely_as_its_worst_figure() -> None:
    good, unsure, bad = (
        exact("good", 1.0, at_least=0.5),
        rate("unsure", 4, 10, at_least=0.5),
        exact("bad", 0.1, at_least=0.5),
    )

    def verdict(*figures: object) -> str:
        study = lambda seed, n, executor: figures  # noqa: E731
        return Scenario("name", "claim", "target", 10, 2, study).run().holds  # type: ignore[arg-type]

    assert verdict(good, exact("beside", 0.0)) == "yes"
    assert verdict(good, unsure) == "unsure"
    assert verdict(good, unsure, bad) == "no"
