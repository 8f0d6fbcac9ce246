import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from bandit.cli.simulate_capacity import CapacityReport, command
from bandit.errors import RecordError
from sims.capacity.calibration import Calibration
from sims.capacity.demand import DAY_S, Demand
from sims.capacity.planning import MOST_BUSY, by_load, deployment_for, needs_of
from tests.sims.capacity.test_model import CALIBRATION

DEMAND = Demand(users=10e6, surfaces=10)


def test_day_has_all_its_decisions_and_its_peak_in_the_evening() -> None:
    hours = np.arange(0, 24, 0.01)
    rates = np.array([DEMAND.rate_at(hour) for hour in hours])
    assert rates.mean() * DAY_S == pytest.approx(DEMAND.decisions)
    assert hours[rates.argmax()] == pytest.approx(20.0)
    assert rates.max() / rates.mean() == pytest.approx(DEMAND.peak)


def test_planned_deployment_is_the_smallest_that_is_never_too_busy() -> None:
    needs = needs_of(CALIBRATION, DEMAND)
    assert all(part.utilisation <= MOST_BUSY + 1e-9 for part in needs.parts)
    smaller = msgspec.structs.replace(
        needs.deployment, clickhouse_cores=needs.deployment.clickhouse_cores - 1
    )
    found = {part.name: part.utilisation for part in needs_of(CALIBRATION, DEMAND, smaller).parts}
    assert found["ClickHouse"] > MOST_BUSY


def test_part_that_saturates_first_is_full_with_the_users_it_names() -> None:
    needs = needs_of(CALIBRATION, DEMAND)
    first = needs.parts[0]
    lines = by_load(CALIBRATION, DEMAND, needs.deployment, [first.users])
    assert lines[first.name] == [pytest.approx(1.0)]
    assert all(values[0] <= 1.0 + 1e-9 for values in lines.values())


def test_twice_the_users_store_twice_as_much() -> None:
    one = needs_of(CALIBRATION, DEMAND)
    two = needs_of(CALIBRATION, Demand(users=20e6, surfaces=10))
    assert two.clickhouse_gb_per_day == pytest.approx(2 * one.clickhouse_gb_per_day)
    # 10 rankings each of 100 B (between the measured sizes all alike), 0.3 rewards of 100 B
    assert one.clickhouse_gb_per_day == pytest.approx(10e6 * 10 * 130 / 1e9)
    assert two.network_in_mb_per_s == pytest.approx(2 * one.network_in_mb_per_s)
    assert deployment_for(CALIBRATION, DEMAND) == one.deployment


def test_committed_calibration_is_one_and_answers_for_fifty_million(tmp_path: Path) -> None:
    Calibration.load()
    ended = CliRunner().invoke(
        command, ["--users", "200000", "--out", str(tmp_path)], catch_exceptions=False
    )
    assert ended.exit_code == 0, ended.output
    assert re.search(r"^ 200,000 users a day", ended.output, re.MULTILINE)
    assert (tmp_path / "capacity.png").read_bytes().startswith(b"\x89PNG")
    found = msgspec.json.decode((tmp_path / "capacity.json").read_bytes(), type=CapacityReport)
    assert set(found.outcomes) == {"25%", "50%", "75%", "100%"}
    assert found.calibration.machine in ended.output


@pytest.mark.parametrize("text", ["", "[]", '{"machine": 3}'])
def test_file_that_is_no_calibration_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=re.escape(f"{path} is no calibration")):
        Calibration.load(path)
