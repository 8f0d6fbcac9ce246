import math

import numpy as np
import pytest

from bandit.policies.features import Features, features_of
from bandit.policies.kernel import FIRST, Kernel, Measures, Seen

NONE = Features((), ())


def product(kernel: Kernel, one: bytes, other: bytes) -> float:
    [x], [y] = (kernel.vectors(features_of(raw)) for raw in (one, other))
    return float(x[1:] @ y[1:])


def test_products_are_a_gaussian_kernel_of_texts():
    """Two of two texts differ: a squared distance of 4/2 after dividing by √2."""
    kernel = Kernel(waves=256, width=0.8)
    found = product(kernel, b'{"a":"x","b":"x"}', b'{"a":"y","b":"y"}')
    assert found == pytest.approx(math.exp(-(0.8**2) * 2.0 / 2.0), abs=0.12)
    assert product(kernel, b'{"a":"x"}', b'{"a":"x"}') == pytest.approx(1.0, abs=1e-7)


def test_cosines_are_those_of_the_library():
    kernel = Kernel(waves=8, width=3.0)
    raw = features_of(b'{"a":"x","b":"y","c":"z"}')
    [vector] = kernel.vectors(raw)
    waves = vector[1:] * math.sqrt(8)
    assert np.abs(waves[:8] ** 2 + waves[8:] ** 2 - 1.0).max() < 1e-7


def test_numbers_are_taken_in_standard_deviations_and_cut():
    seen = Seen(0, 0.0, 0.0)
    assert scaled(seen, 7.0) == 0.0
    for value in (1.0, 3.0):
        seen = seen.with_value(value)
    assert seen == Seen(2, 2.0, 2.0)
    assert scaled(seen, 3.5) == pytest.approx(1.5)
    assert scaled(seen, 4e9) == 5.0
    assert scaled(seen, -4e9) == -5.0


def scaled(seen: Seen, value: float) -> float:
    return float(Measures(np.array([seen.mean]), np.array([seen.sd])).scaled([value])[0])


def test_means_are_frozen_after_the_first_lessons():
    kernel = Kernel(waves=8, width=0.5)
    for turn in range(FIRST):
        kernel.look_at(features_of(b'{"x":%d}' % (turn % 2)), NONE)
    frozen = dict(kernel.seen)
    assert not kernel.look_at(features_of(b'{"x":1000}'), NONE)
    assert kernel.seen == frozen
    assert frozen["x"].n == FIRST


def test_a_context_and_an_action_may_have_features_of_one_name():
    kernel = Kernel(waves=64, width=1.0)
    context, action = Features(("a=1",), (1.0,)), Features(("b=1",), (1.0,))
    [here], [there] = kernel.vectors(context, [action]), kernel.vectors(action, [context])
    assert float(here[1:] @ there[1:]) < 0.9


def test_an_action_without_features_has_the_context_s_vector():
    kernel = Kernel(waves=16, width=0.5)
    context = features_of(b'{"hour":"9"}')
    assert (
        kernel.vectors(context, [NONE, NONE]).tolist() == [kernel.vectors(context)[0].tolist()] * 2
    )
