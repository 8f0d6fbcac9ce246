"""CUPED from moments against least squares on the units' own rows."""

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from scipy import linalg

from bandit.stats import Cuped, Effect, JointMoments, compare, cuped, mean_of
from sims.scenarios.base import Figure, Scenario, exact, in_blocks, mean
from sims.scenarios.populations import Floats

MOST = 6
"""Covariates."""
DAYS = 3
OLS = Cuped(slopes="within", variance="common", keep_worse=True)


def rows(rng: np.random.Generator, n: int, k: int, treated: float) -> Floats:
    """Units' numbers and k correlated covariates of very different sizes, `(n, 1 + k)`."""
    mixing = rng.normal(size=(k, k))
    covariates = rng.normal(size=(n, k)) @ mixing * 10.0 ** rng.uniform(-2, 3, k)
    covariates += 10.0 ** rng.uniform(0, 4, k)
    standard = (covariates - covariates.mean(axis=0)) / covariates.std(axis=0)
    y = 100.0 + treated + standard @ rng.normal(size=k) + rng.standard_exponential(n)
    return np.column_stack([y, covariates])


def from_moments(control: Floats, treatment: Floats) -> Effect:
    """Effect after CUPED, from the moments of some days added up."""
    added = []
    for table in (control, treatment):
        days = [JointMoments.of_columns(*part.T) for part in np.array_split(table, DAYS)]
        added.append(sum(days[1:], days[0]))
    covariates = list(range(1, control.shape[1]))
    return compare(cuped(mean_of(0, covariates=covariates), *added, how=OLS))


def from_rows(control: Floats, treatment: Floats) -> tuple[float, float]:
    """Coefficient of the treatment in y ~ 1 + treated + x, and its classical standard error.

    Source: Greene (2018), "Econometric analysis", eq. 4-16; solved by QR.
    """
    table = np.vstack([control, treatment])
    treated = np.repeat([0.0, 1.0], [len(control), len(treatment)])
    x = table[:, 1:] - table[:, 1:].mean(axis=0)
    design = np.column_stack([np.ones(len(table)), treated, x / np.abs(x).max(axis=0)])
    y = table[:, 0] - table[:, 0].mean()
    q, r = linalg.qr(design, mode="economic")
    beta = linalg.solve_triangular(r, q.T @ y)
    left = y - design @ beta
    sigma2 = left @ left / (len(y) - design.shape[1])
    inverse = linalg.solve_triangular(r, np.eye(len(r)))
    return float(beta[1]), float(np.sqrt(sigma2 * (inverse[1] @ inverse[1])))


def compare_both(rng: np.random.Generator, runs_n: int) -> Floats:
    """Relative difference of effects and of standard errors, and variance saved, `(runs, 3)`."""
    table = np.empty((runs_n, 3))
    for number in range(runs_n):
        k, n = int(rng.integers(1, MOST + 1)), int(rng.integers(50, 2000))
        both = rows(rng, 2 * n, k, 0.0)
        control, treatment = both[:n], both[n:] + np.eye(1 + k)[0] * rng.uniform(0.5, 5.0)
        effect, std_error = from_rows(control, treatment)
        ours = from_moments(control, treatment)
        assert ours.effect is not None
        assert ours.std_error is not None
        table[number] = (
            abs(ours.effect / effect - 1.0),
            abs(ours.std_error / std_error - 1.0),
            ours.variance_reduction or 0.0,
        )
    return table


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """The greatest differences over random experiments."""
    table = np.concatenate(in_blocks(compare_both, seed, repetitions, executor))
    effects, errors, saved = table.T
    return [
        exact("greatest relative difference of effects", float(effects.max()), at_most=1e-9),
        exact("greatest relative difference of standard errors", float(errors.max()), at_most=1e-9),
        mean("variance saved", saved),
    ]


CUPED = Scenario(
    name="cuped",
    claim=f"CUPED with 1 to {MOST} covariates from aggregates of days is least squares on unit "
    "rows.",
    target="effects and standard errors equal to 1e-9",
    repetitions=1000,
    short=40,
    study=study,
)
