import math

import numpy as np
import pytest

from bandit.assign import bucket
from bandit.specs import BUCKETS

UNITS = 1_000_000


@pytest.fixture(scope="module")
def buckets() -> np.ndarray:
    return np.array([bucket("exp-7", f"user-{i}") for i in range(UNITS)])


def z_of_chi_square(observed: np.ndarray, expected: float) -> float:
    """Wilson & Hilferty 1931: (χ²/df)^⅓ is nearly normal."""
    df = observed.size - 1
    chi_square = float(((observed - expected) ** 2 / expected).sum())
    return ((chi_square / df) ** (1 / 3) - (1 - 2 / (9 * df))) / math.sqrt(2 / (9 * df))


def test_bucket_has_its_published_values():
    # The published values of the formula: `STYLE.md`, house rule 7.
    assert [bucket("exp-7", f"user-{i}") for i in range(3)] == [7655, 3369, 6366]


def test_bucket_takes_utf_8():
    # By hand: python3 -c "int(sha256('exp-7:ж😀'.encode()).hexdigest()[:16], 16) % 10000"
    assert bucket("exp-7", "ж😀") == 4705


def test_buckets_are_uniform(buckets):
    counts = np.bincount(buckets, minlength=BUCKETS)
    assert counts.size == BUCKETS
    assert abs(z_of_chi_square(counts, UNITS / BUCKETS)) < 4.4


def test_two_salts_give_independent_buckets(buckets):
    others = np.array([bucket("exp-8", f"user-{i}") for i in range(UNITS)])
    table, _, _ = np.histogram2d(buckets, others, bins=100, range=[[0, BUCKETS], [0, BUCKETS]])
    assert abs(z_of_chi_square(table.ravel(), UNITS / table.size)) < 4.4


def test_a_salt_that_ends_like_another_begins_gives_other_buckets():
    pairs = [(bucket("a", f"b{i}"), bucket("ab", f"{i}")) for i in range(100)]
    assert sum(one == other for one, other in pairs) < 5
