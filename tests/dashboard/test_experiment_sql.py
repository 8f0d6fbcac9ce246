"""The SQL behind an experiment's numbers gives them, whoever asks."""

import json
import time

import httpx
import pytest

from bandit.errors import RecordError
from bandit.service.reporting import ReportService
from bandit.service.reporting_sql import MetricSql
from tests.conftest import Gateway
from tests.dashboard.conftest import Seeded


@pytest.fixture(scope="module")
def reports(seeded: Seeded) -> ReportService:
    now_ms = time.time_ns() // 1_000_000
    return ReportService(seeded.store, lambda: now_ms)


def ask(gateway: Gateway, database: str, found: MetricSql) -> list[dict]:
    """As anybody would, with nothing but what the payload says."""
    given = {f"param_{name}": value for name, value in found.parameters.items()}
    answer = httpx.post(
        gateway.url(),
        params={"database": database, "default_format": "JSONEachRow"} | given,
        content=found.sql,
        trust_env=False,
    )
    assert answer.is_success, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_statements_give_the_reports_units_and_means(
    reports: ReportService, gateway: Gateway, seeded: Seeded
):
    report, told = reports.experiment("feed-2026"), reports.sql("feed-2026")
    moments = [one for one in told.statements if one.name == "unit_moments_of_log"]
    assert [one.metric for one in moments] == [found.metric for found in report.effects]
    for found, one in zip(report.effects, moments, strict=True):
        rows = ask(gateway, told.database, one)
        for variant, n, mean in (
            ("control", found.effect.control_n, found.effect.control),
            ("treatment", found.effect.treatment_n, found.effect.treatment),
        ):
            mine = [row for row in rows if row["variant"] == variant]
            assert sum(int(row["n"][0]) for row in mine) == n
            total = sum(int(row["n"][0]) * row["means"][0] for row in mine)
            assert total / n == pytest.approx(mean)


def test_one_metric_can_be_asked_for_and_no_other(reports: ReportService):
    told = reports.sql("feed-2026", metric="latency")
    assert {one.metric for one in told.statements} == {"latency"}
    text = told.statements[0].text
    assert text.startswith("-- ")
    assert "SET param_experiment = 'feed-2026';" in text
    with pytest.raises(RecordError, match="must be one of click, clicks-per-unit, latency"):
        reports.sql("feed-2026", metric="love")


def test_without_a_surface_there_are_no_decisions_to_count(
    reports: ReportService, gateway: Gateway
):
    told = reports.sql("colours-2026")
    assert [one.name for one in told.statements] == ["unit_moments_of_log"]
    rows = ask(gateway, told.database, told.statements[0])
    assert sum(int(row["units_n"]) for row in rows) == 160
