"""The small worlds of `tests/data/ope_cases.json`, by their formulas."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bandit.ope import LoggedBatch, SlateBatch

Array = NDArray[np.float64]


def uniforms(seed: int, n: int) -> Array:
    """`n` outputs of the linear congruential generator, after ten that are discarded."""
    return np.fromiter(_lcg(seed, n + 10), float, n + 10)[10:]


def _lcg(seed: int, n: int) -> Iterator[float]:
    x = seed
    for _ in range(n):
        x = (1664525 * x + 1013904223) % 2**32
        yield x / 2**32


def softmax(scores: Array) -> Array:
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def drawn(pmf: Array, u: Array) -> NDArray[np.int64]:
    return np.argmax(u[..., None] < np.cumsum(pmf, axis=-1), axis=-1)


def taken(matrix: Array, action: NDArray[np.int64]) -> Array:
    return np.take_along_axis(matrix, action[..., None], axis=-1)[..., 0]


def world_a(n: int, k: int, seed: int, beta_b: float, beta_e: float) -> dict[str, Array]:
    x, u_action, u_reward = uniforms(seed, 3 * n).reshape(n, 3).T
    s = np.sin(2 * x[:, None] + np.arange(k))
    q = 0.15 + 0.35 * (1 + s) / 2 + 0.05 * np.arange(k) / k
    logged, target = softmax(beta_b * s), softmax(4 * beta_e * q)
    action = drawn(logged, u_action)
    return {
        "x": x,
        "action": action,
        "propensity": taken(logged, action),
        "reward": (u_reward < taken(q, action)).astype(float),
        "target_pmf": target,
        "logged_pmf": logged,
        "predictions": 0.8 * q + 0.05,
        "truth": (target * q).sum(axis=1),
    }


def world_b(n: int, k: int, seed: int, eps: float) -> dict[str, Array]:
    x, u_action, u_reward = uniforms(seed, 3 * n).reshape(n, 3).T
    q = 0.02 + 0.04 * np.abs(np.sin(3 * x[:, None] + 0.7 * np.arange(k)))
    greedy = np.floor(x * k).astype(int) % k
    logged = np.full((n, k), eps / k)
    logged[np.arange(n), greedy] += 1 - eps
    target = np.eye(k)[q.argmax(axis=1)]
    action = drawn(logged, u_action)
    return {
        "x": x,
        "action": action,
        "propensity": taken(logged, action),
        "reward": (u_reward < taken(q, action)).astype(float),
        "target_pmf": target,
        "logged_pmf": logged,
        "predictions": 0.03 + 0.5 * (q - 0.04),
        "truth": (target * q).sum(axis=1),
    }


def world_c(n: int, k: int, seed: int) -> dict[str, Array]:
    x, u_action, noise = uniforms(seed, 3 * n).reshape(n, 3).T
    q = 0.6 * np.cos(4 * x[:, None] - np.arange(k))
    logged = np.full((n, k), 1 / k)
    target = 0.8 * np.eye(k)[q.argmax(axis=1)] + 0.2 / k
    action = drawn(logged, u_action)
    return {
        "x": x,
        "action": action,
        "propensity": taken(logged, action),
        "reward": taken(q, action) + 0.8 * (noise - 0.5),
        "target_pmf": target,
        "logged_pmf": logged,
        "predictions": 0.5 * q,
        "truth": (target * q).sum(axis=1),
    }


def batch_of(world: dict[str, Array], **more: object) -> LoggedBatch:
    """A batch of a world, without its truth (and without what `more` sets to None)."""
    fields = {name: world[name] for name in world if name not in {"x", "truth"}} | more
    return LoggedBatch.of(**fields)  # type: ignore[arg-type]


def world_s(n: int, k: int, slots: int, seed: int) -> tuple[SlateBatch, Array]:
    """A batch of slates, and its actions."""
    u = uniforms(seed, n * (1 + 2 * slots)).reshape(n, 1 + 2 * slots)
    x, u_action, u_reward = u[:, 0], u[:, 1::2], u[:, 2::2]
    place = np.arange(k) + 0.5 * np.arange(slots)[:, None]
    s = np.sin(3 * x[:, None, None] + place)
    logged, target = softmax(0.7 * s), softmax(1.6 * s)
    action = drawn(logged, u_action)
    chance = 0.1 + 0.4 * (1 + taken(s, action)) / 2
    reward = np.zeros((n, slots))
    for slot in range(slots):
        before = reward[:, slot - 1] if slot else 0.0
        reward[:, slot] = u_reward[:, slot] < chance[:, slot] - 0.1 * before
    q = np.broadcast_to(0.1 + 0.3 * (1 + np.sin(0.9 + place)) / 2, target.shape)
    batch = SlateBatch.of(
        propensity=taken(logged, action),
        target=taken(target, action),
        reward=reward,
        predicted=taken(q, action),
        direct=(target * q).sum(axis=2),
    )
    return batch, action
