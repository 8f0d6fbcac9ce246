"""Problem documents: one table, and nothing told that should not be."""

from collections.abc import Iterator

import pytest

from api.problems import STATUS, problem_of
from bandit import errors
from bandit.errors import BanditError


def all_errors(root: type[BanditError] = BanditError) -> Iterator[type[BanditError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from all_errors(child)


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_code(kind: type[BanditError]) -> None:
    assert 400 <= STATUS[kind] <= 503
    assert kind.code
    assert kind is BanditError or kind.code != BanditError.code


def test_code_belongs_to_one_error() -> None:
    codes = [kind.code for kind in all_errors()]
    assert len(codes) == len(set(codes))


def test_message_is_told_with_its_place() -> None:
    problem = problem_of(errors.RecordError("value is 3, must be 2 - at `$[1].value`"))
    assert (problem.type, problem.status) == ("bad_record", 400)
    assert (problem.detail, problem.place) == ("value is 3, must be 2", "$[1].value")


@pytest.mark.parametrize(
    "exc",
    [KeyError("/root/secret"), errors.StoreRejected("SELECT secret"), errors.BadPmf("secret")],
)
def test_fault_of_ours_tells_nothing(exc: Exception) -> None:
    problem = problem_of(exc)
    assert problem.status == 500
    assert "secret" not in str(problem)


def test_store_that_does_not_answer_is_not_told_where_it_is() -> None:
    """The driver's error names host and port; what we say ourselves is told as it is."""
    away = errors.StoreUnavailable("Error HTTPConnectionPool(host='10.0.0.7', port=8123)")
    away.__cause__ = OSError("10.0.0.7")
    problem = problem_of(away)
    assert (problem.status, problem.type) == (503, "store_unavailable")
    assert "10.0.0.7" not in str(problem)
    ours = problem_of(errors.StoreUnavailable("definitions are not loaded yet"))
    assert ours.detail == "definitions are not loaded yet"
