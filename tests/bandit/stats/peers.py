"""The peers' numbers, and how ours are held against them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FILE = json.loads((Path(__file__).parents[2] / "data" / "ab_cases_b.json").read_text())
BOUNDS = {"inf": np.inf, "-inf": -np.inf}


def cases(family: str) -> Any:
    """One parameter per case of a family, named as the file names it."""
    return pytest.mark.parametrize(
        "case", [pytest.param(c, id=c["id"]) for c in FILE["cases"] if c["family"] == family]
    )


def dataset(case: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that a case was computed from, as arrays."""
    found = FILE["datasets"][case["dataset"]]["data"]
    return {
        key: {name: np.asarray(column) for name, column in value.items()}
        if isinstance(value, dict)
        else np.asarray(value)
        for key, value in found.items()
    }


def pairs(case: Mapping[str, Any], n: int) -> dict[str, dict[str, Any]]:
    """The first n rows of a case in the order control[0], treatment[0], control[1], …"""
    half = n // 2
    return {
        variant: {name: column[:half] for name, column in columns.items()}
        for variant, columns in dataset(case).items()
    }


def same(got: Mapping[str, Any], case: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Assert every expected number at the case's own tolerance."""
    per_key = case["tolerance"].get("per_key", {})
    for key, value in expected.items():
        tolerance = case["tolerance"] | per_key.get(key, {})
        want = BOUNDS.get(value, value) if isinstance(value, str) else value
        np.testing.assert_allclose(
            np.asarray(got[key], dtype=float),
            np.asarray(want, dtype=float),
            rtol=tolerance.get("rtol", 0.0),
            atol=tolerance.get("atol", 0.0),
            err_msg=f"{case['id']}: {key} of {case['peer']['name']} {case['peer']['version']}",
        )
