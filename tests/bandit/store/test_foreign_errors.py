import inspect

import pytest
import urllib3.exceptions
from clickhouse_connect.driver import exceptions as driver

from bandit.errors import QueryCut, StoreError, StoreRejected, StoreUnavailable
from bandit.store.client import Store
from bandit.store.foreign_errors import CUT, NOT_NOW, WITHOUT_CODE, foreign_error, our_errors


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for _, kind in inspect.getmembers(driver, inspect.isclass)
        if kind.__module__ == driver.__name__
    ],
)
def test_every_error_of_the_driver_is_in_the_table(kind: type[Exception]) -> None:
    assert kind in WITHOUT_CODE


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for _, kind in inspect.getmembers(urllib3.exceptions, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, Warning | ValueError)
    ],
)
def test_every_error_of_the_transport_means_that_the_store_is_away(kind: type[Exception]) -> None:
    assert foreign_error(kind.__new__(kind)) is StoreUnavailable


@pytest.mark.parametrize("code", NOT_NOW)
def test_codes_that_pass_are_unavailable(code: int) -> None:
    assert foreign_error(driver.DatabaseError("busy", code=code)) is StoreUnavailable
    assert foreign_error(driver.StreamFailureError("busy", code=code)) is StoreUnavailable


@pytest.mark.parametrize("code", CUT)
def test_codes_of_what_took_too_much_say_so(code: int) -> None:
    assert foreign_error(driver.DatabaseError("busy", code=code)) is QueryCut


@pytest.mark.parametrize("code", [27, 36, 47, 62, 115, 117, 164, 349])
def test_all_other_codes_are_rejections(code: int) -> None:
    assert foreign_error(driver.DatabaseError("no", code=code)) is StoreRejected
    assert foreign_error(driver.OperationalError("no", code=code)) is StoreRejected


def test_codes_are_called_what_the_engine_calls_them(store: Store) -> None:
    for code, name in (NOT_NOW | CUT).items():
        assert store._client.command(f"SELECT errorCodeToName({code})") == name


@pytest.mark.parametrize("mistake", [TypeError, KeyError, AssertionError, AttributeError])
def test_programming_mistakes_stay_what_they_are(mistake: type[Exception]) -> None:
    with pytest.raises(mistake), our_errors("doing"):
        raise mistake


@pytest.mark.parametrize("kind", [StoreUnavailable, StoreRejected])
def test_our_own_errors_pass(kind: type[StoreError]) -> None:
    with pytest.raises(kind, match=r"^as it was$"), our_errors("doing"):
        raise kind("as it was")


def test_the_cause_and_what_was_done_are_kept() -> None:
    cause = driver.OperationalError("gone")
    with pytest.raises(StoreUnavailable, match=r"^doing: gone$") as caught, our_errors("doing"):
        raise cause
    assert caught.value.__cause__ is cause
