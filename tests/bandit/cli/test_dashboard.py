"""`bandit dashboard`: what it refuses, and what it hands to Streamlit."""

import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from bandit.cli.dashboard import OPTIONS, command, options_of, streamlit_arguments, write_oidc
from bandit.settings import Settings

OIDC = {
    "dashboard_url": "https://bandit.example.org/",
    "oidc_metadata_url": "https://id.example.org/.well-known/openid-configuration",
    "oidc_client_id": "dash",
    "oidc_client_secret": 'it\'s "secret" \\ ',
    "oidc_allowed": "@example.org",
}


def test_it_is_not_reachable_from_other_machines(monkeypatch: pytest.MonkeyPatch):
    for given, environ in ((["--host", "0.0.0.0"], {}), ([], {"BANDIT_DASHBOARD_HOST": "::"})):
        got = CliRunner().invoke(command, given, env=environ)
        assert got.exit_code == 2
        assert "must be loopback, or people must sign in" in got.stderr


def test_half_of_a_sign_in_is_refused_by_name():
    environ = {"BANDIT_OIDC_METADATA_URL": OIDC["oidc_metadata_url"]}
    got = CliRunner().invoke(command, [], env=environ)
    assert got.exit_code == 2
    assert "BANDIT_OIDC_CLIENT_ID" in got.stderr
    assert "BANDIT_OIDC_ALLOWED" in got.stderr


def test_what_oidc_needs_is_written_for_its_owner_only(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, **OIDC)  # type: ignore[arg-type]
    path = Path(options_of(settings)["secrets.files"])
    assert write_oidc(settings, lambda n: b"\1" * n) == path  # again: replaced
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = tomllib.loads(path.read_text())["auth"]
    assert told["redirect_uri"] == "https://bandit.example.org/oauth2callback"
    assert told["client_secret"] == OIDC["oidc_client_secret"]
    assert len(told["cookie_secret"]) == 64
    assert [found.name for found in path.parent.iterdir() if "oidc" in found.name] == [path.name]


def test_browsers_may_come_from_where_the_dashboard_is_said_to_be():
    options = options_of(Settings(dashboard_url="https://bandit.example.org"))
    assert options["browser.serverAddress"] == "bandit.example.org"
    assert options["browser.serverPort"] == "443"
    assert "secrets.files" not in options


def test_it_runs_our_application_where_it_was_told():
    arguments = streamlit_arguments("127.0.0.1", 8765)
    assert arguments[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert arguments[4].endswith("dashboard/app.py")
    assert {"--server.address=127.0.0.1", "--server.port=8765"} <= set(arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("browser.gatherUsageStats", "false"),
        ("client.showErrorDetails", "none"),
        ("server.fileWatcherType", "none"),
        ("server.headless", "true"),
    ],
)
def test_it_tells_nobody_and_watches_nothing(name: str, value: str):
    assert OPTIONS[name] == value


def test_streamlit_knows_every_option():
    known = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert [name for name in OPTIONS if f"--{name} " not in known] == []
