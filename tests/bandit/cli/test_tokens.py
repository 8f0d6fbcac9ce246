"""`bandit tokens`: rotates and shows keys, and never their secrets."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bandit.cli.tokens import command
from bandit.service.token_keys import TokenKeyFile


@pytest.fixture
def file(tmp_path: Path) -> TokenKeyFile:
    return TokenKeyFile(tmp_path / "secrets" / "token_keys.json")


def tokens(tmp_path: Path, *arguments: str, **environ: str) -> Result:
    environ = {"BANDIT_DATA_DIR": str(tmp_path), **environ}
    return CliRunner(env=environ).invoke(command, arguments)


def test_first_look_makes_a_key_that_signs(tmp_path: Path, file: TokenKeyFile) -> None:
    (line,) = tokens(tmp_path, "show").output.splitlines()
    (key,) = file.read()
    assert line == f"{key.kid}  signs"


def test_rotating_adds_a_key_that_signs_later_and_shows_no_secret(
    tmp_path: Path, file: TokenKeyFile
) -> None:
    shown = tokens(tmp_path, "rotate", "--after", "3600")
    old, new = file.read()
    first, second = shown.output.splitlines()
    assert first.startswith(f"{old.kid}  signs, until ")
    assert second.startswith(f"{new.kid}  signs from ")
    assert not [key for key in (old, new) if key.secret in shown.output]


def test_revoking_leaves_one_key_that_signs_at_once(tmp_path: Path, file: TokenKeyFile) -> None:
    tokens(tmp_path, "rotate")
    before = {key.kid for key in file.read()}
    assert tokens(tmp_path, "rotate", "--revoke").output.endswith("  signs\n")
    (key,) = file.read()
    assert key.kid not in before


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    told = tokens(tmp_path, "rotate", BANDIT_TOKEN_KEYS_FILE=missing)
    assert told.exit_code == 1
    assert "no such file" in told.output
