import os
import stat
from pathlib import Path

from bandit.secrets import secret


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    made = secret(tmp_path, "salt", os.urandom)
    assert len(made) == 64
    assert secret(tmp_path, "salt", os.urandom) == made
    assert secret(tmp_path, "other", os.urandom) != made


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    secret(tmp_path, "salt", os.urandom)
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "salt").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["salt"]


def test_a_secret_given_by_hand_is_used(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "salt").write_text("mine\n")
    assert secret(tmp_path, "salt", os.urandom) == "mine"


def test_of_two_that_make_it_at_once_the_first_wins(tmp_path: Path) -> None:
    others: list[str] = []

    def entropy(size: int) -> bytes:
        if size == 32 and not others:  # another process comes between our look and our link
            others.append("")
            others[0] = secret(tmp_path, "salt", os.urandom)
        return os.urandom(size)

    assert secret(tmp_path, "salt", entropy) == others[0]
