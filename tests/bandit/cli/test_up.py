import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from bandit.cli.up import PULSES, Address, addresses, children, command, environ_of
from bandit.settings import Settings


def test_children_get_exactly_these_settings(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path, workers=3, salt="s", segment_max_age_s=0.5)
    stale = {"BANDIT_CLICKHOUSE_URL": "http://elsewhere:8123", "BANDIT_PORT": "1", "PATH": "/bin"}
    environ = environ_of(given, stale)
    assert Settings.from_environ(environ) == given
    assert environ["PATH"] == "/bin"


def test_a_relative_data_dir_means_the_same_folder_to_every_child() -> None:
    environ = environ_of(Settings(data_dir=Path("var")), {})
    assert environ["BANDIT_DATA_DIR"] == str(Path.cwd() / "var")


def test_the_drain_outlives_the_api_and_clickhouse_outlives_all() -> None:
    names = [child.name for child in children(Settings(), fds=[7, 8])]
    assert names == [
        "gateway",
        "drain",
        "api-1",
        "api-2",
        "api-spare1",
        "api-spare2",
        "learn",
        "refresh",
        "dashboard",
    ]


def test_each_process_of_the_api_has_a_socket_and_a_pulse_and_they_share_metrics() -> None:
    found = [x for x in children(Settings(), fds=[7, 8], metrics="/m") if x.kind == "api"]
    assert [(child.name, child.order, child.is_spare) for child in found] == [
        ("api-1", "7", False),
        ("api-2", "8", False),
        ("api-spare1", "", True),
        ("api-spare2", "", True),
    ]
    assert {(child.argv[3:], child.fds) for child in found} == {(("api", "--stand-by"), (7, 8))}
    assert all(child.pulse == PULSES["api"] for child in found)
    assert {child.env["PROMETHEUS_MULTIPROC_DIR"] for child in found} == {"/m"}


def test_whoever_does_not_serve_lets_those_that_do_go_first() -> None:
    found = children(Settings(), fds=[7, 8])
    assert {child.nice for child in found if child.kind == "api"} == {0}
    assert min(child.nice for child in found if child.kind != "api") > 0


def test_a_part_can_run_alone() -> None:
    names = ("api", "drain")
    settings = Settings(host="0.0.0.0", port=8081, spare_workers=0)
    assert [child.kind for child in children(settings, names, fds=[7])] == ["drain", "api"]
    assert addresses(settings, names) == [Address("API", "http://127.0.0.1:8081", "/health/ready")]


def test_a_terminal_is_there_until_it_is_closed() -> None:
    ours, theirs = pty.openpty()
    script = (
        "import fcntl, signal, sys, termios\n"
        "from bandit.cli.up import has_terminal\n"
        "signal.signal(signal.SIGHUP, lambda *_: None)\n"
        "print(has_terminal(), flush=True)\n"
        "fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)\n"
        "print(has_terminal(), flush=True)\n"
        "sys.stdin.readline()\n"
        "print(has_terminal(), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(theirs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[theirs],
        start_new_session=True,
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["False\n", "True\n"]
        os.close(ours)
        told, _ = process.communicate("the terminal is closed\n", timeout=30.0)
        assert told == "False\n"


def test_an_address_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = {name: "" for name in os.environ if name.startswith("BANDIT_")}
        env |= {"BANDIT_DATA_DIR": str(tmp_path / "data"), "BANDIT_PORT": port}
        result = CliRunner().invoke(command, env=env)
    assert result.exit_code == 2
    assert f"127.0.0.1:{port} can't be listened on" in result.output
    assert not (tmp_path / "data").exists()


def test_other_machines_are_kept_out_unless_keys_are_asked_for() -> None:
    result = CliRunner().invoke(command, env={"BANDIT_HOST": "0.0.0.0"})
    assert result.exit_code == 2
    assert "must be BANDIT_AUTH=keys" in " ".join(result.output.replace("│", "").split())
