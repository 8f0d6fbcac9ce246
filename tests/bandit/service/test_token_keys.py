"""The file of the token keys: made once, changed at once, never told."""

import logging
import os
from pathlib import Path

import pytest

from bandit.errors import BadToken, SettingsError
from bandit.service.token_keys import TokenKeyFile, new_key, rotated, tokens_of
from bandit.service.tokens import ACCEPTED_MS
from bandit.settings import Settings
from tests.bandit.service.making import NOW_MS, SALT, counting_entropy
from tests.bandit.service.test_tokens import EVENT, NEW, NEXT, OLD


def test_first_use_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    file = TokenKeyFile.of(settings, os.urandom)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    again = TokenKeyFile.of(settings, os.urandom)
    assert again.read() == file.read()
    assert [path.name for path in file.path.parent.iterdir()] == ["token_keys.json"]


def test_second_process_that_makes_a_key_gets_the_first_ones(tmp_path: Path) -> None:
    file = TokenKeyFile(tmp_path / "keys.json")
    file.write([OLD], counting_entropy(), only_if_new=True)
    file.write([NEW], counting_entropy(), only_if_new=True)
    assert file.read() == [OLD]


def test_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, token_keys_file=tmp_path / "none.json")
    with pytest.raises(SettingsError, match="no such file"):
        TokenKeyFile.of(settings, os.urandom)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"keys":[]}', b'{"keys":[{"kid":"k-01","secret":"beef","signs_from_ms":0}]}'],
)
def test_file_that_holds_no_keys_is_refused_without_telling_what_it_holds(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="no keys that can be used") as caught:
        TokenKeyFile(path).read()
    assert "beef" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_workers_take_over_a_changed_file_and_keep_what_they_have_while_it_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    file = TokenKeyFile(path)
    file.write([OLD], os.urandom)
    settings = Settings(data_dir=tmp_path, token_keys_file=path)
    tokens, refresh = tokens_of(settings, os.urandom, salt=SALT)
    token = tokens.sign(EVENT, "home.feed", "u", NOW_MS)
    with caplog.at_level(logging.ERROR):
        path.write_bytes(b"half a fi")
        refresh()
        path.unlink()
        refresh()
    assert len(caplog.records) == 2
    assert tokens.read(token, EVENT, "home.feed", NOW_MS)
    file.write([NEXT], os.urandom)
    refresh()
    with pytest.raises(BadToken):
        tokens.read(token, EVENT, "home.feed", NOW_MS)


def test_rotation_keeps_what_is_accepted_and_drops_what_is_not() -> None:
    fresh = new_key(counting_entropy(), NOW_MS + ACCEPTED_MS)
    assert rotated([OLD, NEW], NEXT, now_ms=NOW_MS) == [OLD, NEW, NEXT]
    assert rotated([OLD, NEW, NEXT], fresh, now_ms=NOW_MS + ACCEPTED_MS) == [NEW, NEXT, fresh]
    assert rotated([OLD, NEW], fresh, now_ms=NOW_MS, revoke=True) == [fresh]


def test_rotating_again_before_the_new_key_signs_replaces_it() -> None:
    sooner = new_key(counting_entropy(), NOW_MS + 1)
    assert rotated([OLD, NEXT], sooner, now_ms=NOW_MS) == [OLD, sooner]
