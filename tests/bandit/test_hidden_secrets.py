"""No secret is in the text of anything that a log line or a traceback may show."""

import os
from pathlib import Path

import pytest

from bandit.client import BanditClient
from bandit.service.accepting import AcceptingService
from bandit.service.serving_state import Serving
from bandit.service.token_keys import TokenKeyFile, new_key, rotated, tokens_of
from bandit.service.tokens import TokenKey, Tokens
from bandit.settings import Settings
from tests.bandit.service.making import MemoryJournal

SALT, SIGNING, PASSWORD, KEY = (
    "5ec4e7-salt",
    "5ec4e7" * 10 + "aaaa",
    "5ec4e7-password",
    "5ec4e7-key",
)
SECRETS = (SALT, SIGNING, PASSWORD, KEY)


@pytest.fixture
def things(tmp_path: Path) -> list[object]:
    key = TokenKey(kid="k-01", secret=SIGNING, signs_from_ms=0)
    file = TokenKeyFile(tmp_path / "keys.json")
    file.write([key], os.urandom)
    settings = Settings(
        data_dir=tmp_path,
        salt=SALT,
        token_keys_file=file.path,
        clickhouse_url=f"https://bandit:{PASSWORD}@host:8443",
    )
    tokens, refresh = tokens_of(settings, os.urandom, salt=SALT.encode())
    accepting = AcceptingService(
        Serving(),
        MemoryJournal(),  # type: ignore[arg-type]
        salt=SALT.encode(),
        now_ms=lambda: 0,
        entropy=os.urandom,
        tokens=tokens,
    )
    client = BanditClient("http://127.0.0.1:1", headers={"authorization": f"Bearer {KEY}"})
    client.close()
    later = rotated([key], new_key(os.urandom, 1), now_ms=0)
    return [settings, key, [key], file, file.read(), tokens, refresh, accepting, client, later,
            Tokens([key], salt=SALT.encode())]  # fmt: skip


def test_no_secret_is_in_any_text(things: list[object]) -> None:
    for thing in things:
        for text in (repr(thing), str(thing), f"{thing}"):
            assert not [secret for secret in SECRETS if secret in text], type(thing).__name__


def test_secrets_that_can_not_be_used_are_not_repeated(tmp_path: Path) -> None:
    environ = {"BANDIT_DATA_DIR": str(tmp_path), "BANDIT_SALT": SALT, "BANDIT_PORT": "none"}
    with pytest.raises(Exception, match="BANDIT_PORT") as caught:
        Settings.from_environ(environ)
    assert SALT not in str(caught.value)
