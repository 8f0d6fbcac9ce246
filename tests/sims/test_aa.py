import numpy as np
import pytest

from bandit.specs import Metric
from bandit.stats import JointMoments
from bandit.store.unit_rows import MetricRows
from sims.aa import AaReport, Sums, check_metric, excess, in_words, sides, skipped, verdict_of
from sims.scenarios.populations import Conversion, Normal, Population, Revenue


def units(n: int) -> list[str]:
    return [f"u{number}" for number in range(n)]


def rows(population: Population, n: int = 400, **of_metric: object) -> MetricRows:
    values = population.draw(np.random.default_rng(2), (n, 1))
    metric = Metric(key="m", source="outcome", **of_metric)  # type: ignore[arg-type]
    return MetricRows(metric, ("value",), values, units(n), None)


def test_moments_of_a_split_are_those_of_its_rows_at_every_look() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal([1e9, 3.0], [1.0, 10.0], (90, 2))
    sums, treated = Sums.of(table, 4), sides(units(90), "salt")
    for chosen in (treated, ~treated):
        found = list(sums.moments(chosen))
        assert len(found) == 4
        for look, moments in enumerate(found, 1):
            end = int(90 * look / 4)
            wanted = JointMoments.of_columns(*table[:end][chosen[:end]].T)
            assert moments.n == wanted.n
            assert moments.means == pytest.approx(wanted.means)
            assert np.array(moments.cross) == pytest.approx(np.array(wanted.cross), rel=1e-6)


def test_sides_are_even_and_another_salt_splits_otherwise() -> None:
    first, other = sides(units(4000), "a"), sides(units(4000), "b")
    for found in (first, other, first ^ other):
        assert abs(found.mean() - 0.5) <= 4.4 * 0.5 / 4000**0.5
    assert (sides(units(4000), "a") == first).all()


@pytest.mark.parametrize(
    ("population", "kind"), [(Normal(), "sum"), (Conversion(0.4), "proportion")], ids=str
)
def test_healthy_metric_is_fine_and_peeking_by_one_look_is_not(
    population: Population, kind: str
) -> None:
    table = rows(population, n=900, type=kind)
    found = check_metric(table, splits=60, looks=9, seed=1)
    assert found.verdict == "fine"
    assert found.one_look is not None
    assert found.peeking is not None
    assert found.peeking_fixed is not None
    assert found.peeking.value <= found.one_look.value < found.peeking_fixed.value
    assert check_metric(table, splits=60, looks=9, seed=1) == found


def test_metric_that_one_unit_carries_is_timid() -> None:
    table = rows(Normal())
    table.rows[7] = 1e6
    found = check_metric(table, splits=60, looks=2, seed=1)
    assert found.verdict == "timid"
    assert "few units hold most of it" in in_words(found, 0.05)


def test_more_called_splits_than_chance_gives_are_too_many() -> None:
    """By hand: of 100 splits at 5 %, 14 or more have chance .0005, 13 or more .0015."""
    even = [(n + 0.5) / 100 for n in range(100)]
    assert excess(14, 100, 0.05) < 0.001 < excess(13, 100, 0.05)
    assert verdict_of(13, 100, 0.05, even) == "fine"
    assert verdict_of(14, 100, 0.05, even) == "too_many"
    report = AaReport(
        of="home",
        since_ms=0,
        as_of_ms=1,
        alpha=0.05,
        splits=100,
        looks=1,
        seed=1,
        metrics=(skipped("q", 900, "quantile"),),
    )
    assert not report.alarms


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (rows(Normal(), n=199), "few_units"),
        (rows(Conversion(0.0)), "no_variance"),
        (rows(Revenue(), n=0), "few_units"),
    ],
    ids=["few", "constant", "none"],
)
def test_what_can_not_be_checked_says_why(table: MetricRows, reason: str) -> None:
    found = check_metric(table, splits=5, looks=3, seed=1)
    assert (found.verdict, found.reason, found.one_look) == ("unknown", reason, None)
    assert in_words(found, 0.05).startswith("not checked: ")
