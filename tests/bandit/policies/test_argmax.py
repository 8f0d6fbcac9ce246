import math

import numpy as np
import pytest
from scipy import special

from bandit.policies.argmax import beta_argmax, normal_argmax

ERROR = 1e-4


def integrated(nodes, log_f, log_cdf):
    """P(argmax) by Gauss-Legendre between many nodes, with SciPy's distribution functions."""
    places, weights = np.polynomial.legendre.leggauss(4)
    left, right = nodes[:-1], nodes[1:]
    x = (((left + right) / 2)[:, None] + ((right - left) / 2)[:, None] * places).ravel()
    w = (((right - left) / 2)[:, None] * weights).ravel()
    logs = log_cdf(x)
    total = logs.sum(axis=0)
    found = (w * np.exp(total - logs + log_f(x))).sum(axis=1)
    assert found.sum() == pytest.approx(1.0, abs=1e-7)
    return found


def true_normal(means, sds):
    z = np.linspace(-9, 9, 181)
    nodes = np.unique(np.add.outer(np.zeros_like(z), means) + np.multiply.outer(z, sds))
    nodes = nodes[nodes >= (means - 9 * sds).max()]

    def standard(x):
        return (x - means[:, None]) / sds[:, None]

    return integrated(
        nodes,
        lambda x: -(standard(x) ** 2) / 2 - np.log(sds * math.sqrt(2 * math.pi))[:, None],
        lambda x: special.log_ndtr(standard(x)),
    )


def true_beta(alphas, betas):
    """On the scale of the logit, unlike the code under test."""
    a, b = np.array(alphas)[:, None], np.array(betas)[:, None]
    tail = np.logspace(-12, -2, 60)
    shares = np.concatenate([tail, np.linspace(0.01, 0.99, 120), 1 - tail[::-1]])
    nodes = np.unique(special.logit(np.clip(special.betaincinv(a, b, shares), 1e-300, 1 - 1e-16)))
    return integrated(
        nodes,
        lambda y: a * y - (a + b) * np.logaddexp(0, y) - special.betaln(a, b),
        lambda y: np.log(np.maximum(special.betainc(a, b, special.expit(y)), 1e-320)),
    )


def normals():
    rng = np.random.default_rng(11)
    for k in (2, 3, 5, 17, 60):
        yield f"{k} alike", np.zeros(k), np.ones(k)
        yield f"{k} unlike", rng.normal(size=k), np.exp(rng.normal(size=k))
        yield f"{k} of all scales", rng.normal(size=k), 10.0 ** rng.uniform(-4, 0.5, size=k)
        yield (
            f"{k}, one of them new",
            np.append(rng.normal(size=k - 1) * 1e-3, 0.0),
            np.append(np.full(k - 1, 1e-3), 1.0),
        )
        yield f"{k} tiny", 0.05 + rng.normal(size=k) * 1e-4, 10.0 ** rng.uniform(-5, -3, size=k)
    yield "200 unlike", rng.normal(size=200), np.exp(rng.normal(size=200))
    yield "200 far from 0", 1e5 + rng.normal(size=200), np.exp(rng.normal(size=200))


@pytest.mark.parametrize(("means", "sds"), [pytest.param(m, s, id=i) for i, m, s in normals()])
def test_normals_are_integrated_to_four_digits(means, sds):
    assert normal_argmax(means, sds) == pytest.approx(true_normal(means, sds), abs=ERROR)


@pytest.mark.parametrize("seed", range(20))
def test_betas_are_integrated_to_four_digits(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 12))
    lessons = 10.0 ** rng.uniform(0, 6, size=k)
    rate = 0.02 if seed % 2 else rng.uniform(0.01, 0.99)
    rates = np.clip(rate * (1 + 0.2 * rng.normal(size=k) / np.sqrt(1 + lessons / 100)), 0, 1)
    alphas, betas = (1 + lessons * rates).tolist(), (1 + lessons * (1 - rates)).tolist()
    assert beta_argmax(alphas, betas) == pytest.approx(true_beta(alphas, betas), abs=ERROR)


def test_two_normals_are_as_the_closed_form_says():
    """Φ(Δ/√(σ² + τ²)), here with Δ = 0.3, σ = 0.3, τ = 0.4: Φ(0.6)."""
    assert normal_argmax(np.array([0.3, 0.0]), np.array([0.3, 0.4]))[0] == pytest.approx(
        special.ndtr(0.6), abs=ERROR
    )


def test_it_agrees_with_counted_samples():
    rng = np.random.default_rng(3)
    alphas, betas, n = [3.0, 5.5, 20.0, 1.0], [9.0, 20.0, 80.0, 4.0], 200_000
    wins = np.bincount(rng.beta(alphas, betas, size=(n, 4)).argmax(axis=1), minlength=4)
    for p, won in zip(beta_argmax(alphas, betas), wins, strict=True):
        assert abs(won / n - p) <= 4.4 * math.sqrt(p * (1 - p) / n) + ERROR


@pytest.mark.parametrize("k", [1, 2, 17, 200, 1000])
def test_equal_variables_share_equally(k):
    assert normal_argmax(np.zeros(k), np.ones(k)) == pytest.approx([1 / k] * k, rel=1e-9)
    assert beta_argmax([2.0] * k, [3.0] * k) == pytest.approx([1 / k] * k, rel=1e-9)


def test_what_can_not_be_the_largest_gets_nothing_and_costs_no_precision():
    assert normal_argmax(np.array([0.0, 1e9]), np.array([1.0, 1e-6])) == [0.0, 1.0]
    first, second, far = normal_argmax(np.array([0.0, 0.0, -1e6]), np.array([1.0, 1.0, 1e-3]))
    assert (first, second, far) == (pytest.approx(0.5), pytest.approx(0.5), 0.0)


def test_order_of_the_variables_does_not_matter():
    rng = np.random.default_rng(5)
    means, sds = rng.normal(size=30), np.exp(rng.normal(size=30))
    backwards = normal_argmax(means[::-1], sds[::-1])
    assert normal_argmax(means, sds) == pytest.approx(backwards[::-1], abs=1e-12)
