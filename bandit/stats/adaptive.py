"""Means of actions and policies from a log whose probabilities moved with its results.

Plain means of such a log are biased, and their intervals cover 87 to 92 % at nominal 95 %. Scores
that are weighted by the logged propensities are not biased; weights that even out their variance
bring the coverage back.

>>> import numpy as np
>>> from bandit.stats.adaptive import aipw_scores, running_means, weighted_means
>>> rng = np.random.default_rng(1)
>>> arms = rng.integers(0, 2, 1000)
>>> rewards = rng.normal(1.0 + 0.2 * arms)
>>> propensities = np.full((1000, 2), 0.5)
>>> scores = aipw_scores(arms, rewards, propensities, running_means(arms, rewards, 2))
>>> found = weighted_means(scores)
>>> contrast = found.contrast(1, 0)
>>> f"{contrast.effect:+.3f} [{contrast.effect_ci_low:+.3f}, {contrast.effect_ci_high:+.3f}]"
'+0.153 [+0.022, +0.284]'
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from bandit.errors import NotEnoughData
from bandit.records import Record
from bandit.stats.estimate import Estimate
from bandit.stats.joint import Matrix, to_matrix
from bandit.stats.sequential.checks import check_level

Floats = npt.NDArray[np.float64]
Kind = Literal["uniform", "stable_variance", "minimum_variance", "two_point"]


class Contrast(Record, frozen=True, kw_only=True):
    """One value less another, with its interval.

    Attributes:
        effect: The difference.
        effect_ci_low, effect_ci_high: Its interval; None with a reason.
        std_error: Of the difference.
        p_value: Of no difference.
        alpha: 1 − the level.
        reason: `no_variance`.
    """

    effect: float
    effect_ci_low: float | None = None
    effect_ci_high: float | None = None
    std_error: float
    p_value: float | None = None
    alpha: float
    reason: Literal["no_variance"] | None = None


class AdaptiveMeans(Record, frozen=True, kw_only=True):
    """Values of actions (or policies) from an adaptive log.

    Attributes:
        n: Decisions.
        values: Estimate per action.
        covariance: Of the estimates; its diagonal holds their variances.
        weights: Kind of weights.
    """

    n: int
    values: tuple[float, ...]
    covariance: Matrix
    weights: str

    @property
    def std_errors(self) -> tuple[float, ...]:
        """Square roots of the covariance's diagonal."""
        return tuple(math.sqrt(row[k]) for k, row in enumerate(self.covariance))

    def estimate(
        self,
        control: int,
        treatment: int,
        drawn: Sequence[int],
        effective: Sequence[float] | None = None,
    ) -> Estimate:
        """Two of the actions as what every test takes.

        Args:
            control: The action to compare with.
            treatment: The action compared.
            drawn: How often each action was drawn.
            effective: How many draws its weights leave (`effective_draws`), for the degrees of
                freedom: a variance that rests on a few heavy draws is itself known badly. None:
                as many as were drawn.
        """
        at = (control, treatment)
        worth = drawn if effective is None else effective
        return Estimate(
            n=tuple(drawn[j] for j in at),
            values=tuple(self.values[j] for j in at),
            covariance=tuple(tuple(self.covariance[i][j] for j in at) for i in at),
            dfs=tuple(max(float(worth[j]) - 1.0, 1.0) for j in at),
            kind="adaptive_mean",
        )

    def interval(self, action: int, *, alpha: float = 0.05) -> tuple[float, float]:
        """Normal interval of one value."""
        check_level(alpha)
        reach = -float(ndtri(alpha / 2.0)) * self.std_errors[action]
        return self.values[action] - reach, self.values[action] + reach

    def contrast(self, treatment: int, control: int, *, alpha: float = 0.05) -> Contrast:
        """Value of one action less another's, their covariance included."""
        check_level(alpha)
        v = self.covariance
        variance = v[treatment][treatment] - 2.0 * v[treatment][control] + v[control][control]
        effect, std_error = (
            self.values[treatment] - self.values[control],
            math.sqrt(max(variance, 0.0)),
        )
        if std_error == 0.0:
            return Contrast(effect=effect, std_error=0.0, alpha=alpha, reason="no_variance")
        reach = -float(ndtri(alpha / 2.0)) * std_error
        return Contrast(
            effect=effect,
            effect_ci_low=effect - reach,
            effect_ci_high=effect + reach,
            std_error=std_error,
            p_value=2.0 * float(ndtr(-abs(effect) / std_error)),
            alpha=alpha,
        )


def running_means(arms: npt.ArrayLike, rewards: npt.ArrayLike, k: int) -> Floats:
    """What each action had earned before each decision, `(n, k)`; 0 before its first reward.

    A prediction may use only the past, or the scores are no longer free of bias.

    >>> running_means([0, 1, 0], [2.0, 5.0, 4.0], 2).tolist()
    [[0.0, 0.0], [2.0, 0.0], [2.0, 5.0]]
    """
    drawn, earned = np.asarray(arms, dtype=int), np.asarray(rewards, dtype=float)
    seen = np.zeros((drawn.size, k))
    seen[np.arange(drawn.size), drawn] = 1.0
    counts = np.cumsum(seen, axis=0) - seen
    sums = np.cumsum(seen * earned[:, None], axis=0) - seen * earned[:, None]
    means: Floats = sums / np.maximum(counts, 1.0)
    return means


def running_regression(rewards: npt.ArrayLike, covariate: npt.ArrayLike) -> Floats:
    """Prediction of each reward from a covariate, by the least-squares line of those before it.

    One line for all actions: (n,); 0 before the first reward, the mean until the covariate moves.

    >>> running_regression([1.0, 3.0, 5.0, 9.0], [0.0, 1.0, 2.0, 4.0]).tolist()
    [0.0, 1.0, 5.0, 9.0]
    """
    y, x = np.asarray(rewards, dtype=float), np.asarray(covariate, dtype=float)
    found = np.zeros(y.size)
    mean_x = mean_y = square = cross = 0.0
    for t in range(y.size):
        slope = cross / square if square > 0.0 else 0.0
        found[t] = mean_y + slope * (x[t] - mean_x)
        gap = x[t] - mean_x  # Welford's update: no digits lost at a large mean
        mean_x += gap / (t + 1)
        mean_y += (y[t] - mean_y) / (t + 1)
        square += gap * (x[t] - mean_x)
        cross += gap * (y[t] - mean_y)
    return found


def aipw_scores(
    arms: npt.ArrayLike,
    rewards: npt.ArrayLike,
    propensities: npt.ArrayLike,
    predictions: npt.ArrayLike | None = None,
) -> Floats:
    """Score of every action at every decision: 1{A = w}·(Y − m_w)/e_w + m_w.

    Its mean given the past is the action's value, whatever the policy did, if e is the probability
    that was drawn from and m uses only the past. Without predictions it is the plain IPW score,
    which is far noisier.

    Args:
        arms: Action drawn at each decision, as a column of `propensities`, `(n,)`.
        rewards: `(n,)`.
        propensities: Logged probability of every action, `(n, k)`; above 0 for the drawn one.
        predictions: m, `(n, k)`, made from earlier decisions only; None is 0.

    Raises:
        ValueError: Shapes do not fit, or the probability of a drawn action is not in (0, 1].

    Source: Hadad, Hirshberg, Zhan, Wager, Athey (2021), "Confidence intervals for policy evaluation
    in adaptive experiments" (1911.02768), the AIPW score.

    >>> aipw_scores([0, 1], [1.0, 3.0], [[0.5, 0.5], [0.2, 0.8]], [[0.0, 2.0], [1.0, 2.0]]).tolist()
    [[2.0, 2.0], [1.0, 3.25]]
    """
    drawn, y = np.asarray(arms, dtype=int), np.asarray(rewards, dtype=float)
    e = np.asarray(propensities, dtype=float)
    m = np.zeros_like(e) if predictions is None else np.asarray(predictions, dtype=float)
    if e.ndim != 2 or drawn.shape != e.shape[:1] or y.shape != drawn.shape or m.shape != e.shape:
        raise ValueError(
            f"arms {drawn.shape}, rewards {y.shape}, propensities {e.shape} and predictions "
            f"{m.shape} must have shapes (n,), (n,), (n, k) and (n, k)"
        )
    rows = np.arange(drawn.size)
    of_drawn = e[rows, drawn]
    if not np.all((of_drawn > 0.0) & (of_drawn <= 1.0)):
        raise ValueError("propensities of drawn actions must be in (0, 1]")
    scores: Floats = m.copy()
    scores[rows, drawn] += (y - m[rows, drawn]) / of_drawn
    return scores


def effective_draws(
    arms: npt.ArrayLike, propensities: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> tuple[float, ...]:
    """How many equal draws each action's are worth: (Σ h/e)² ÷ Σ (h/e)² over its own draws.

    After Thompson sampling with three unequal actions, 1,000 decisions, t intervals with these
    degrees of freedom covered 94.6 % where normal ones covered 91.8 %.

    Args:
        arms: Action drawn at each decision, `(n,)`.
        propensities: Logged probability of every action, `(n, k)`.
        weights: h of `weighted_means`, `(n, k)`; None is 1.

    Returns:
        Per action; 0 for one that was never drawn.

    Source: Kish (1965), "Survey sampling", sec. 11.7 (effective sample size).

    >>> effective_draws([0, 0, 1], [[0.5, 0.5], [0.5, 0.5], [0.8, 0.2]])
    (2.0, 1.0)
    """
    drawn, e = np.asarray(arms, dtype=int), np.asarray(propensities, dtype=float)
    h = np.ones_like(e) if weights is None else np.asarray(weights, dtype=float)
    rows = np.arange(drawn.size)
    each = h[rows, drawn] / e[rows, drawn]
    k = e.shape[1]
    sums = np.bincount(drawn, each, k)
    squares = np.bincount(drawn, each**2, k)
    worth = np.divide(sums**2, squares, out=np.zeros(k), where=squares > 0.0)
    return tuple(worth.tolist())


def policy_scores(scores: npt.ArrayLike, target: npt.ArrayLike) -> Floats:
    """Score of a policy at every decision: Σ_w π(w)·score_w, `(n, 1)`.

    Args:
        scores: Of the actions, `(n, k)`.
        target: The policy's probabilities in each decision's context, `(n, k)`.
    """
    mixed: Floats = (np.asarray(scores) * np.asarray(target)).sum(axis=1, keepdims=True)
    return mixed


def predictable(propensities: npt.ArrayLike, window: int = 100) -> Floats:
    """Propensities as the past saw them: the mean of up to `window` decisions before each.

    Weights of a decision must not depend on its own context, which would bias the estimate. Where
    the logging policy is contextual, make the *weights* of these, and the scores of the real ones.

    >>> predictable([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]], window=2).round(3).tolist()
    [[0.5, 0.5], [0.2, 0.8], [0.3, 0.7]]
    """
    e = np.asarray(propensities, dtype=float)
    sums = np.concatenate([np.zeros((1, e.shape[1])), np.cumsum(e, axis=0)])
    at = np.arange(e.shape[0])
    first = np.maximum(at - window, 0)
    means = (sums[at] - sums[first]) / np.maximum(at - first, 1)[:, None]
    means[:1] = 1.0 / e.shape[1]
    found: Floats = means
    return found


def action_weights(propensities: npt.ArrayLike, kind: Kind, *, decay: float = 0.7) -> Floats:
    """Weights that even out the variance of each action's scores, `(n, k)`.

    * uniform: 1; no bias at all, the widest.
    * stable_variance: √e; * minimum_variance: e; both for scores whose variance is about 1/e.
    * two_point: √(e·w), where w breaks a stick by λ_t = e/(T − t + 1) + (1 − e)·t^−a / (t^−a +
      (T^(1−a) − t^(1−a))/(1 − a)): the action's probability will go to 1, or die out like t^−a.
      The narrowest here: 34 to 44 % narrower than uniform after Thompson sampling.

    Args:
        propensities: `(n, k)`; of a contextual policy, `predictable` ones.
        kind: Which.
        decay: a of two_point, in (0, 1): how fast the policy's floor falls.

    Source: Hadad et al. (1911.02768), section 3 (constant and two-point allocation); Zhan, Hadad,
    Hirshberg, Athey (2021), "Off-policy evaluation via adaptive weighting with data from
    contextual bandits" (2106.02029), StableVar and MinVar.
    """
    e: Floats = np.asarray(propensities, dtype=float)
    if kind == "uniform":
        return np.ones_like(e)
    if kind == "stable_variance":
        roots: Floats = np.sqrt(e)
        return roots
    if kind == "minimum_variance":
        return e
    if not 0.0 < decay < 1.0:
        raise ValueError(f"decay is {decay!r}, must be in (0, 1)")
    n = e.shape[0]
    t = np.arange(1.0, n + 1.0)[:, None]
    stays = 1.0 / (n - t + 1.0)
    dying = t**-decay
    dies = dying / (dying + (n ** (1.0 - decay) - t ** (1.0 - decay)) / (1.0 - decay))
    share = np.clip(e * stays + (1.0 - e) * dies, 0.0, 1.0)
    left = np.cumprod(1.0 - share, axis=0)
    before = np.concatenate([np.ones((1, e.shape[1])), left[:-1]])
    weights: Floats = np.sqrt(before * share * e)
    return weights


def policy_weights(propensities: npt.ArrayLike, target: npt.ArrayLike, kind: Kind) -> Floats:
    """Weights of a policy's scores, `(n, 1)`: (Σ_w π²/e)^(−½) or, for minimum variance, ^(−1).

    Args:
        propensities: `(n, k)`; of a contextual policy, `predictable` ones.
        target: The policy's probabilities, `(n, k)`.
        kind: `uniform`, `stable_variance` or `minimum_variance`.

    Source: Zhan et al. (2106.02029), StableVar and MinVar.

    >>> policy_weights([[0.5, 0.5], [0.8, 0.2]], [[0, 1], [0, 1]], "minimum_variance").tolist()
    [[0.5], [0.2]]
    """
    e, pi = np.asarray(propensities, dtype=float), np.asarray(target, dtype=float)
    if kind == "two_point":
        raise ValueError("two_point weights are of actions, must be another kind for a policy")
    if kind == "uniform":
        return np.ones((e.shape[0], 1))
    # An action that the target never takes adds nothing, whatever its propensity.
    terms = np.divide(pi**2, e, out=np.where(pi > 0.0, np.inf, 0.0), where=e > 0.0)
    inflation = terms.sum(axis=1, keepdims=True)
    weights: Floats = inflation ** (-0.5 if kind == "stable_variance" else -1.0)
    return weights


def weighted_means(
    scores: npt.ArrayLike, weights: npt.ArrayLike | None = None, *, kind: str = "uniform"
) -> AdaptiveMeans:
    """Weighted means of scores with their covariance.

    value_w = Σ h·s/Σ h; covariance Σ ψ_v·ψ_w with ψ = h·(s − value)/Σ h

    Args:
        scores: `(n, k)`.
        weights: h, `(n, k)`, from earlier decisions and this one's propensities; None is 1.
        kind: The weights' name, for the record.

    Raises:
        NotEnoughData: Fewer than two decisions.
        ValueError: An action has no weight, or shapes do not fit.

    Source: Hadad et al. (1911.02768), the adaptively weighted estimator and its variance.

    >>> weighted_means([[1.0], [3.0], [2.0]], [[1.0], [1.0], [2.0]])
    AdaptiveMeans(n=3, values=(2.0,), covariance=((0.125,),), weights='uniform')
    """
    s = np.asarray(scores, dtype=float)
    h = np.ones_like(s) if weights is None else np.asarray(weights, dtype=float)
    if s.ndim != 2 or h.shape != s.shape:
        raise ValueError(f"scores {s.shape} and weights {h.shape} must have one shape (n, k)")
    if s.shape[0] < 2:
        raise NotEnoughData("a weighted mean", s.shape[0], 2)
    total = h.sum(axis=0)
    if not (np.all(total > 0.0) and np.isfinite(s).all()):
        raise ValueError("weights must sum to more than 0 for every action, scores be finite")
    values = (h * s).sum(axis=0) / total
    influence = h * (s - values) / total
    return AdaptiveMeans(
        n=s.shape[0],
        values=tuple(float(value) for value in values),
        covariance=to_matrix(influence.T @ influence),
        weights=kind,
    )
