"""Every claim in its short version, seeded; the full studies' figures are in sims/README.md."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

import msgspec
import pytest

from sims.scenarios import SCENARIOS
from sims.scenarios.base import Finding, Scenario
from tests.sims.scenarios.readme import CLAIMS

REFUTED = {"ope-heldout": "(ours − best) ÷ best"}
"""Figures that full studies refuted: sims/README.md says so, and the command ends with 1."""


@pytest.fixture(scope="module")
def findings() -> dict[str, Finding]:
    return {one.name: one.run(7, one.short) for one in SCENARIOS}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_claim_is_not_refuted_by_its_short_version(
    scenario: Scenario, findings: dict[str, Finding]
) -> None:
    finding = findings[scenario.name]
    failed = [figure.name for figure in finding.figures if figure.holds == "no"]
    known = REFUTED.get(scenario.name)
    assert [name for name in failed if known is None or known not in name] == []
    assert any(figure.holds for figure in finding.figures), "nothing was claimed"
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


def figure(finding: Finding, *words: str) -> float:
    """The value of the one figure whose name has all of the words."""
    [found] = [one.value for one in finding.figures if all(word in one.name for word in words)]
    return found


def test_relative_interval_by_the_delta_method_does_not_survive_peeking(
    findings: dict[str, Finding],
) -> None:
    """What ours is better than: if it had 5 %, holding 5 % would show nothing."""
    assert figure(findings["peeking"], "revenue", "delta") > 0.1
    assert figure(findings["peeking"], "normal", "Welch") > 0.3


def test_plain_means_after_thompson_sampling_cover_less_than_scores(
    findings: dict[str, Finding],
) -> None:
    found = findings["adaptive"]
    for actions in ("3 equal actions, floor .01", "2 equal actions"):
        assert figure(found, actions, "plain") < figure(found, actions, "AIPW covers")


class Elsewhere(Executor):
    """Work goes away and comes back as bytes, and is done last first, as processes might."""

    def map(  # type: ignore[override]
        self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: object
    ) -> Iterator[Any]:
        jobs = [pickle.dumps((fn, given)) for given in zip(*iterables, strict=True)]
        done = {}
        for number in reversed(range(len(jobs))):
            sent, given = pickle.loads(jobs[number])
            done[number] = pickle.loads(pickle.dumps(sent(*given)))
        return iter([done[number] for number in range(len(jobs))])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_numbers_do_not_depend_on_where_the_blocks_run(scenario: Scenario) -> None:
    n = min(5, scenario.short + 1)  # an odd number of those that are dear
    assert scenario.run(3, n, Elsewhere()) == scenario.run(3, n)


def test_names_are_different_and_every_claim_is_in_the_readme() -> None:
    names = [one.name for one in SCENARIOS]
    assert len(set(names)) == len(names)
    assert set(names) <= set(CLAIMS)
