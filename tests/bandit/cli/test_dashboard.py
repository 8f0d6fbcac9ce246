"""`bandit dashboard`: what it refuses, and what it hands to Streamlit."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from bandit.cli.dashboard import OPTIONS, command, streamlit_arguments


def test_it_is_not_reachable_from_other_machines():
    got = CliRunner().invoke(command, ["--host", "0.0.0.0"])
    assert got.exit_code == 2
    assert "must be loopback" in got.stderr


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
