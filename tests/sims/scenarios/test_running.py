import numpy as np
import pytest

from bandit.stats import compare, delta
from sims.scenarios.populations import Conversion, Normal, Population, Revenue
from sims.scenarios.running import Paths, check_statistic, estimate_at, judged_at, leaves_out


@pytest.mark.parametrize("population", [Normal(), Conversion(), Revenue()], ids=lambda p: p.name)
def test_running_sums_are_what_our_functions_say_at_every_look(population: Population) -> None:
    rng = np.random.default_rng(2)
    control, treatment = population.draw(rng, (2, 120)), population.draw(rng, (2, 120), 0.5)
    paths = Paths.of(control, treatment, 20)
    assert paths.statistic.shape == (2, 101)
    for look in (0, 50, 100):
        for path in (0, 1):
            estimate = estimate_at(control[path], treatment[path], 20 + look)
            if not estimate.usable:
                assert paths.statistic[path, look] == 0.0
                continue
            effect = compare(estimate)
            assert abs(effect.statistic or 0.0) == pytest.approx(paths.statistic[path, look])
            if effect.control and effect.treatment:
                ratio, error = delta(estimate)
                assert abs(ratio) / error == pytest.approx(paths.delta_statistic[path, look])


def test_statistic_that_the_running_sums_did_not_foresee_stops_the_study() -> None:
    rng = np.random.default_rng(3)
    control, treatment = rng.normal(size=(1, 50)), rng.normal(size=(1, 50))
    paths = Paths.of(control, treatment, 10)
    other = Paths.of(control, treatment + 1.0, 10)
    [effect] = judged_at(control, treatment, paths, np.array([5]), compare)
    check_statistic(effect, float(paths.statistic[0, 5]))
    with pytest.raises(ArithmeticError, match="must be"):
        judged_at(control, treatment, other, np.array([5]), compare)


def test_interval_that_was_not_given_leaves_out_nothing() -> None:
    assert not leaves_out(None, None)
    assert leaves_out(0.1, None)
    assert leaves_out(None, -0.1)
    assert not leaves_out(-1.0, 1.0, 0.5)
    assert leaves_out(-1.0, 1.0, 1.5)


@pytest.mark.parametrize("population", [Normal(), Conversion(), Revenue()], ids=lambda p: p.name)
@pytest.mark.parametrize("lift", [0.0, 0.3])
def test_population_has_the_mean_that_it_says(population: Population, lift: float) -> None:
    drawn = population.draw(np.random.default_rng(5), (200_000,), lift)
    error = drawn.std() / drawn.size**0.5
    assert abs(drawn.mean() - population.mean * (1.0 + lift)) <= 4.4 * error
