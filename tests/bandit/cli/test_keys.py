"""`bandit keys` over a real store: made, shown once, listed, rotated, revoked."""

import re
import uuid

import pytest
from click.testing import CliRunner, Result

from bandit.cli.keys import command
from bandit.store.client import Store
from bandit.store.keys import Keys
from tests.conftest import Gateway


@pytest.fixture
def environ(gateway: Gateway) -> dict[str, str]:
    """Of a process that uses a database of its own, which nobody has made yet."""
    return {
        "BANDIT_DATA_DIR": str(gateway.data_dir),
        "BANDIT_GATEWAY_PORT": str(gateway.port),
        "BANDIT_CLICKHOUSE_DATABASE": f"keys_{uuid.uuid4().hex}",
    }


def run(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, env=environ)


def test_a_keys_life(gateway: Gateway, environ: dict[str, str]) -> None:
    made = run(environ, "create", "web", "--project", "shop", "--expires-in-days", "30")
    assert made.exit_code == 0, made.output
    text = made.stdout.strip()
    assert re.fullmatch(r"bandit_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", text)
    assert "only time" in made.stderr
    key_id = text[7:15]
    listed = run(environ, "list").stdout
    assert [word in listed for word in (key_id, "shop", "web", "rank, reward", "live")] == [
        True
    ] * 5
    assert text[16:] not in listed

    rotated = run(environ, "rotate", key_id, "--grace-hours", "0")
    assert rotated.exit_code == 0, rotated.output
    new_id = rotated.stdout.strip()[7:15]
    assert run(environ, "revoke", new_id).exit_code == 0
    listed = run(environ, "list", "--project", "shop").stdout
    states = {line.split()[0]: line for line in listed.splitlines()[1:]}
    assert "expired" in states[key_id]
    assert "revoked" in states[new_id]
    assert new_id not in run(environ, "list", "--project", "other").stdout

    store = Store.connect(gateway.url(), database=environ["BANDIT_CLICKHOUSE_DATABASE"])
    assert text not in str(store.rows("keys_newest"))
    assert {key.author for key in Keys(store).all()} == {"cli"}
    store.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "Web Shop"), "must be lower-case letters"),
        (("create", "web", "--scope", "everything"), "'everything' is not one of"),
        (("create", "web", "--rate-limit", "0"), "not in the range"),
        (("revoke", "00000000"), "'00000000' is not known"),
    ],
)
def test_what_can_not_be_is_said(
    environ: dict[str, str], arguments: tuple[str, ...], says: str
) -> None:
    got = run(environ, *arguments)
    assert got.exit_code != 0
    assert says in got.output
    assert "Traceback" not in got.output
