"""`bandit simulate aa` over a real store."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit.cli.simulate_aa import command
from bandit.store.client import Store
from bandit.store.migrations import migrate
from sims.aa import AaReport
from tests.conftest import Gateway
from tests.dashboard.seeding import seed


@pytest.fixture(scope="module")
def environ(gateway: Gateway) -> Iterator[dict[str, str]]:
    """Of a process that uses a store with five minutes of traffic."""
    database = f"aa_{uuid.uuid4().hex}"
    store = Store.connect(gateway.url(), database=database)
    migrate(store)
    seed(store, time.time_ns() // 1_000_000 - 60_000, decisions_n=900)
    yield {
        "BANDIT_DATA_DIR": str(gateway.data_dir),
        "BANDIT_GATEWAY_PORT": str(gateway.port),
        "BANDIT_CLICKHOUSE_DATABASE": database,
    }
    store.close()


def check(environ: dict[str, str], out: Path, *arguments: str) -> Result:
    sizes = ("--splits", "40", "--looks", "2", "--out", str(out))
    return CliRunner().invoke(command, [*arguments, *sizes], env=environ)


def report(out: Path) -> AaReport:
    return msgspec.json.decode((out / "aa.json").read_bytes(), type=AaReport)


def test_surface_is_split_by_what_its_experiments_are_judged_by(
    environ: dict[str, str], tmp_path: Path
) -> None:
    done = check(environ, tmp_path, "home.feed")
    assert done.exit_code == 0, done.output
    found = report(tmp_path)
    # That of feed-2025, which names none, and those of feed-2026.
    assert [m.metric for m in found.metrics] == ["reward", "click", "clicks-per-unit", "latency"]
    *rewarded, latency = found.metrics
    assert [m.verdict for m in rewarded] == ["fine"] * 3
    assert {m.units_n for m in rewarded} <= set(range(200, 241))
    # A mean has only the units that had a value since their first decision.
    assert (latency.verdict, latency.reason) == ("unknown", "few_units")
    assert 0 < latency.units_n < 200
    assert "home.feed: " in done.output
    assert "split 40 times" in done.output


def test_experiment_is_split_whatever_its_variants_were_and_equally_each_time(
    environ: dict[str, str], tmp_path: Path
) -> None:
    for name in ("first", "again"):
        done = check(environ, tmp_path / name, "feed-2026", "--metric", "click", "--seed", "3")
        assert done.exit_code == 0, done.output
    first, again = (report(tmp_path / name).metrics for name in ("first", "again"))
    assert first == again
    assert [found.metric for found in first] == ["click"]


def test_experiment_without_a_surface_is_split_by_its_outcomes(
    environ: dict[str, str], tmp_path: Path
) -> None:
    done = check(environ, tmp_path, "colours-2026")
    assert done.exit_code == 0, done.output
    [found] = report(tmp_path).metrics
    # 160 units were told a colour; the testers belong to no variant.
    assert (found.metric, found.units_n, found.reason) == ("revenue", 160, "few_units")
    assert "it needs 200 units, and there are 160" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "surface 'nothing' is not declared"),
        (("home.feed", "--metric", "none"), "metric 'none' is not declared"),
        (("home.feed", "--since", "yesterday"), "must be a time with its offset"),
        (("colours-2026", "--metric", "click"), "must be of outcomes"),
    ],
)
def test_what_can_not_be_read_is_refused(
    environ: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = check(environ, tmp_path, *arguments)
    assert done.exit_code != 0
    assert said in " ".join(done.output.split())


def test_since_leaves_out_units_that_came_before(environ: dict[str, str], tmp_path: Path) -> None:
    done = check(environ, tmp_path, "home.feed", "--since", "2199-01-01", "--metric", "click")
    assert done.exit_code == 0, done.output
    assert report(tmp_path).metrics[0].units_n == 0
